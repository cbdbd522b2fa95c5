"""Bytes of a file, unpacked where it is a zip archive, and no more of them than it can honestly hold."""

import lzma
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from tempfile import TemporaryFile
from typing import IO, Any

from qwenchat.chat.errors import ImportFailed
from qwenchat.i18n.texts import say
from qwenchat.library.exchange.stream import ReplayedStream

_ZIP = b"PK\x03\x04"
_BUFFER = 2**20
_MEMBER = re.compile(r"(?:.*/)?conversations(?:[-_]\d+)?\.json", re.IGNORECASE)
"""What ChatGPT calls its conversations, in one file or in several."""
_FREE = 64 * 2**20
_RATIO = 200
"""Text shrinks to a tenth or a twentieth; what shrinks more than this is made to fill memory."""


@contextmanager
def opened(file: IO[bytes]) -> Iterator[Iterator[IO[bytes]]]:
    """The files of conversations in `file`: itself, or those in the archive that it is. Raises ImportFailed."""
    start = file.read(len(_ZIP))
    whole = ReplayedStream(start, file)
    if start != _ZIP:
        yield iter([BufferedReader(whole, _BUFFER)])
        return
    with TemporaryFile() as copy:
        if file.seekable():
            file.seek(0)
        else:
            shutil.copyfileobj(whole, copy)
        with _damage():
            archive = zipfile.ZipFile(file if file.seekable() else copy)
        with archive:
            members = sorted(name for name in archive.namelist() if _MEMBER.fullmatch(name))
            if not members:
                raise ImportFailed(say("There is no conversations.json in this archive."))
            yield (BufferedReader(_Member(archive, name), _BUFFER) for name in members)


class _Member(RawIOBase):
    """A file out of an archive, which may not turn out to be much longer than it honestly can be.

    Raises ImportFailed then, and where the archive is damaged.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        with _damage():
            self._left = _FREE + _RATIO * archive.getinfo(name).compress_size
            self._file = archive.open(name)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next."""
        with _damage():
            data = self._file.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise ImportFailed(say("The archive unpacks to far more than text does."), say("It was left alone."))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _damage() -> Iterator[None]:
    """Whatever `zipfile` raises over bytes that are no sound archive, as ImportFailed."""
    try:
        yield
    except (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, RuntimeError, EOFError,
        OSError, ValueError, OverflowError, LookupError,
    ) as error:  # fmt: skip
        raise ImportFailed(
            say("The archive is damaged or encrypted: {error}.", error=error), say("Unpack it yourself.")
        ) from error
