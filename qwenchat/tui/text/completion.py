"""What could be meant by the word that is being written: a command, its argument, a soft switch, or a file."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from qwenchat.console.commands import SOFT_SWITCHES, WRITTEN
from qwenchat.i18n.texts import say
from qwenchat.session.attachments import begun
from qwenchat.tui.keys.slash_commands import ARGUMENTS

_COMMAND_WORD = re.compile(r"/([A-Za-z_-]*)")
_ARGUMENT = re.compile(r"/([A-Za-z_-]+) +(.* )?(\S*)")
_SWITCH_WORD = re.compile(r"(?:.*\s)?(/[a-z_]+)")
_FILE_WORD = re.compile(r"""(?:.*[\s(\[{])?(@(?:"[^"]*|[^\s"]*))""")


@dataclass(frozen=True, slots=True)
class CompletionItem:
    """One of the things that could be meant."""

    insert: str
    """What is then written in place of the word."""
    title: str
    detail: str = ""
    goes_on: bool = False
    """Whether something belongs right behind it, as behind the name of a folder."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What could stand in place of the word that begins at column `start` of the line."""

    start: int
    choices: tuple[CompletionItem, ...]
    wanted: bool = True
    """Whether something of it has been written, so that Enter means the first choice rather than sending."""


def offer(before: str, first_line: bool, switches: bool = True) -> Completion | None:
    """What could be meant by the word at the end of `before`, the line as far as the cursor; None for a plain word.

    `switches` says whether the model handles Qwen's soft switches.
    """
    if first_line:
        if word := _COMMAND_WORD.fullmatch(before):
            return _offer(0, before, [*_commands(), *(_switches() if switches else ())])
        if (argument := _ARGUMENT.fullmatch(before)) and argument[1] in WRITTEN:
            only_first = argument[2] is not None and not WRITTEN[argument[1]].argument.endswith("...")
            choices = ARGUMENTS.get(argument[1], tuple)()
            return None if only_first else _offer(argument.start(3), argument[3], map(_argument, choices))
    if switches and (word := _SWITCH_WORD.fullmatch(before)):
        return _offer(word.start(1), word[1], _switches())
    return None


def file_word(before: str) -> tuple[int, str] | None:
    """Where the name of a file begins that is being written at the end of `before`, and what there is of it."""
    word = _FILE_WORD.fullmatch(before)
    return (word.start(1), word[1]) if word else None


def _argument(value: str) -> CompletionItem:
    return CompletionItem(value, value)


def _commands() -> Iterable[CompletionItem]:
    for name, command in WRITTEN.items():
        space = " " if command.argument else ""
        yield CompletionItem(f"/{name}{space}", command.usage, say(command.title))


def _switches() -> Iterable[CompletionItem]:
    for name, description in SOFT_SWITCHES.items():
        yield CompletionItem(f"/{name} ", f"/{name}", say(description))


def _offer(start: int, word: str, choices: Iterable[CompletionItem]) -> Completion | None:
    """Those that begin with `word`, the shortest first that is all of it."""
    fitting = [choice for choice in choices if choice.insert.lower().startswith(word.lower())]
    fitting.sort(key=lambda choice: choice.insert.rstrip() != word)
    return Completion(start, tuple(fitting), wanted=bool(word)) if fitting else None


def file_choices(word: str) -> tuple[CompletionItem, ...]:
    """The files and folders that what is written of `word` may become; hidden ones once their dot is written."""
    if word.strip('@"') == "~":
        return (CompletionItem("@~/", "~/", goes_on=True),)
    return tuple(_file_choice(path) for path in begun(word))


def _file_choice(path: str) -> CompletionItem:
    name = path.rstrip("/").rpartition("/")[2]
    spaced = any(character.isspace() for character in path)
    if path.endswith("/"):
        return CompletionItem(f'@"{path}' if spaced else f"@{path}", f"{name}/", goes_on=True)
    return CompletionItem(f'@"{path}" ' if spaced else f"@{path} ", name)
