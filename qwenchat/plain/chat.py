"""Reads messages and commands from standard input and answers them, until the input ends."""

import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import LibraryError, QwenchatError
from qwenchat.chat.suggest import did_you_mean
from qwenchat.console.commands import ALIASES, GROUPS, PLAIN, SOFT_SWITCHES, Handler
from qwenchat.console.editor import edited
from qwenchat.console.notice import notify
from qwenchat.console.word_wrap import print_wrapped
from qwenchat.i18n.texts import say
from qwenchat.library.library import Library
from qwenchat.plain.answering import Answering
from qwenchat.plain.conversations import ConversationCommands
from qwenchat.plain.editor import Editor, readline_here
from qwenchat.plain.lines import Lines
from qwenchat.plain.messages import MessageCommands, parts_of, typed_of
from qwenchat.plain.settings import SettingCommands
from qwenchat.session.answer_settings import AnswerSettings
from qwenchat.session.attachments import begun
from qwenchat.session.session import Session

INTERRUPTED = 130
REMEMBERED = 200
"""How many messages of before can be brought back at the prompt."""
_NAME = re.compile(r"/([A-Za-z_-]*|/+)")
_SWITCHES = ("think", "no_think", "nothink")
"""Qwen's own switches: with words behind them they are part of a message."""


class ChatQuit(Exception):
    """The user has had enough."""


class PlainChat:
    """The chat line by line."""

    def __init__(self, session: Session, load: LoadModel, answer_settings: AnswerSettings | None = None) -> None:
        self._session = session
        self._load = load
        self._asking = sys.stdin.isatty()
        self._answering = Answering(session, asking=self._asking)
        self._conversations = ConversationCommands(session)
        settings = SettingCommands(session, self._answering, answer_settings or AnswerSettings(session), load)
        messages = MessageCommands(session, self._answering, settings.load_named)
        self._handlers: Mapping[str, Handler] = {
            **self._conversations.commands,
            **settings.commands,
            **messages.commands,
            "editor": self._write,
            "help": self._help,
            "quit": self._quit,
        }
        self._lines = Lines(self._editor())

    def run(self) -> int:
        """The exit code."""
        if self._asking:
            notify(
                say("Write a message and press Enter. Ctrl+C stops a reply. /help lists the commands, /quit leaves.")
            )
        if self._session.private:
            notify(say("This chat is private: it is kept in memory alone and gone when you leave."))
        if self._session.library.notice:
            notify(self._session.library.notice)
        try:
            self._answering.begin(self._load)
            self._conversations.greet()
            while (text := self._read_or_leave()) is not None:
                self._handle(text)
        except ChatQuit:
            pass
        except KeyboardInterrupt:
            print(flush=True)
            return INTERRUPTED
        return 1 if self._answering.failed and not self._asking else 0

    def _editor(self) -> Editor | None:
        """Line editing, where both sides are a terminal and Python has it."""
        readline = readline_here() if self._asking and sys.stdout.isatty() else None
        return Editor(readline, self._complete, _said_before(self._session.library)) if readline else None

    def _complete(self, before: str, word: str) -> list[str]:
        if word.startswith("/") and before == word:
            return [f"/{name} " for name in self._handlers if name.startswith(word[1:])]
        if word.startswith("@"):
            return [f"@{path}" for path in begun(word)]
        return []

    def _read_or_leave(self) -> str | None:
        """The next message; at a terminal the first Ctrl+C only says that another one leaves."""
        try:
            return self._read()
        except KeyboardInterrupt:
            if not self._asking:
                raise
        print(flush=True)
        saved = say("nothing is kept") if self._session.library.in_memory_only else say("everything is saved")
        notify(say("Ctrl+C again leaves; {saved}.", saved=saved))
        return self._read()

    def _read(self) -> str | None:
        if self._asking:
            self._answering.catch_up()
        return self._lines.read()

    def _handle(self, text: str) -> None:
        """Carry out a command, or send a message and print the reply."""
        word, _, rest = text.strip().partition(" ")
        name, rest = word[1:].lower(), rest.strip()
        is_command = _NAME.fullmatch(word) is not None
        if name in _SWITCHES:
            is_command = not rest or (name == "think" and rest in ("on", "off"))
        try:
            if is_command:
                self._handlers[self._known(name, word)](rest)
            elif word:
                self._send(text)
        except QwenchatError as error:
            notify(str(error))

    def _send(self, text: str) -> None:
        try:
            self._session.send(parts_of(text))
        except QwenchatError:
            self._answering.failed = True
            raise
        self._answering.reply()

    def _write(self, rest: str) -> None:
        text = edited(rest, lambda command: subprocess.run(command, check=False).returncode)
        if not text.strip() or text == rest:
            notify(say("Nothing was written, so nothing is sent."))
        else:
            self._send(text.rstrip("\n"))

    def _known(self, name: str, word: str) -> str:
        """The command that is meant; raises QwenchatError."""
        name = ALIASES.get(name, name)
        if name in self._handlers:
            return name
        suggestion = did_you_mean(name, self._handlers, mark="/") or say("/help lists the commands.")
        raise QwenchatError(say("There is no command {word}.", word=word), suggestion)

    def _help(self, rest: str) -> None:
        if rest:
            name = rest.removeprefix("/").lower()
            print_wrapped(_help_line(self._known(name, f"/{name}")))
            return
        for title, commands in GROUPS.items():
            print_wrapped(say("{title}:", title=say(title)))
            for command in commands:
                if command.plain is not None:
                    print_wrapped(_help_line(command.slash))
        for name in SOFT_SWITCHES:
            print_wrapped(_help_line(name))
        print_wrapped(
            say(
                'A backslash at the end of a line continues the message on the next; """ begins and ends one of '
                "several lines. @NAME attaches a file. `qwenchat --help` lists what the shell can do besides."
            )
        )

    def _quit(self, rest: str) -> None:
        raise ChatQuit


def _help_line(name: str) -> str:
    """How a command is written and what it does, on one line."""
    if command := PLAIN.get(name):
        return say("{written}: {meaning}", written=command.plain_usage, meaning=say(command.title))
    return say("{written}: {meaning}", written=f"/{name}", meaning=say(SOFT_SWITCHES[name]))


def _said_before(library: Library) -> list[str]:
    """The latest messages of the user's, the oldest first, each text once."""
    texts: dict[str, None] = {}
    number = None
    with suppress(LibraryError):
        while len(texts) < REMEMBERED and (found := library.said_before(number)) is not None:
            number, message = found
            texts[typed_of(message)] = None
    return [text for text in reversed(texts) if text.strip()]
