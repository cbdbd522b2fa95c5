"""Names of files as they are written in a message: `@notes.md`, `@~/plans/`, `@"with spaces.txt"`."""

import os
import re
from pathlib import Path

from qwenchat.tui.completion import Choice

_MOST = 500
"""How many files of one folder are offered."""
_WORD = re.compile(r"""(?<![^\s(\[{])@(?:"([^"\n]+)"|([^\s"]+))""")
_TRAILING = ".,;:!?)]}'"


def path_of(word: str) -> Path:
    """The path that is written as `@name` or `@"name"`; relative ones are those of the folder of the program."""
    return Path(word.removeprefix("@").strip('"')).expanduser()


def words(text: str) -> list[tuple[int, str]]:
    """Every word in `text` that may name a file, with where it begins; punctuation behind it does not belong to it."""
    found = []
    for match in _WORD.finditer(text):
        word = match[0] if match[1] else match[0].rstrip(_TRAILING)
        if len(word) > 1:
            found.append((match.start(), word))
    return found


def choices(word: str) -> tuple[Choice, ...]:
    """The files and folders that what is written of `word` may become; hidden ones once their dot is written."""
    written = word.removeprefix("@").removeprefix('"')
    if written == "~":
        return (Choice("@~/", "~/", goes_on=True),)
    folder, _, begun = written.rpartition("/")
    folder = f"{folder}/" if "/" in written else ""
    try:
        with os.scandir(Path(folder or ".").expanduser()) as entries:
            found = [(entry.is_dir(), entry.name) for entry in entries if _fits(entry.name, begun)]
    except (OSError, RuntimeError):  # ~nobody has no home
        return ()
    found.sort(key=lambda one: (not one[0], one[1].lower()))
    return tuple(_choice(folder, name, is_folder) for is_folder, name in found[:_MOST] if _writable(name))


def _choice(folder: str, name: str, is_folder: bool) -> Choice:
    path = f"{folder}{name}{'/' if is_folder else ''}"
    spaced = re.search(r"\s", path) is not None
    if is_folder:
        return Choice(f'@"{path}' if spaced else f"@{path}", f"{name}/", goes_on=True)
    return Choice(f'@"{path}" ' if spaced else f"@{path} ", name)


def _fits(name: str, begun: str) -> bool:
    return name.lower().startswith(begun.lower()) and (bool(begun) or not name.startswith("."))


def _writable(name: str) -> bool:
    """Whether a name can be written in a line of text and be read back."""
    return '"' not in name and name.isprintable()
