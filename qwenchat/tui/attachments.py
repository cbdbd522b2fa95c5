"""Files that are named in a message, as in `@notes.md`, and go with it."""

import asyncio
import errno
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.messages import TextPart
from qwenchat.chat.text import decode_input, safe_line
from qwenchat.texts import say
from qwenchat.tui import files
from qwenchat.tui.widgets.status import size

MOST = 1_000_000
"""Bytes of the largest file that can be attached."""
_LOOKED_AT = 8_192
_STRANGE = 0.1
"""The share of bytes that are no text, from which on a file is none."""


class AttachmentRefused(QwenchatError):
    """A file that cannot go with a message."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(
            say("{word} cannot be attached: {why}.", word=safe_line(word), why=why),
            say("The draft was kept; a space after the @ makes it plain text."),
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
        from qwenchat.library.exchange.fence import fenced  # not before there is a file

        path = files.path_of(self.word)
        note = say(" (bytes that are no text were replaced)") if self.replaced else ""
        framed = fenced(self.text, path.suffix.removeprefix("."))
        return TextPart(f"\n\n{safe_line(self.word.removeprefix('@').strip(chr(34)))}{note}:\n{framed}", self.word)


def read(word: str) -> Attachment | None:
    """The file that `word` names; None if it names none. Raises AttachmentRefused."""
    path = files.path_of(word)
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


class Attachments:
    """The files that a draft names, read while it is written and once more when it is sent."""

    def __init__(self) -> None:
        self._read: dict[str, Attachment | AttachmentRefused | None] = {}

    @property
    def attached(self) -> tuple[Attachment, ...]:
        """Those that can go with the message, in the order in which they were first named."""
        return tuple(one for one in self._read.values() if isinstance(one, Attachment))

    @property
    def refused(self) -> tuple[AttachmentRefused, ...]:
        """Why others cannot."""
        return tuple(one for one in self._read.values() if isinstance(one, AttachmentRefused))

    def is_known(self, text: str) -> bool:
        """Whether every word of `text` that may name a file was looked at, and none besides."""
        return {word for _, word in files.words(text)} == self._read.keys()

    async def look(self, text: str) -> None:
        """Read the files that are newly named in `text`, and forget those that are not named any more."""
        words = dict.fromkeys(word for _, word in files.words(text))
        found = {word: self._read[word] if word in self._read else await _looked_at(word) for word in words}
        self._read = found

    async def for_sending(self, text: str, earlier: Mapping[str, TextPart]) -> tuple[TextPart, ...]:
        """The files that `text` names, as they are now; one of `earlier`, which a former version of the message had,
        as it was then if it is not there any more. Raises AttachmentRefused, also for a file that is gone.
        """
        known = {word for word, one in self._read.items() if one is not None}
        self._read = {}
        await self.look(text)
        parts = []
        for word, one in self._read.items():
            if isinstance(one, Attachment):
                parts.append(one.part())
            elif word in earlier:
                parts.append(earlier[word])
            elif one is not None or word in known:
                refused = one or AttachmentRefused(word, say("it is gone"))
                self._read[word] = refused
                raise refused
        return tuple(parts)


async def _looked_at(word: str) -> Attachment | AttachmentRefused | None:
    try:
        return await asyncio.to_thread(read, word)
    except AttachmentRefused as refused:
        return refused
