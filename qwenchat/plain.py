"""The chat without screen control: line by line, for screen readers, pipes and simple terminals."""

import sys
from collections.abc import Callable
from dataclasses import replace

from qwenchat.chat.commands import LoadModel
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.messages import Message, Role, Status
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.text import decode_input, safe, safe_line
from qwenchat.chat.thinking import budget_in_words, budget_of
from qwenchat.printer import Printer, say
from qwenchat.session import Session

INTERRUPTED = 130
LISTED = 20
WELCOME = (
    "Write a message and press Enter. A backslash at the end of a line continues it on the next. "
    "Ctrl+C stops a reply. /help lists the commands, /quit leaves."
)


class Quit(Exception):
    """The user has had enough."""


class PlainChat:
    """Reads messages and commands from standard input and answers them, until the input ends."""

    def __init__(self, session: Session, load: LoadModel) -> None:
        self._session = session
        self._load = load
        self._prompting = sys.stdin.isatty()
        self._commands: dict[str, tuple[Callable[[str], None], str]] = {
            "new": (self._new, "begin a new conversation"),
            "retry": (self._retry, "ask again for the last reply"),
            "answer": (self._answer, "answer from a thought that was stopped or broke off"),
            "think": (lambda _: self._think(True), "think before each answer"),
            "no_think": (lambda _: self._think(False), "answer at once"),
            "budget": (self._budget, "the longest thought in tokens: /budget 500, or /budget off"),
            "model": (self._model, "load another model: /model NAME"),
            "list": (self._list, "list the saved conversations"),
            "resume": (self._resume, "go on with a saved conversation: /resume ID"),
            "help": (self._help, "list the commands"),
            "quit": (self._quit, "leave; everything is saved"),
        }

    def run(self) -> int:
        """The exit code."""
        self._session.load(self._load)
        if self._session.library.notice:
            say(self._session.library.notice)
        if self._prompting:
            print(WELCOME)
        if self._session.path:
            print(f"{as_text(self._session.path)}\n", flush=True)
        try:
            while (text := self._read()) is not None:
                self._heed(text)
        except Quit:
            return 0
        except KeyboardInterrupt:
            print(flush=True)
            return INTERRUPTED
        return 0

    def _read(self) -> str | None:
        """The next message, put together from continued lines; None at the end of the input."""
        lines: list[str] = []
        while True:
            if self._prompting:
                print("More: " if lines else "You: ", end="", flush=True)
            data = sys.stdin.buffer.readline()
            if not data:
                return "\n".join(lines) if lines else None
            line, replaced = decode_input(data)
            if replaced:
                say("What was not valid text was replaced.")
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
                say(f"There is no command {word}. /help lists the commands.")
            elif word:
                self._session.send(text)
                self._print_reply()
        except QwenchatError as error:
            say(str(error))

    def _print_reply(self) -> None:
        printer = Printer(announced=True)
        try:
            printer.run(self._session)
        except KeyboardInterrupt:
            self._session.stop()
            printer.run(self._session)
        if self._session.broken_off:
            say("The reply ended inside its thought. /answer makes the model answer from there.")

    def _new(self, rest: str) -> None:
        self._session.new()
        say("A new conversation.")

    def _retry(self, rest: str) -> None:
        self._session.retry()
        self._print_reply()

    def _answer(self, rest: str) -> None:
        self._session.answer_now()
        self._print_reply()

    def _budget(self, rest: str) -> None:
        if rest:
            self._session.thinking_budget = budget_of(rest)
        say(budget_in_words(self._session.thinking_budget))

    def _think(self, on: bool) -> None:
        if self._session.support is not ThinkingSupport.SWITCHED:
            say("This model always thinks." if self._session.thinks else "This model cannot think.")
            return
        if self._session.thinks is not on:
            self._session.toggle_thinking()
        say(f"Thinking is {'on' if on else 'off'}.")

    def _model(self, rest: str) -> None:
        self._load = replace(self._load, name=rest or None)
        self._session.load(self._load)
        say(f"Loading {rest or 'the best model there is'}; the next message is answered by it.")

    def _list(self, rest: str) -> None:
        for row in self._session.library.conversations(limit=LISTED):
            print(f"{row.id}  {safe_line(row.title, 80)}")

    def _resume(self, rest: str) -> None:
        self._session.resume(self._session.library.resolve(rest))
        print(as_text(self._session.path), flush=True)

    def _help(self, rest: str) -> None:
        print(WELCOME)
        for name, (_, meaning) in self._commands.items():
            print(f"/{name}: {meaning}")
        sys.stdout.flush()

    def _quit(self, rest: str) -> None:
        raise Quit


def as_text(messages: tuple[Message, ...]) -> str:
    """Messages to read; partial replies say so."""
    return "\n\n".join(_message(message) for message in messages)


def _message(message: Message) -> str:
    who = {Role.USER: "You", Role.ASSISTANT: "Model", Role.SYSTEM: "System", Role.TOOL: "Tool"}[message.role]
    if message.provenance is not None:
        who = safe_line(message.provenance.model.name)
    mark = "" if message.status is Status.COMPLETE else f" [{message.status}]"
    if message.status is Status.FAILED and message.note:
        mark = f" [failed: {safe_line(message.note, 1000)}]"
    thought = f"<think>\n{safe(message.reasoning)}\n</think>\n\n" if message.reasoning else ""
    return f"{who}{mark}:\n{thought}{safe(message.text)}".rstrip()
