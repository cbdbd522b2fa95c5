"""A stream of bytes put together from its start and the rest."""

from io import BytesIO, RawIOBase
from typing import IO, Any


class ReplayedStream(RawIOBase):
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
