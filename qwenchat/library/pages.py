"""The rows of a damaged SQLite file, read page by page, without its schema, its trees or its indexes.

The format: https://www.sqlite.org/fileformat2.html. Nothing that is wrong raises: what makes no sense is passed over.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from qwenchat.library.sqlite_file import beside

_USUAL = 4096
_SIZES = tuple(2**power for power in range(9, 17))
_LEAF = 0x0D
_MOST_COLUMNS = 50
_LONGEST = 2**29
_WAL_HEADER, _FRAME_HEADER = 32, 24
_NUMBERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes of an integer by its type."""

Row = tuple[int, list[Any]]


def rows(path: Path) -> Iterator[Row]:
    """Each row of each table, with its number; values are int, float, bytes, str or None.

    Where the page size in the header may itself be damaged, the usual one is tried too, so rows can come twice.
    Raises OSError.
    """
    with path.open("rb") as file:
        header = file.read(24)
        size = int.from_bytes(header[16:18], "big")
        size = 65536 if size == 1 else size
        for page_size in dict.fromkeys((size if size in _SIZES else _USUAL, _USUAL)):
            for reserved in dict.fromkeys(header[20:21] + b"\0"):
                if reserved <= page_size // 8:
                    yield from _Pages(file, path, page_size, page_size - reserved).rows()


class _Pages:
    """The pages of a file, the newest version of each: that in the log, if there is one."""

    def __init__(self, file: BinaryIO, path: Path, size: int, usable: int) -> None:
        self._file = file
        self._size = size
        self._usable = usable
        self._logged: dict[int, bytes] = _logged(beside(path, "-wal"), size)
        in_file = range(1, file.seek(0, 2) // size + 2)
        self._numbers = [*in_file, *sorted(self._logged.keys() - set(in_file))]
        self._last = self._numbers[-1]

    def _page(self, number: int) -> bytes:
        if number in self._logged:
            return self._logged[number]
        self._file.seek((number - 1) * self._size)
        return self._file.read(self._size)

    def rows(self) -> Iterator[Row]:
        """What the leaves of tables hold."""
        for number in self._numbers:
            page = self._page(number)
            start = 100 if number == 1 else 0
            if page[start : start + 1] != bytes([_LEAF]):
                continue
            count = int.from_bytes(page[start + 3 : start + 5], "big")
            pointers = page[start + 8 : start + 8 + 2 * min(count, self._size // 4)]
            for (at,) in struct.iter_unpack(">H", pointers[: len(pointers) // 2 * 2]):
                if row := self._row(page, at & (self._size - 1)):  # as SQLite does
                    yield row

    def _row(self, page: bytes, at: int) -> Row | None:
        size, at = _varint(page, at)
        number, at = _varint(page, at)
        if not 0 < size <= _LONGEST or at > len(page):
            return None
        values = _values(self._payload(page, at, size))
        return (number, values) if values else None

    def _payload(self, page: bytes, at: int, size: int) -> bytes:
        """The bytes of a record, those on further pages too; fewer where a page is missing."""
        usable = self._usable
        local = size
        if size > usable - 35:
            least = (usable - 12) * 32 // 255 - 23
            local = least + (size - least) % (usable - 4)
            local = local if local <= usable - 35 else least
        pieces = [page[at : at + local]]
        left = size - local
        next_ = int.from_bytes(page[at + local : at + local + 4], "big") if left else 0
        seen: set[int] = set()
        while left > 0 and 0 < next_ <= self._last and next_ not in seen:
            seen.add(next_)
            page = self._page(next_)
            pieces.append(page[4 : 4 + min(left, usable - 4)])
            left -= len(pieces[-1])
            next_ = int.from_bytes(page[:4], "big")
        return b"".join(pieces)


def _logged(path: Path, size: int) -> dict[int, bytes]:
    """The pages of a write-ahead log as of its last commit, also those that SQLite passes over for a damaged byte."""
    try:
        with path.open("rb") as file:
            salts = file.read(_WAL_HEADER)[16:24]
            pages: dict[int, bytes] = {}
            committed: dict[int, bytes] = {}
            while len(frame := file.read(_FRAME_HEADER + size)) == _FRAME_HEADER + size:
                number, pages_then = struct.unpack(">II", frame[:8])
                if frame[8:16] == salts and number:
                    pages[number] = frame[_FRAME_HEADER:]
                    if pages_then:
                        committed |= pages
                        pages = {}
            return committed
    except OSError:
        return {}


def _values(record: bytes) -> list[Any]:
    """The columns of a record; empty where it is none."""
    length, at = _varint(record, 0)
    if not at <= length <= min(len(record), 9 * _MOST_COLUMNS):
        return []
    kinds = []
    while at < length:
        kind, at = _varint(record, at)
        kinds.append(kind)
    values, at = [], length
    for kind in kinds:
        value, size = _value(record, at, kind)
        values.append(value)
        at += size
    return values


def _value(record: bytes, at: int, kind: int) -> tuple[Any, int]:
    """The value of that kind and its length in bytes."""
    if kind in _NUMBERS:
        size = _NUMBERS[kind]
        return int.from_bytes(record[at : at + size], "big", signed=True), size
    if kind == 7:
        data = record[at : at + 8]
        return (struct.unpack(">d", data)[0] if len(data) == 8 else None), 8
    if kind >= 12:
        size = (kind - 12) // 2
        data = record[at : at + size]
        return (data.decode("utf-8", errors="replace") if kind % 2 else data), size
    return {8: 0, 9: 1}.get(kind), 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = 0
    for byte in data[at : at + 8]:
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | (data[at] if at < len(data) else 0), at + 1
