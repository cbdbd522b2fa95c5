"""Saved conversations."""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwenchat.chat.errors import ConversationNotFound, LibraryDamaged, LibraryUnwritable
from qwenchat.chat.messages import Message, Role, Status
from qwenchat.chat.timeline import Tick
from qwenchat.library import encoding, timeline
from qwenchat.library.database import connect, copy_in_memory, reading, set_aside, transaction
from qwenchat.library.writers import Writer

_TITLE = 80


@dataclass(frozen=True, slots=True)
class Summary:
    """One row of the list of conversations."""

    id: str
    title: str
    created: float
    updated: float
    model: str
    messages: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """A whole conversation, parents before children."""

    id: str
    title: str
    created: float
    updated: float
    messages: tuple[Message, ...]
    leaf: str | None
    draft: str


class Library:
    """The conversations of one user, in SQLite; used from one thread. Several processes may write safely."""

    def __init__(self, connection: sqlite3.Connection, writer: Writer, notice: str = "") -> None:
        self.notice = notice
        """What the reader must know about saving; empty when all is well."""
        self._connection = connection
        self._writer = writer
        self._mark_interrupted()

    @classmethod
    def open(cls, path: Path) -> "Library":
        """Open or make the library at `path`.

        A damaged file is set aside; where nothing can be written, a library in memory is returned that holds what
        could be read. Both are said in `notice`. Raises LibraryNewer.
        """
        try:
            return cls._on_disk(path)
        except (LibraryUnwritable, OSError) as error:
            notice = f"Conversations are not saved, only kept until you quit: {error}"
            return cls(copy_in_memory(path), Writer(None), notice)

    @classmethod
    def _on_disk(cls, path: Path) -> "Library":
        notice = ""
        try:
            connection = connect(path)
        except LibraryDamaged as error:
            aside = set_aside(path)
            notice = f"{error.what} It was set aside as {aside.name}, and a new library was begun."
            connection = connect(path)
        return cls(connection, Writer(path.parent / "writers"), notice)

    @classmethod
    def in_memory(cls, notice: str = "") -> "Library":
        """A library that ends with the process."""
        return cls(connect(None), Writer(None), notice)

    def save(self, conversation: str, message: Message, ticks: Sequence[Tick] = ()) -> None:
        """Insert or update a message; it is on disk when this returns. Raises LibraryUnwritable."""
        with transaction(self._connection):
            self._write(conversation, message, ticks)

    def save_all(self, conversation: str, messages: Iterable[Message]) -> None:
        """Save several messages, parents first, or none of them. Raises LibraryUnwritable."""
        with transaction(self._connection):
            for message in messages:
                self._write(conversation, message, ())

    def _write(self, conversation: str, message: Message, ticks: Sequence[Tick]) -> None:
        now = time.time()
        writer = self._writer.claim() if message.status is Status.STREAMING else None
        title = _title(message.text) if message.role is Role.USER else ""
        self._connection.execute(
            "insert into conversations (id, title, created, updated, leaf) values (?, ?, ?, ?, ?)"
            " on conflict (id) do update set updated = excluded.updated, leaf = excluded.leaf,"
            " title = case title when '' then excluded.title else title end",
            (conversation, title, now, now, message.id),
        )
        self._connection.execute(
            "insert into messages values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " on conflict (id) do update set parts = excluded.parts, status = excluded.status,"
            " note = excluded.note, provenance = excluded.provenance, timeline = excluded.timeline,"
            " writer = excluded.writer",
            (
                message.id,
                conversation,
                message.parent,
                str(message.role),
                encoding.pack_parts(message.parts),
                message.created,
                str(message.status),
                encoding.clean(message.note),
                encoding.pack_provenance(message.provenance),
                timeline.pack(ticks) if ticks else None,
                writer,
            ),
        )

    def conversations(self, limit: int | None = None, offset: int = 0) -> list[Summary]:
        """The conversations, newest first; `messages` counts those of the user and the model."""
        with reading():
            rows = self._connection.execute(
                "select id, title, created, updated,"
                " coalesce((select json_extract(cast(provenance as text), '$.model.name') from messages"
                "   where conversation = c.id and json_valid(cast(provenance as text))"
                "   order by rowid desc limit 1), ''),"
                " (select count(*) from messages where conversation = c.id and role in ('user', 'assistant'))"
                " from conversations c order by updated desc limit ? offset ?",
                (-1 if limit is None else limit, offset),
            )
            return [Summary(*row) for row in rows]

    def read(self, conversation: str) -> Conversation:
        """All of a conversation; raises ConversationNotFound, and LibraryError when its rows make no sense."""
        with reading():
            row = self._connection.execute(
                "select id, title, created, updated, leaf from conversations where id = ?", (conversation,)
            ).fetchone()
            if row is None:
                raise _not_found(conversation)
            rows = self._connection.execute(
                "select id, parent, role, parts, created, status, note, provenance from messages"
                " where conversation = ? order by rowid",
                (conversation,),
            )
            messages = tuple(_message(row) for row in rows)
        id_, title, created, updated, leaf = row
        return Conversation(id_, title, created, updated, messages, leaf, self.draft(id_))

    def resolve(self, prefix: str) -> str:
        """The id that begins with `prefix`; raises ConversationNotFound when there is none or more than one."""
        with reading():
            rows = self._connection.execute(
                "select id from conversations where substr(id, 1, length(?1)) = ?1 limit 5", (prefix,)
            ).fetchall()
        if not rows or not prefix:
            raise _not_found(prefix)
        if len(rows) == 1:
            return str(rows[0][0])
        several = ", ".join(row[0] for row in rows)
        raise ConversationNotFound(f"Several conversations begin with {prefix}: {several}.", "Give more digits.")

    def latest(self) -> str | None:
        """The id of the conversation that changed last."""
        summaries = self.conversations(limit=1)
        return summaries[0].id if summaries else None

    def timeline(self, message: str) -> tuple[Tick, ...]:
        """When each piece of a reply came; empty when that is not known."""
        with reading():
            row = self._connection.execute("select timeline from messages where id = ?", (message,)).fetchone()
            return timeline.unpack(row[0]) if row and row[0] else ()

    def select(self, conversation: str, leaf: str) -> None:
        """Remember which branch is being read."""
        with transaction(self._connection):
            self._connection.execute("update conversations set leaf = ? where id = ?", (leaf, conversation))

    def rename(self, conversation: str, title: str) -> None:
        """Give a conversation another title."""
        with transaction(self._connection):
            self._connection.execute("update conversations set title = ? where id = ?", (_title(title), conversation))

    def delete(self, conversation: str) -> None:
        """Delete a conversation and its messages."""
        with transaction(self._connection):
            self._connection.execute("delete from conversations where id = ?", (conversation,))
            self._connection.execute("delete from drafts where conversation = ?", (conversation,))

    def save_draft(self, conversation: str | None, text: str) -> None:
        """Keep what was typed and not sent; None stands for a chat that has not begun."""
        with transaction(self._connection):
            self._connection.execute(
                "insert into drafts values (?, ?) on conflict (conversation) do update set text = excluded.text",
                (conversation or "", encoding.clean(text)),
            )

    def draft(self, conversation: str | None) -> str:
        """What was typed in that conversation and not sent."""
        with reading():
            row = self._connection.execute(
                "select text from drafts where conversation = ?", (conversation or "",)
            ).fetchone()
        return str(row[0]) if row else ""

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
        self._writer.close()

    def _mark_interrupted(self) -> None:
        """Replies whose writer died stay as they are, and are marked so."""
        with reading():
            rows = self._connection.execute("select distinct writer from messages where writer > ''")
            tokens = [str(row[0]) for row in rows]
        dead = [token for token in tokens if self._writer.is_dead(token)]
        if dead:
            with transaction(self._connection):
                for token in dead:
                    self._connection.execute(
                        "update messages set status = 'interrupted', note = 'interrupted', writer = null"
                        " where writer = ?",
                        (token,),
                    )
        self._writer.remove_stale()


def _message(row: tuple[Any, ...]) -> Message:
    id_, parent, role, parts, created, status, note, provenance = row
    return Message(
        role=Role(role),
        parts=encoding.unpack_parts(parts),
        parent=parent,
        id=id_,
        created=created,
        status=Status(status),
        note=note,
        provenance=encoding.unpack_provenance(provenance),
    )


def _not_found(conversation: str) -> ConversationNotFound:
    return ConversationNotFound(f"There is no conversation {conversation}.", "`qwenchat list` shows them.")


def _title(text: str) -> str:
    """The first line that says something, cut to a length that fits a list."""
    line = next((line.strip() for line in encoding.clean(text).splitlines() if line.strip()), "")
    return line if len(line) <= _TITLE else line[: _TITLE - 1].rstrip() + "…"
