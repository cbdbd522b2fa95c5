"""The chat without screen control: line by line, for screen readers, pipes and simple terminals."""

import sys
from collections.abc import Callable
from dataclasses import replace

from qwenchat.chat.again import again_of
from qwenchat.chat.calls import calls_in
from qwenchat.chat.commands import LoadModel
from qwenchat.chat.errors import MessageNotFound, QwenchatError
from qwenchat.chat.messages import Message, Role, Status, ToolResultPart
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.text import decode_input, safe, safe_line
from qwenchat.chat.thinking import budget_in_words, budget_of
from qwenchat.consent import in_words, result_in_words
from qwenchat.meant import meant
from qwenchat.printer import Printer, tell
from qwenchat.session import Session
from qwenchat.steering import NAMES, Steering
from qwenchat.texts import count, say

INTERRUPTED = 130
LISTED = 20
SHOWN = 1_000
"""Characters of a tool's result."""


class Quit(Exception):
    """The user has had enough."""


class PlainChat:
    """Reads messages and commands from standard input and answers them, until the input ends."""

    def __init__(self, session: Session, load: LoadModel, steering: Steering | None = None) -> None:
        self._session = session
        self._load = load
        self._steering = steering or Steering(session)
        self._prompting = sys.stdin.isatty()
        self._thoughts = True
        self._commands: dict[str, tuple[Callable[[str], None], str]] = {
            "new": (self._new, say("begin a new conversation")),
            "retry": (
                self._retry,
                say(
                    "ask again for the last reply, or /retry 4 for that; or /retry temperature=0.2 think=off model=NAME"
                ),
            ),
            "edit": (self._edit, say("say something else in place of your last message: /edit TEXT, or /edit 3: TEXT")),
            "continue": (self._continue, say("let the last reply, if it broke off, go on from where it stopped")),
            "versions": (
                self._versions,
                say(
                    "number the messages and count their versions; /versions 4 2 reads the second version of message 4"
                ),
            ),
            "delete": (
                self._delete,
                say("delete the last message, or /delete 4 for that; /delete 4 on for all after it too"),
            ),
            "undo": (self._undo, say("bring back what was deleted last")),
            "answer": (self._answer, say("answer from a thought that was stopped or broke off")),
            "think": (lambda _: self._think(True), say("think before each answer")),
            "no_think": (lambda _: self._think(False), say("answer at once")),
            "thoughts": (self._read_thoughts, say("whether thoughts are read out: /thoughts off, /thoughts on")),
            "budget": (self._budget, say("the longest thought in tokens: /budget 500, or /budget off")),
            "set": (self._set, say("change how the model answers: /set temperature 0.5; alone, list the settings")),
            "system": (self._system, say("change the system prompt: /system TEXT; alone, say it")),
            "preset": (self._preset, say("turn to a preset: /preset NAME; alone, list them")),
            "tools": (self._tools, say("what the model may call: /tools NAME,NAME, or /tools off; alone, list it")),
            "model": (self._model, say("load another model: /model NAME")),
            "list": (self._list, say("list the saved conversations")),
            "resume": (self._resume, say("go on with a saved conversation: /resume ID")),
            "help": (self._help, say("list the commands")),
            "quit": (self._quit, say("leave; everything is saved")),
        }

    def run(self) -> int:
        """The exit code."""
        self._session.load(self._load)
        if self._session.private:
            tell(say("This chat is private: it is kept in memory alone and gone when you leave."))
        if self._session.library.notice:
            tell(self._session.library.notice)
        if self._prompting:
            print(_welcome())
        if self._session.path:
            print(f"{as_text(self._session.path)}\n", flush=True)
        try:
            while (text := self._read_or_leave()) is not None:
                self._heed(text)
        except Quit:
            return 0
        except KeyboardInterrupt:
            print(flush=True)
            return INTERRUPTED
        return 0

    def _read_or_leave(self) -> str | None:
        """The next message; at a terminal the first Ctrl+C only says that another one leaves."""
        try:
            return self._read()
        except KeyboardInterrupt:
            if not self._prompting:
                raise
        print(flush=True)
        tell(say("Ctrl+C again leaves; everything is saved."))
        return self._read()

    def _read(self) -> str | None:
        """The next message, put together from continued lines; None at the end of the input."""
        lines: list[str] = []
        while True:
            if self._prompting:
                print(say("More:") if lines else say("You:"), end=" ", flush=True)
            data = sys.stdin.buffer.readline()
            if not data:
                return "\n".join(lines) if lines else None
            line, replaced = decode_input(data)
            if replaced:
                tell(say("What was not valid text was replaced."))
            line = line.rstrip("\r\n")
            if not line.endswith("\\"):
                return "\n".join((*lines, line))
            lines.append(line[:-1])

    def _heed(self, text: str) -> None:
        """Carry out a command, or send a message and print the reply."""
        try:
            word, _, rest = text.strip().partition(" ")
            name = word[1:].lower()
            # With words after them, /think and /no_think are the model's own switches and part of the message.
            if word.startswith("/") and name in self._commands and not (rest and name in ("think", "no_think")):
                self._commands[name][0](rest.strip())
            elif word.startswith("/") and name.isalpha() and name not in ("think", "nothink"):
                tell(say("There is no command {word}. /help lists the commands.", word=word))
            elif word:
                self._session.send(text)
                self._print_reply()
        except QwenchatError as error:
            tell(str(error))

    def _print_reply(self) -> None:
        printer = Printer(announced=True, thoughts=self._thoughts)
        try:
            printer.run(self._session)
        except KeyboardInterrupt:
            self._session.stop()
            printer.run(self._session)
        if self._session.broken_off:
            tell(say("The reply ended inside its thought. /answer makes the model answer from there."))
        elif self._session.unanswered:
            tell(say("The tools were stopped. /continue lets the model go on from them."))
        elif self._session.begun is not None:
            tell(say("The reply broke off. /continue lets it go on from there."))

    def _new(self, rest: str) -> None:
        self._session.new()
        tell(say("A new conversation."))

    def _retry(self, rest: str) -> None:
        number, _, settings = rest.partition(" ")
        if not number.isdecimal():
            number, settings = "", rest
        again = again_of(settings)
        reply = self._numbered(number).id if number else None
        if again.model is not None:
            self._model(again.model)
        self._session.retry(reply, again.overrides, again.thinking)
        self._print_reply()

    def _edit(self, rest: str) -> None:
        number, colon, text = rest.partition(":")
        if not (colon and number.isdecimal()):
            number, text = "", rest
        mine = [message for message in self._session.path if message.role is Role.USER]
        if not mine:
            raise MessageNotFound(say("There is no message of yours yet."), say("Write one first."))
        self._session.edit((self._numbered(number) if number else mine[-1]).id, text.strip())
        self._print_reply()

    def _continue(self, rest: str) -> None:
        self._session.continue_reply()
        self._print_reply()

    def _versions(self, rest: str) -> None:
        if not rest:
            for at, message in enumerate(self._session.path, 1):
                print(f"{at}. {_who(message)}{self._version(message)}: {safe_line(message.text, 80)}")
            sys.stdout.flush()
            return
        number, _, version = rest.partition(" ")
        siblings = self._session.tree.siblings(self._numbered(number).id)
        if not version.strip().isdecimal() or not 1 <= int(version) <= len(siblings):
            raise MessageNotFound(
                count(
                    "Message {at} has {number} version.",
                    "Message {at} has {number} versions.",
                    len(siblings),
                    at=number,
                ),
                say("/versions 4 2 reads the second."),
            )
        self._session.select(siblings[int(version) - 1])
        print(as_text(self._session.path[int(number) - 1 :]), flush=True)

    def _delete(self, rest: str) -> None:
        number, _, on = rest.partition(" ")
        message = self._numbered(number or str(len(self._session.path)))
        delete = self._session.delete_branch if on.strip() == "on" else self._session.delete_message
        delete(message.id)
        left = count("{number} message is left.", "{number} messages are left.", len(self._session.path))
        tell(say("Deleted. {left} /undo brings back what was deleted.", left=left))

    def _undo(self, rest: str) -> None:
        self._session.undo_delete()
        tell(
            count(
                "Brought back. There is {number} message.",
                "Brought back. There are {number} messages.",
                len(self._session.path),
            )
        )

    def _numbered(self, number: str) -> Message:
        """The message with the number that `/versions` gives it."""
        path = self._session.path
        if not path:
            raise MessageNotFound(say("There is no message yet."), say("Write one first."))
        if not number.isdecimal() or not 1 <= int(number) <= len(path):
            raise MessageNotFound(
                say("There is no message {number}.", number=number),
                say("/versions numbers them, 1 to {last}.", last=len(path)),
            )
        return path[int(number) - 1]

    def _version(self, message: Message) -> str:
        siblings = self._session.tree.siblings(message.id)
        number, versions = siblings.index(message.id) + 1, len(siblings)
        return say(", version {number} of {versions}", number=number, versions=versions) if versions > 1 else ""

    def _answer(self, rest: str) -> None:
        self._session.answer_now()
        self._print_reply()

    def _budget(self, rest: str) -> None:
        if rest:
            self._session.thinking_budget = budget_of(rest)
        tell(budget_in_words(self._session.thinking_budget))

    def _think(self, on: bool) -> None:
        if self._session.support is not ThinkingSupport.SWITCHED:
            tell(say("This model always thinks.") if self._session.thinks else say("This model cannot think."))
            return
        if self._session.thinks is not on:
            self._session.toggle_thinking()
        tell(say("Thinking is on.") if on else say("Thinking is off."))

    def _read_thoughts(self, rest: str) -> None:
        if rest in ("on", "off"):
            self._thoughts = rest == "on"
        tell(say("Thoughts are read out.") if self._thoughts else say("Thoughts are not read out."))

    def _set(self, rest: str) -> None:
        if rest:
            tell(self._steering.heed(rest))
        else:
            print("\n".join(map(self._steering.in_words, NAMES)), flush=True)

    def _system(self, rest: str) -> None:
        note = self._steering.set("system", rest) if rest else ""
        tell("\n".join(filter(None, (self._steering.in_words("system"), note))))

    def _preset(self, rest: str) -> None:
        if not rest:
            on = self._steering.preset
            for preset in self._steering.presets:
                print(f"{'*' if preset is on else ' '} {safe_line(preset.name)}: {safe_line(preset.description)}")
            sys.stdout.flush()
            return
        note = self._steering.choose(rest)
        if model := self._steering.model_of(self._steering.preset):
            self._model(model)
        tell(" ".join(filter(None, (self._steering.label, note))))

    def _tools(self, rest: str) -> None:
        if not rest:
            on = self._session.tools_on
            for name in dict.fromkeys((*self._session.tools_there, *on)):
                print(f"{'*' if name in on else ' '} {safe_line(name)}")
            sys.stdout.flush()
            return
        names = [] if rest == "off" else [name.strip() for name in rest.split(",") if name.strip()]
        self._session.switch_tools(names)
        tell(say("The model may call: {names}.", names=", ".join(names) or say("nothing")))

    def _model(self, rest: str) -> None:
        servers = self._steering.servers
        self._load = meant(rest, self._load, servers) if rest else replace(self._load, name=None)
        self._session.load(self._load)
        name = rest or say("the best model there is")
        tell(say("Loading {name}; the next message is answered by it.", name=name))

    def _list(self, rest: str) -> None:
        for row in self._session.library.conversations(limit=LISTED):
            print(f"{row.id}  {safe_line(row.title, 80)}")

    def _resume(self, rest: str) -> None:
        self._session.resume(self._session.library.resolve(rest))
        print(as_text(self._session.path), flush=True)

    def _help(self, rest: str) -> None:
        print(_welcome())
        for name, (_, meaning) in self._commands.items():
            print(f"/{name}: {meaning}")
        sys.stdout.flush()

    def _quit(self, rest: str) -> None:
        raise Quit


def as_text(messages: tuple[Message, ...]) -> str:
    """Messages to read; partial replies say so."""
    return "\n\n".join(_message(message) for message in messages)


def _message(message: Message) -> str:
    mark = "" if message.status is Status.COMPLETE else f" [{message.status.in_words}]"
    if message.status is Status.FAILED and message.note:
        mark = f" [{say('failed: {text}', text=safe_line(message.note, 1000))}]"
    thought = f"<think>\n{safe(message.reasoning)}\n</think>\n\n" if message.reasoning else ""
    tools = [say("calls {call}", call=in_words(call)) for call in calls_in(message)]
    tools += [result_in_words(part, SHOWN) for part in message.parts if isinstance(part, ToolResultPart)]
    said = "\n".join(filter(None, (safe(message.text), *tools)))
    heading = say("{name}:", name=f"{_who(message)}{mark}")
    return f"{heading}\n{thought}{said}".rstrip()


def _who(message: Message) -> str:
    if message.provenance is not None:
        return safe_line(message.provenance.model.name)
    match message.role:
        case Role.USER:
            return say("You")
        case Role.ASSISTANT:
            return say("Model")
        case Role.SYSTEM:
            return say("System")
        case Role.TOOL:
            return say("Tool")


def _welcome() -> str:
    return say(
        "Write a message and press Enter. A backslash at the end of a line continues it on the next. "
        "Ctrl+C stops a reply. /help lists the commands, /quit leaves."
    )
