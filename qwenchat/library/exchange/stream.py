"""Streams of bytes put together and kept within bounds."""

from io import BytesIO, RawIOBase
from typing import IO, Any

from qwenchat.chat.errors import ImportFailed
from qwenchat.i18n.texts import say


class Joined(RawIOBase):
    """A file of which the start was read already, from its start."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start = BytesIO(start)
        self._rest = rest

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next."""
        data = self._start.read(len(buffer)) or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Bounded(RawIOBase):
    """A file out of an archive, which may not turn out to be longer than `limit` bytes; raises ImportFailed then."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._left = limit

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next."""
        data = self._file.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise ImportFailed(say("The archive unpacks to far more than text does."), say("It was left alone."))
        buffer[: len(data)] = data
        return len(data)
