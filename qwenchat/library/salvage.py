"""What can still be read of a damaged or foreign library, into a new one: each row for itself."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwenchat.chat.dates import as_date
from qwenchat.chat.messages import Status, new_id
from qwenchat.library import encoding
from qwenchat.library.conversation import as_role, as_status, as_text, recount
from qwenchat.library.migrations import MIGRATIONS
from qwenchat.library.pages import rows
from qwenchat.library.saving import entitle_again
from qwenchat.library.sqlite_file import open_file

_MESSAGE = "number, id, conversation, parent, role, parts, created, status, note, provenance, timeline, hidden"
_CONVERSATION = "id, title, created, updated, leaf, pinned, archived, renamed, deleted, model"
_COLUMNS = len(_MESSAGE.split(",")) + 1
"""Of a row of messages, with one that is no longer used."""
_PARTS = 5
"""Their place in the row of a message."""
_OLD_MESSAGE, _OLD_CONVERSATION = 11, 5
"""Columns that the first version had."""
_LONGEST_ID = 100


@dataclass(frozen=True, slots=True)
class Salvaged:
    """How much was saved."""

    messages: int
    conversations: int
    from_backup: int = 0
    """Of the messages, those that only the backup still had."""


def salvage(damaged: Path, fresh: Path, backup: Path | None) -> Salvaged:
    """Make a library of what can be read of `damaged`, and of what else `backup` has; it is on disk then.

    Raises sqlite3.Error and OSError when it cannot be written.
    """
    with closing(open_file(fresh)) as connection:
        fresh.chmod(0o600)
        connection.execute("pragma journal_mode=off")
        connection.execute("pragma synchronous=off")
        salvaged = salvage_into(connection, damaged, backup)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    return salvaged


def salvage_into(connection: sqlite3.Connection, damaged: Path, backup: Path | None = None) -> Salvaged:
    """The same into a database that is empty. Raises sqlite3.Error where it cannot be written."""
    for statement in ";".join(MIGRATIONS).split(";"):
        connection.execute(statement)
    connection.execute("pragma foreign_keys=off")
    connection.execute("begin")
    taker = _Taker(connection)
    taker.take(damaged)
    own = _count(connection, "messages")
    if backup is not None:
        taker.take(backup, again=True)
    _bind(connection)
    connection.execute(f"pragma user_version={len(MIGRATIONS)}")
    connection.execute("commit")
    messages = _count(connection, "messages")
    return Salvaged(messages, _count(connection, "conversations"), messages - own)


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchone()[0])


class _Taker:
    """Takes the rows of files into a new library; of a row that is there already, the first counts."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._unreadable: set[str] = set()
        """Messages of which only what the bytes look like could be taken."""

    def take(self, source: Path, *, again: bool = False) -> None:
        """Take in what can be read of a file; `again` means that messages of it may be there already."""
        with suppress(OSError):
            for number, values in rows(source):
                if message := _message(number, values):
                    self._take_message(message, again=again)
                elif conversation := _conversation(values):
                    self._insert(f"conversations ({_CONVERSATION})", conversation)
                elif len(values) == 2 and all(isinstance(value, str) for value in values):
                    self._insert("drafts", values)
                elif len(values) == 3 and all(isinstance(value, str) for value in values):
                    self._insert("blocks", values)

    def _take_message(self, message: tuple[Any, ...], *, again: bool) -> None:
        number, id_, *_ = message
        parts = _parts(message[_PARTS])
        known = self._connection.execute("select parts from messages where id = ?", (id_,)).fetchone()
        if known is not None:
            if again and id_ in self._unreadable and parts is message[_PARTS]:
                self._connection.execute("update messages set parts = ? where id = ?", (parts, id_))
            if again or known[0] == parts:
                return
            id_ = new_id()
        if parts is not message[_PARTS]:
            self._unreadable.add(id_)
        if self._connection.execute("select 1 from messages where number = ?", (number,)).fetchone():
            number = None
        self._insert(f"messages ({_MESSAGE})", (number, id_, *message[2:_PARTS], parts, *message[_PARTS + 1 :]))

    def _insert(self, table: str, row: Sequence[Any]) -> None:
        marks = ", ".join("?" * len(row))
        self._connection.execute(f"insert or ignore into {table} values ({marks})", row)


def _message(number: int, values: list[Any]) -> tuple[Any, ...] | None:
    """The row of a message; None for what is none."""
    if len(values) == _OLD_MESSAGE and isinstance(values[4], bytes) and isinstance(values[3], str):
        values = [None, *values, None]
    if len(values) > _PARTS and isinstance(values[_PARTS], bytes) and isinstance(values[_PARTS - 1], str):
        values = [*values, *[None] * _COLUMNS][:_COLUMNS]  # as SQLite reads a row whose header is damaged
    if len(values) != _COLUMNS or values[0] is not None:
        return None
    _, id_, conversation, parent, role, parts, created, status, note, provenance, timeline, _, hidden = values
    if status == Status.STREAMING:
        status, note = Status.INTERRUPTED, note or str(Status.INTERRUPTED)
    return (
        number,
        _id(id_) or new_id(),
        _id(conversation) or "",
        _id(parent),
        str(as_role(role, made=provenance is not None)),
        parts,
        as_date(created),
        str(as_status(status)),
        as_text(note or ""),
        provenance if isinstance(provenance, bytes) else None,
        timeline if isinstance(timeline, bytes) else None,
        hidden if isinstance(hidden, float) else None,
    )


def _id(value: Any) -> str | None:
    return value[:_LONGEST_ID] if isinstance(value, str) and value else None


def _parts(stored: Any) -> bytes:
    """The parts as they stand there, the same object, or as a text where they cannot be read."""
    data = stored.encode("utf-8", errors="replace") if isinstance(stored, str) else stored
    if isinstance(data, bytes):
        with suppress(ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            encoding.unpack_parts(data)
            return data
    return encoding.pack_parts(encoding.readable_parts(stored))


def _conversation(values: list[Any]) -> tuple[Any, ...] | None:
    """The row of a conversation; None for what is none."""
    if len(values) not in (_OLD_CONVERSATION, _OLD_MESSAGE) or not (id_ := _id(values[0])):
        return None
    if len(values) == _OLD_CONVERSATION:
        if not isinstance(values[2], int | float) or isinstance(values[1], int | float):
            return None  # a row of the schema
        values = [*values, 0, 0, 0, None, "", 0]
    _, title, created, updated, leaf, pinned, archived, renamed, deleted, model, _ = values
    return (
        id_,
        as_text(title or ""),
        as_date(created),
        as_date(updated),
        _id(leaf),
        bool(pinned),
        bool(archived),
        bool(renamed),
        deleted if isinstance(deleted, float) else None,
        as_text(model or ""),
    )


def _bind(connection: sqlite3.Connection) -> None:
    """Give each message a conversation, and each conversation its title and the number of its messages."""
    connection.execute("update messages set conversation = ? where conversation = ''", (new_id(),))
    connection.execute(
        "insert into conversations (id, title, created, updated)"
        " select conversation, '', min(created), max(created) from messages"
        " where conversation not in (select id from conversations) group by conversation"
    )
    connection.execute("delete from blocks where draft not in (select conversation from drafts)")
    for (id_,) in connection.execute("select id from conversations where title = '' and not renamed").fetchall():
        entitle_again(connection, id_)
    for (id_,) in connection.execute("select id from conversations").fetchall():
        recount(connection, id_)
