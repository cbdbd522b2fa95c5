"""Bytes of a file, unpacked where it is a zip archive, and no more of them than it can honestly hold."""

import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from tempfile import TemporaryFile
from typing import IO

from qwenchat.chat.errors import ImportFailed
from qwenchat.i18n.texts import say
from qwenchat.library.exchange.stream import Bounded, Joined

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
    whole = Joined(start, file)
    if start != _ZIP:
        yield iter([BufferedReader(whole, _BUFFER)])
        return
    with TemporaryFile() as copy:
        if file.seekable():
            file.seek(0)
        else:
            shutil.copyfileobj(whole, copy)
        try:
            with zipfile.ZipFile(file if file.seekable() else copy) as archive:
                members = sorted(name for name in archive.namelist() if _MEMBER.fullmatch(name))
                if not members:
                    raise ImportFailed(say("There is no conversations.json in this archive."))
                yield (_member(archive, name) for name in members)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
            raise ImportFailed(
                say("The archive is damaged or encrypted: {error}.", error=error), say("Unpack it yourself.")
            ) from error


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    packed = archive.getinfo(name).compress_size
    return BufferedReader(Bounded(archive.open(name), _FREE + _RATIO * packed), _BUFFER)
