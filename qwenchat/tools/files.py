"""Listing, reading and searching files below the folders that the user allows."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated

import msgspec

from qwenchat.chat.errors import ToolRefused
from qwenchat.engine.base import StopSignal
from qwenchat.i18n.texts import say
from qwenchat.tools.folders import Folders, text_of
from qwenchat.tools.tool import Tool, tool

MOST_LISTED = 300
MOST_LINES = 400
"""Lines that are read at a time."""
MOST_HITS = 100
MOST_SEARCHED = 5_000
"""Files, and entries of one folder."""
DEEPEST = 40
"""Folders in each other; each of them is open while those in it are searched."""
SEARCHED_BYTES = 50_000_000
SEARCHED_S = 10.0
_LONGEST_LINE = 300

_FOLDER = msgspec.Meta(description="A folder; empty for the first one that is allowed", max_length=1_000)


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    folder: Annotated[str, _FOLDER] = ""


class _Read(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: Annotated[str, msgspec.Meta(description="The file", max_length=1_000)]
    first_line: Annotated[int, msgspec.Meta(description="Where to begin, counted from 1", ge=1)] = 1


class _Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[
        str, msgspec.Meta(description="What to look for; case does not matter", min_length=1, max_length=200)
    ]
    folder: Annotated[str, _FOLDER] = ""


def files(folders: Folders) -> tuple[Tool, ...]:
    """The three tools."""
    allowed = "Allowed folders: {}.".format(", ".join(folders.named) or "none yet")

    def list_files(given: _List, stop: StopSignal) -> str:
        with folders.opened(given.folder or ".", folder=True) as descriptor:
            return _listed(descriptor)

    def read_file(given: _Read, stop: StopSignal) -> str:
        with folders.opened(given.path) as descriptor:
            text, cut = text_of(descriptor, given.path)
        return _lines(text, given.first_line, cut)

    def search_files(given: _Search, stop: StopSignal) -> str:
        with folders.opened(given.folder or ".", folder=True) as descriptor:
            return _Searching(given.text, stop).all(descriptor)

    return (
        tool("list_files", f"List the files in a folder. {allowed}", _List, list_files),
        tool("read_file", f"Read a text file. {allowed}", _Read, read_file),
        tool("search_files", f"Find a text in the files below a folder. {allowed}", _Search, search_files),
    )


def _listed(descriptor: int) -> str:
    rows: list[str] = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if len(rows) == MOST_LISTED:
                rows.append(say("[cut after {number} entries]", number=MOST_LISTED))
                break
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    rows.append(f"{entry.name}/")
                else:
                    rows.append(f"{entry.name}  {entry.stat(follow_symlinks=False).st_size:,} bytes")
    return "\n".join(sorted(rows[:MOST_LISTED]) + rows[MOST_LISTED:]) or say("The folder is empty.")


def _lines(text: str, first: int, cut: bool) -> str:
    lines = text.splitlines()
    if first > max(1, len(lines)):
        raise ToolRefused(say("The file has {number} lines.", number=len(lines)))
    shown = lines[first - 1 : first - 1 + MOST_LINES]
    last = first - 1 + len(shown)
    more = ""
    if last < len(lines):
        more = say("\n[lines {first} to {last} of {all}]", first=first, last=last, all=len(lines))
    elif cut:
        more = say("\n[the file goes on, but no more of it can be read]")
    return "\n".join(shown) + more or say("The file is empty.")


class _Searching:
    """One search, which looks at so many files and bytes at most, and for so long."""

    def __init__(self, text: str, stop: StopSignal) -> None:
        self._text, self._stop = text.casefold(), stop
        self._files = self._bytes = 0
        self._ends = time.monotonic() + SEARCHED_S
        self._cut = ""
        """Why not everything was looked at."""

    def all(self, descriptor: int) -> str:
        """The lines that have the text, each with its file and number."""
        hits: list[str] = []
        for hit in self._hits(descriptor):
            if len(hits) == MOST_HITS:
                self._cut = say("[cut after {number} hits]", number=MOST_HITS)
                break
            hits.append(hit)
        return "\n".join([*hits, *([self._cut] if self._cut else [])]) or say("Nothing was found.")

    def _hits(self, folder: int, path: str = "", depth: int = 0) -> Iterator[str]:
        """Those in the files of a folder, and then in the folders below it; what is a link is passed over."""
        entries: list[tuple[bool, str]] = []
        with os.scandir(folder) as found:
            for entry in found:
                if self._over():
                    return
                if len(entries) > MOST_SEARCHED:
                    self._cut = say("[not everything was searched: there are too many files]")
                    break
                with suppress(OSError):
                    entries.append((entry.is_dir(follow_symlinks=False), entry.name))
        for is_folder, name in sorted(entries):
            self._files += not is_folder
            if self._over():
                return
            below = f"{path}{name}"
            if not is_folder:
                yield from self._hits_in(folder, name, below)
            elif not name.startswith("."):
                yield from self._hits_below(folder, name, below, depth + 1)

    def _hits_below(self, folder: int, name: str, path: str, depth: int) -> Iterator[str]:
        if depth > DEEPEST:
            self._cut = say("[not everything was searched: folders are nested too deeply]")
            return
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            return
        try:
            yield from self._hits(descriptor, f"{path}/", depth)
        except OSError:  # it cannot be listed
            return
        finally:
            os.close(descriptor)

    def _over(self) -> bool:
        if self._stop.is_set() or time.monotonic() > self._ends or self._bytes > SEARCHED_BYTES:
            self._cut, over = say("[not everything was searched: it takes too long]"), True
        elif over := self._files > MOST_SEARCHED:
            self._cut = say("[not everything was searched: there are too many files]")
        return over

    def _hits_in(self, folder: int, name: str, path: str) -> Iterator[str]:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            return
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return
            text, _ = text_of(descriptor, name)
        except (ToolRefused, OSError):
            return
        finally:
            os.close(descriptor)
        self._bytes += len(text)
        for number, line in enumerate(text.splitlines(), 1):
            if self._text in line.casefold():
                yield f"{path}:{number}: {line.strip()[:_LONGEST_LINE]}"
