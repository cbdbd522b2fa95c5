"""The values of a JSON file one after the other, in as much memory as the largest of them takes."""

import json
import re
from typing import IO, Any

from qwenchat.chat.characters import well_formed_values
from qwenchat.i18n.texts import say
from qwenchat.library.exchange.parsed import ValueUnreadable

LARGEST = 256 * 2**20
"""Bytes of the largest value that is read; what is larger is skipped."""
DEEPEST = 100
"""How far values may be nested."""
MOST = 10_000_000
"""How many values may be inside one: small ones take twenty times the memory that they take in the file."""
_CHUNK = 2**20

_SPACE = re.compile(rb"[ \t\r\n]*+")
_BETWEEN = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
"""Everything from one bracket to the next, with whole strings."""
_BRACKETS = re.compile(rb"[\[{]++|[\]}]++")
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F][0-9a-fA-F])\\u[dD][c-fC-F]", re.DOTALL
)
_BARE = re.compile(rb'[^ \t\r\n,:"\[\]{}]*+')


class Scanner:
    """Goes through a file once, value by value; understands no more of JSON than where a value ends."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._chunk = b""
        self._at = 0

    def next_byte(self) -> bytes:
        """The byte that comes after blanks, which is not taken; empty at the end of the file."""
        while True:
            self._at = _after(_SPACE, self._chunk, self._at)
            if self._at < len(self._chunk):
                return self._chunk[self._at : self._at + 1]
            if not self._read():
                return b""

    def skip(self) -> None:
        """Take the byte that `next_byte` showed."""
        self._at += 1

    def value(self) -> bytes:
        """The value that begins at `next_byte`, taken.

        Raises ValueUnreadable for one that is too large or too deep, and CutOff where the file ends inside it.
        """
        extent = _Extent(self.next_byte())
        pieces: list[bytes] = []
        size = 0
        while True:
            end = extent.end(self._chunk, self._at)
            stop = len(self._chunk) if end is None else end
            size += stop - self._at
            if size <= LARGEST:
                pieces.append(self._chunk[self._at : stop])
            else:
                pieces.clear()
            self._at = stop
            if end is not None:
                break
            if not self._read():
                if extent.bare:
                    break
                raise FileCutOff
        if size > LARGEST:
            raise ValueUnreadable(say("it is larger than {size} MB", size=LARGEST >> 20))
        if extent.deepest > DEEPEST:
            raise ValueUnreadable(say("it is nested more than {number} deep", number=DEEPEST))
        data = b"".join(pieces)
        if sum(map(data.count, (b",", b"[", b"{"))) > MOST:
            raise ValueUnreadable(say("it holds more than {number:,} values", number=MOST))
        return data

    def _read(self) -> bool:
        self._chunk, self._at = self._file.read(_CHUNK), 0
        return bool(self._chunk)


class FileCutOff(Exception):
    """The file ends inside a value."""


class _Extent:
    """Finds where a value ends that comes in pieces."""

    def __init__(self, first: bytes) -> None:
        self.bare = first not in (b'"', b"[", b"{")
        """Whether it is a number or a word, which the end of the file ends too."""
        self.deepest = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def end(self, chunk: bytes, at: int) -> int | None:
        """Where in the next piece the value has ended; None when it goes on."""
        if self.bare:
            stop = _after(_BARE, chunk, at)
            return stop if stop < len(chunk) else None
        if self._escaped and at < len(chunk):
            self._escaped = False
            at += 1
        while at < len(chunk):
            if self._in_string:
                at = _after(_IN_STRING, chunk, at)
                if at == len(chunk):
                    return None
                self._in_string, self._escaped = False, chunk[at : at + 1] == b"\\"
                at += 1
                if self._escaped:
                    self._in_string = True
                elif self._depth == 0:
                    return at
                continue
            at = _after(_BETWEEN, chunk, at) if self._depth else at
            brackets = _BRACKETS.match(chunk, at)
            if brackets is None:
                self._in_string = chunk[at : at + 1] == b'"'
                at += 1
                continue
            size = brackets.end() - at
            if chunk[at] in b"[{":
                self._depth += size
                self.deepest = max(self.deepest, self._depth)
            elif size < self._depth:
                self._depth -= size
            else:
                return at + self._depth
            at = brackets.end()
        return None


def _after(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    """Where what `pattern` matches at `at` ends."""
    found = pattern.match(data, at)
    return found.end() if found else at


def decoded(data: bytes) -> Any:
    """A JSON value as Python's objects, with replacements for what is no text; raises ValueUnreadable."""
    try:
        value = json.loads(data.decode("utf-8", errors="replace"), strict=False)
    except (ValueError, RecursionError) as error:
        raise ValueUnreadable(say("it is not JSON: {error}", error=error)) from error
    return well_formed_values(value) if _LONE_SURROGATE.search(data) else value
