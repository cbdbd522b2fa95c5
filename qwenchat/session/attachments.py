"""Files that are named in a message, as in `@notes.md`, `@~/plan` or `@"my plan.txt"`, and go with it."""

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.messages import TextPart
from qwenchat.chat.text import decode_input, safe_line
from qwenchat.i18n.texts import say, size
from qwenchat.system.regular_file import expanded

MOST = 1_000_000
"""Bytes of the largest file that can be attached."""
_WORD = re.compile(r"""(?<![^\s(\[{])@(?:"([^"\n]+)"|([^\s"]+))""")
_ENDING = re.compile(r"\w\.[A-Za-z]\w{0,7}$")
_TRAILING = ".,;:!?)]}'"
_LOOKED_AT = 8_192
_OFFERED = 500
"""How many files of one folder are offered."""
_STRANGE = 0.1
"""The share of bytes that are no text, from which on a file is none."""


class AttachmentRefused(QwenchatError):
    """A file that cannot go with a message."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(
            say("{word} cannot be attached: {why}.", word=safe_line(word), why=why),
            say("A space after the @ makes it plain text."),
        )


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as it was read."""

    word: str
    """How the message names it."""
    text: str
    replaced: bool
    """Whether bytes that are no UTF-8 were replaced."""

    def part(self) -> TextPart:
        """What the model reads of it: its name above its content between fences."""
        from qwenchat.library.exchange.fence import fenced  # noqa: PLC0415  (the first frame has no use for it)

        path = path_of(self.word)
        note = say(" (bytes that are no text were replaced)") if self.replaced else ""
        framed = fenced(self.text, path.suffix.removeprefix("."))
        return TextPart(f"\n\n{safe_line(self.word.removeprefix('@').strip(chr(34)))}{note}:\n{framed}", self.word)


def content_of(part: TextPart) -> str:
    """A text that was pasted, or the content of a file that was attached, without its name and the fences around it."""
    text = part.text.strip("\n")
    if not part.origin.startswith("@"):
        return text
    return text.split("\n", 2)[-1].rpartition("\n")[0]


def path_of(word: str) -> Path:
    """The path that is written as `@name` or `@"name"`; relative ones are those of the folder of the program."""
    return expanded(word.removeprefix("@").strip('"'))


def words(text: str) -> list[tuple[int, str]]:
    """Every word in `text` that may name a file, with where it begins; punctuation behind it does not belong to it."""
    found = []
    for match in _WORD.finditer(text):
        word = match[0] if match[1] else match[0].rstrip(_TRAILING)
        if len(word) > 1:
            found.append((match.start(), word))
    return found


def is_path(word: str) -> bool:
    """Whether a word after an @ looks like the path of a file rather than like a name: it has a slash or an ending."""
    return "/" in word or word[1] in '~."' or (_ENDING.search(word) is not None and word.count("@") == 1)


def begun(word: str) -> list[str]:
    """The paths that what is written of `word` may become, those of folders with a slash at the end and first."""
    written = word.removeprefix("@").removeprefix('"')
    folder, slash, name = written.rpartition("/")
    try:
        with os.scandir(Path(f"{folder}{slash}" or ".").expanduser()) as entries:
            found = [(entry.is_dir(), entry.name) for entry in entries if _fits(entry.name, name)]
    except (OSError, RuntimeError):  # ~nobody has no home
        return []
    found.sort(key=lambda one: (not one[0], one[1].lower()))
    return [
        f"{folder}{slash}{name}{'/' if is_folder else ''}" for is_folder, name in found[:_OFFERED] if _writable(name)
    ]


def read(word: str) -> Attachment | None:
    """The file that `word` names; None if it names none. Raises AttachmentRefused."""
    path = path_of(word)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return None
        if not stat.S_ISREG(status.st_mode):
            raise AttachmentRefused(word, say("it is no plain file"))
        if status.st_size > MOST:
            sizes = {"size": size(status.st_size), "most": size(MOST)}
            raise AttachmentRefused(word, say("it has {size}, and {most} fit", **sizes))
        with path.open("rb") as file:
            data = file.read(MOST)
    except (FileNotFoundError, NotADirectoryError, ValueError, RuntimeError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise AttachmentRefused(word, say("it cannot be read ({reason})", reason=error.strerror)) from error
    text, replaced = decode_input(data.removeprefix(b"\xef\xbb\xbf"))
    if b"\0" in data[:_LOOKED_AT] or text.count("\N{REPLACEMENT CHARACTER}") > _STRANGE * len(text):
        raise AttachmentRefused(word, say("it is binary"))
    return Attachment(word, text, replaced)


def _fits(name: str, begun: str) -> bool:
    return name.lower().startswith(begun.lower()) and (bool(begun) or not name.startswith("."))


def _writable(name: str) -> bool:
    """Whether a name can be written in a line of text and be read back."""
    return '"' not in name and name.isprintable()
