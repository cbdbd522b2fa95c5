"""The search index: a file beside the library that can be made again from it at any time.

The library notes in `unsearched` which messages changed, in the transaction that changes them, and nothing is
indexed while a reply streams. Before a search the index catches up with that list.
"""

import sqlite3
import time
import zlib
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

from qwenchat.chat.messages import Message, Part, Role, ToolCallPart, ToolResultPart
from qwenchat.library import encoding
from qwenchat.library.schema import Object, objects
from qwenchat.library.sqlite_file import is_file_or_nothing, journal_mode, open_file, refused, remove_file
from qwenchat.library.words import spaced

_VERSION = 1
_BATCH = 20_000
_BATCH_S = 0.5
"""How many changes are seen to in one transaction, and for how long. Small ones would cost several times the work."""
_LAST = 2**62
"""A number that no message reaches."""
_LONGEST = 1_000_000
"""Characters of a message that are indexed."""
_PAGES = 500
"""Pages of the index that are rewritten in one step, about 20 ms."""
_SCHEMA = """
create virtual table words using fts5(said, thought, content='', prefix='2 3', tokenize='ascii');
create table entries (
  number integer primary key,  -- of the message
  said blob not null,          -- what is indexed of it, compressed: needed to take it out again
  thought blob not null
);
create table traces (merging integer not null);
"""
"""`traces` has a row while words of purged messages are still in the index: 0, or 1 once they are being merged away."""


def index_of(library: Path) -> Path:
    """Where the search index of a library is."""
    return library.with_name(f"{library.stem}.search.sqlite3")


def remove_index(library: Path) -> None:
    """Let the index be made again, since another library takes the place of the one it was made from."""
    with suppress(OSError):
        remove_file(index_of(library))


def searchable(parts: tuple[Part, ...]) -> tuple[str, str]:
    """What is said in a message, tools included, and what was thought."""
    message = Message(Role.ASSISTANT, parts)
    tools = [
        f"{part.name} {part.arguments}" if isinstance(part, ToolCallPart) else part.text
        for part in parts
        if isinstance(part, ToolCallPart | ToolResultPart)
    ]
    return "\n".join(filter(None, (message.text, *tools))), message.reasoning


class SearchIndex:
    """The index of one library, seen from one thread; opened when it is first needed."""

    def __init__(self, library: sqlite3.Connection, path: Path | None) -> None:
        self._library = library
        self._path = path
        self._index: sqlite3.Connection | None = None
        self._opened_file = 0
        self.upto = 0
        """The last change that is indexed; the library may forget it and those before."""

    def find(self, query: str, newest: int, first: int = 0, last: int = _LAST) -> list[tuple[int, float]]:
        """The numbers of messages from `first` to `last` that match, of these the `newest`, with their ranks.

        The lower a rank, the better.
        """
        sql = (
            "select rowid, bm25(words, 2.0, 1.0) from words where words match ? and rowid between ? and ?"
            " order by rowid desc limit ?"
        )
        try:
            return self._opened().execute(sql, (query, first, last, newest)).fetchall()
        except sqlite3.Error as error:
            self._repair(error)
            return []

    def catch_up(self, seconds: float | None = None) -> bool:
        """Index what has changed, for about so long; whether more of it is left that could be done now."""
        until = None if seconds is None else time.monotonic() + seconds
        repaired = False
        while True:
            try:
                if not self._step(until):
                    return False
            except sqlite3.Error as error:
                if repaired or not self._repair(error):
                    return False
                repaired = True
            if until is not None and time.monotonic() >= until:
                return True

    def _step(self, until: float | None) -> bool:
        """Index in one transaction; whether there was something to do."""
        index = self._opened()
        changes = self._from_library(
            "select change, message from unsearched where change > ? order by change limit ?", self.upto, _BATCH
        )
        if changes:
            index.execute("begin immediate")
            enough = time.monotonic() + _BATCH_S
            upto = self._enter(index, changes, enough if until is None else min(enough, until))
            index.execute("commit")
            self.upto = upto
        return bool(changes)

    def settle(self) -> None:
        """Strike from the library's list what is indexed; inside a transaction of the library."""
        if self.upto:
            self._library.execute("delete from unsearched where change <= ?", (self.upto,))

    def purge(self, seconds: float) -> None:
        """Take out what is gone from the library, if there is an index, for about so long."""
        if self._index is not None or (self._path is not None and self._path.exists()):
            self.catch_up(seconds)
            self.forget(seconds)

    def forget(self, seconds: float) -> bool:
        """Rewrite the index without the words of messages that are gone, for about so long; whether it is done."""
        until = time.monotonic() + seconds
        try:
            index = self._opened()
            while trace := index.execute("select merging from traces").fetchone():
                before = index.total_changes
                index.execute("insert into words (words, rank) values ('merge', ?)", (_PAGES if trace[0] else -_PAGES,))
                if index.total_changes - before < 2:
                    index.execute("delete from traces")
                elif not trace[0]:
                    index.execute("update traces set merging = 1")
                if time.monotonic() >= until:
                    return False
        except sqlite3.Error as error:
            self._repair(error)
            return False
        return True

    def close(self) -> None:
        """Close the file."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def _opened(self) -> sqlite3.Connection:
        if self._index is not None and self._file() != self._opened_file:
            self.close()  # another program began a new index
        if self._index is None:
            usable = self._path is not None and is_file_or_nothing(self._path)
            index = open_file(self._path if usable else None, timeout=1)
            try:
                self._prepare(index)
            except BaseException:
                index.close()
                raise
            self._index, self._opened_file = index, self._file()
        return self._index

    def _file(self) -> int:
        try:
            return 0 if self._path is None else self._path.stat().st_ino
        except OSError:
            return -1

    def _prepare(self, index: sqlite3.Connection) -> None:
        index.execute(f"pragma journal_mode={journal_mode()}")
        index.execute("pragma synchronous=normal")
        index.execute("pragma secure_delete=on")
        index.execute("pragma cache_spill=off")  # else a long transaction keeps readers out
        version = self._version(index)
        if version == 0:
            self._library.execute(
                "insert into unsearched (message)"
                " select number from messages where writer is null except select message from unsearched"
            )
            self.upto = 0
            index.execute("begin immediate")
            if index.execute("pragma user_version").fetchone()[0] == 0:
                for statement in filter(str.strip, _SCHEMA.split(";\n")):
                    index.execute(statement)
                index.execute(f"pragma user_version={_VERSION}")
            index.execute("commit")
            if self._path is not None:
                self._path.chmod(0o600)

    def _version(self, index: sqlite3.Connection) -> int:
        """The version of an index, 0 for a new one; raises sqlite3.DatabaseError unless it is one of this program's."""
        index.execute("begin")
        try:
            version = int(index.execute("pragma user_version").fetchone()[0])
            there = objects(index)
        finally:
            if index.in_transaction:
                index.execute("commit")
        if version not in (0, _VERSION) or there != (_own_objects() if version else frozenset()):
            raise sqlite3.DatabaseError("an index of another version")
        return version

    def _enter(self, index: sqlite3.Connection, changes: list[tuple[int, int]], until: float) -> int:
        """Index what changed, until then, and return the last change that was seen to."""
        done = set[int]()
        for change, number in changes:
            if number not in done:
                done.add(number)
                self._replace(index, number)
            if time.monotonic() >= until:
                return change
        return changes[-1][0]

    def _replace(self, index: sqlite3.Connection, number: int) -> None:
        there = self._from_library("select 1 from messages where number = ? and writer is null", number)
        known = index.execute("select said, thought from entries where number = ?", (number,)).fetchone()
        if known:
            insert = "insert into words (words, rowid, said, thought) values ('delete', ?, ?, ?)"
            index.execute(insert, (number, *map(_unpacked, known)))
            index.execute("delete from entries where number = ?", (number,))
        if there:
            rows = self._from_library("select parts from messages where number = ?", number)
            texts = _texts(rows[0][0]) if rows else ("", "")
            index.execute("insert into words (rowid, said, thought) values (?, ?, ?)", (number, *texts))
            packed = [zlib.compress(text.encode(), 1) for text in texts]
            index.execute("insert into entries values (?, ?, ?)", (number, *packed))
        elif known:
            index.execute("delete from traces")
            index.execute("insert into traces values (0)")

    def _from_library(self, sql: str, *values: int) -> list[Any]:
        """Rows of the library; none where it is damaged or they are too long, which is no fault of the index."""
        try:
            return self._library.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            if refused(error):
                raise
            return []

    def _repair(self, error: sqlite3.Error) -> bool:
        """After an error, begin a new index, unless that would not help; whether it is worth trying again."""
        if self._index is not None and self._index.in_transaction:
            with suppress(sqlite3.Error):
                self._index.execute("rollback")
        if refused(error) or "no such module" in str(error) or "syntax error" in str(error):
            return False
        self.close()
        if self._path is not None:
            with suppress(OSError):
                remove_file(self._path)
        return True


@cache
def _own_objects() -> frozenset[Object]:
    """The schema of an index."""
    with closing(open_file(None)) as fresh:
        for statement in filter(str.strip, _SCHEMA.split(";\n")):
            fresh.execute(statement)
        return objects(fresh)


def _texts(parts: object) -> tuple[str, str]:
    """What is indexed of a message; nothing where its row makes no sense."""
    try:
        said, thought = searchable(encoding.unpack_parts(parts))  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError, OverflowError):
        return "", ""
    return spaced(said[:_LONGEST]), spaced(thought[:_LONGEST])


def _unpacked(packed: bytes) -> str:
    try:
        return zlib.decompress(packed).decode()
    except (zlib.error, ValueError, TypeError) as error:
        raise sqlite3.DatabaseError(f"an entry makes no sense: {error}") from error
