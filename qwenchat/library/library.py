"""Saved conversations."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from qwenchat.chat.characters import well_formed
from qwenchat.chat.draft import Draft, PastedBlock
from qwenchat.chat.errors import ConversationNotFound, LibraryDamaged, LibraryError, LibraryInUse, LibraryUnwritable
from qwenchat.chat.messages import Message, Role, Status
from qwenchat.chat.timeline import Tick
from qwenchat.i18n.texts import listed, say, sentences
from qwenchat.library import encoding, timeline
from qwenchat.library.conversation import Conversation, Summary, as_text, not_found, summaries, whole
from qwenchat.library.database import connect, copy_in_memory, join, opening, reading, transaction
from qwenchat.library.index import SearchIndex, index_of
from qwenchat.library.maintenance import Maintenance
from qwenchat.library.rescue import before_opening, rescue
from qwenchat.library.saving import entitle_again, put_conversation, put_draft, put_message
from qwenchat.library.search import ExcerptPart, Hit, search, search_in
from qwenchat.library.sqlite_file import require_file
from qwenchat.library.statistics import Statistics, statistics
from qwenchat.library.trash import Trash
from qwenchat.library.writer_locks import Writer

__all__ = ["Conversation", "ExcerptPart", "Hit", "Library", "Summary"]

_CATCH_UP_S = 0.05
"""How long a search may index what was said just before, where the rest is done in the background."""
_NUMBERS = 2**62
"""More than there are messages."""
_FORGET_S = 0.5
"""How long a purge may go on in the search index; a later start does what is left."""


class Library:
    """The conversations of one user, in SQLite; used from one thread. Several processes may write safely."""

    def __init__(
        self, connection: sqlite3.Connection, writer: Writer, notice: str = "", path: Path | None = None
    ) -> None:
        self.notice = notice
        """What the reader must know about saving; empty when all is well."""
        self._connection = connection
        self._writer = writer
        self._bin = Trash(connection)
        self._path = path
        self._index = SearchIndex(connection, index_of(path) if path else None)
        self._upkeep: Maintenance | None = None
        self._seen: object = None
        """The version of the file at the last look."""
        self._mark_interrupted()
        self._purge(own=False)

    @classmethod
    def open(cls, path: Path) -> "Library":
        """Open or make the library at `path`.

        A damaged or foreign file is set aside, and what can be read of it is taken over; where nothing can be written,
        a library in memory is returned that holds what could be read. Both are said in `notice`. Raises LibraryNewer.
        """
        try:
            return cls._on_disk(path)
        except (LibraryUnwritable, LibraryDamaged, LibraryInUse, OSError) as error:
            notice = say("Conversations are not saved, only kept until you quit: {error}", error=error)
            return cls(copy_in_memory(path), Writer(None), notice)

    @classmethod
    def _on_disk(cls, path: Path) -> "Library":
        real = require_file(path)
        said = before_opening(real)
        try:
            return cls._connected(real, said)
        except LibraryDamaged as error:
            return cls._connected(real, sentences(said, rescue(real, error)))

    @classmethod
    def _connected(cls, path: Path, notice: str) -> "Library":
        connection = connect(path)
        with opening(connection, path):
            return cls(connection, Writer(path.parent / "writers"), notice, path)

    @classmethod
    def in_memory(cls, notice: str = "") -> "Library":
        """A library that ends with the process."""
        return cls(connect(None), Writer(None), notice)

    def save(self, conversation: str, message: Message, ticks: Sequence[Tick] = ()) -> None:
        """Insert or update a message; it is on disk when this returns. Raises LibraryUnwritable."""
        with transaction(self._connection):
            self._write(conversation, message, ticks)

    def save_all(self, conversation: str, messages: Sequence[Message], ticks: Sequence[Tick] = ()) -> None:
        """Save several messages, parents first, or none of them; `ticks` are those of the last.

        Raises LibraryUnwritable.
        """
        with transaction(self._connection):
            for message in messages:
                self._write(conversation, message, ticks if message is messages[-1] else ())

    def _write(self, conversation: str, message: Message, ticks: Sequence[Tick]) -> None:
        self._index.settle()
        writer = self._writer.claim() if message.status is Status.STREAMING else None
        put_message(self._connection, conversation, message, ticks, writer)

    def import_conversation(self, given: Conversation, timelines: Mapping[str, Sequence[Tick]] = {}) -> str:
        """Take in a whole conversation, or nothing of it, and return the id it has here.

        It gets another id when its own stands for something else here. What is hidden in it is left out. Raises
        ConversationPresent when it is here already with the same messages, and LibraryUnwritable.
        """
        with transaction(self._connection):
            return put_conversation(self._connection, given, timelines)

    def conversations(self, limit: int | None = None, offset: int = 0, *, archived: bool = False) -> list[Summary]:
        """The conversations, pinned ones first, then the latest; with `archived` those that are, else the others.

        `messages` counts those of the user and the model.
        """
        with reading(self._path):
            return summaries(self._connection, limit, offset, archived)

    def read(self, conversation: str) -> Conversation:
        """All of a conversation; raises ConversationNotFound, and LibraryError where the file cannot be read."""
        with reading(self._path):
            return whole(self._connection, conversation, self.draft(conversation).whole)

    def changed_elsewhere(self) -> bool:
        """Whether somebody else wrote into the file since this was asked last; costs next to nothing."""
        with reading(self._path):
            (now,) = self._connection.execute("pragma data_version").fetchone()
        before, self._seen = self._seen, now
        return bool(now != before)

    def state_of(self, conversation: str) -> tuple[object, ...]:
        """What is another thing after messages of a conversation came, changed or went, but for growing replies."""
        with reading(self._path):
            return tuple(
                self._connection.execute(
                    "select count(*) - total(status = 'streaming'), total(hidden is not null), case when"
                    " total(status = 'streaming') = 0 then (select updated from conversations where id = ?1) end,"
                    " (select deleted from conversations where id = ?1) from messages where conversation = ?1",
                    (conversation,),
                ).fetchone()
            )

    @property
    def in_memory_only(self) -> bool:
        """Whether there is no file, so that only this thread can read it."""
        return self._path is None

    def statistics(self, since: float) -> Statistics:
        """What happened since a moment in Unix seconds; unless the library is in memory, from any thread.

        Raises LibraryError.
        """
        with reading(self._path):
            if self._path is None:
                return statistics(self._connection, since)
            with closing(join(self._path)) as connection:
                return statistics(connection, since)

    def search(
        self, text: str, *, thoughts: bool = False, limit: int = 50, conversation: str | None = None
    ) -> list[Hit]:
        """What was said that has all the words of `text`, the best first; thoughts too when they are wanted.

        Words are beginnings of words, quotes make a phrase. Archived conversations are searched, deleted ones not.
        In one `conversation` alone the hits stand in its order.
        """
        if not self.indexing:
            self._index.catch_up(_CATCH_UP_S if self._upkeep else None)
        with reading(self._path):
            if conversation is not None:
                return search_in(self._connection, self._index, conversation, text, thoughts=thoughts, limit=limit)
            return search(self._connection, self._index, text, thoughts=thoughts, limit=limit)

    def resolve(self, prefix: str) -> str:
        """The id that begins with `prefix`; raises ConversationNotFound when there is none or more than one."""
        prefix = well_formed(prefix)
        with reading(self._path):
            rows = self._connection.execute(
                "select id from conversations where substr(id, 1, length(?1)) = ?1 and deleted is null"
                " order by id != ?1 limit 5",
                (prefix,),
            ).fetchall()
        if not rows or not prefix:
            raise not_found(prefix)
        if len(rows) == 1 or rows[0][0] == prefix:
            return str(rows[0][0])
        several = listed(row[0] for row in rows)
        raise ConversationNotFound(
            say("Several conversations begin with {prefix}: {several}.", prefix=prefix, several=several),
            say("Give more digits."),
        )

    def latest(self) -> str | None:
        """The id of the conversation that changed last, archived ones aside."""
        with reading(self._path):
            row = self._connection.execute(
                "select id from conversations where deleted is null and archived = 0 order by updated desc limit 1"
            ).fetchone()
        return str(row[0]) if row else None

    def timeline(self, message: str) -> tuple[Tick, ...]:
        """When each piece of a reply came; empty when that is not known."""
        with reading(self._path):
            row = self._connection.execute("select timeline from messages where id = ?", (message,)).fetchone()
            return timeline.unpack(row[0]) if row and row[0] else ()

    def select(self, conversation: str, leaf: str) -> None:
        """Remember which branch is being read."""
        with transaction(self._connection):
            self._connection.execute("update conversations set leaf = ? where id = ?", (leaf, conversation))

    def rename(self, conversation: str, title: str) -> None:
        """Give a conversation a title that stays; a blank one makes it be named by what is said in it again."""
        line = " ".join(well_formed(title).split())
        with transaction(self._connection):
            self._connection.execute(
                "update conversations set title = ?, renamed = ? where id = ?", (line, bool(line), conversation)
            )
            if not line:
                entitle_again(self._connection, conversation)

    def pin(self, conversation: str, on: bool) -> None:
        """Keep a conversation above the others, or no more."""
        with transaction(self._connection):
            self._connection.execute("update conversations set pinned = ? where id = ?", (on, conversation))

    def archive(self, conversation: str, on: bool) -> None:
        """Put a conversation out of the way, where only search and the archive's list find it, or bring it back."""
        with transaction(self._connection):
            self._connection.execute("update conversations set archived = ? where id = ?", (on, conversation))

    def delete(self, conversation: str) -> None:
        """Hide a conversation. It is removed from the disk when this library closes, or by a start an hour later."""
        with transaction(self._connection):
            self._bin.delete(conversation)

    def undelete(self, conversation: str) -> None:
        """Bring a deleted conversation back."""
        with transaction(self._connection):
            self._bin.undelete(conversation)

    def hide(self, messages: Iterable[str]) -> None:
        """Delete messages, as `delete` does a conversation; what hangs on them moves up to what is left."""
        with transaction(self._connection):
            self._bin.hide(messages)

    def unhide(self, messages: Iterable[str]) -> None:
        """Bring deleted messages back."""
        with transaction(self._connection):
            self._bin.unhide(messages)

    def save_draft(self, conversation: str | None, draft: str | Draft) -> None:
        """Keep what was written and not sent; None stands for a chat that has not begun."""
        with transaction(self._connection):
            put_draft(self._connection, conversation or "", Draft(draft) if isinstance(draft, str) else draft)

    def draft(self, conversation: str | None) -> Draft:
        """What was written in that conversation and not sent."""
        key = (conversation or "",)
        with reading(self._path):
            row = self._connection.execute("select text from drafts where conversation = ?", key).fetchone()
            blocks = self._connection.execute("select label, text from blocks where draft = ?", key).fetchall()
        return Draft.of(
            as_text(row[0]) if row else "", (PastedBlock(as_text(label), as_text(text)) for label, text in blocks)
        )

    def said_before(self, number: int | None) -> tuple[int, Message] | None:
        """The newest message of the user's that is older than the one with that number, with its own number."""
        with reading(self._path):
            row = self._connection.execute(
                "select number, parts from messages where role = 'user' and hidden is null and number < ?"
                " and conversation in (select id from conversations where deleted is null)"
                " order by number desc limit 1",
                (number if number is not None else _NUMBERS,),
            ).fetchone()
            return (row[0], Message(Role.USER, encoding.unpack_parts(row[1]))) if row else None

    def look_after(self, after_s: float = 0.0) -> None:
        """Index, back up and examine the library in the background from `after_s` seconds from now on."""
        if self._path is not None and self._upkeep is None:
            self._upkeep = Maintenance(self._path, after_s)

    @property
    def indexing(self) -> bool:
        """Whether older messages are being made ready for the search, so that it does not find them all yet."""
        return self._upkeep is not None and self._upkeep.indexing

    def close(self) -> None:
        """Remove what was deleted for good, and close the file."""
        if self._upkeep is not None:
            self._upkeep.close()
        self._purge(own=True)
        with suppress(LibraryError):
            if self._index.upto:
                with transaction(self._connection):
                    self._index.settle()
        self._index.close()
        self._connection.close()
        self._writer.close()

    def _purge(self, *, own: bool) -> None:
        """Remove what was deleted; where that cannot be, a later start does it."""
        with suppress(LibraryError), reading(self._path):
            if self._bin.due(own=own):
                with transaction(self._connection):
                    self._bin.purge(own=own)
                self._index.purge(_FORGET_S)

    def _mark_interrupted(self) -> None:
        """Replies whose writer died stay as they are, and are marked so."""
        rows = self._connection.execute("select distinct writer from messages where writer > ''")
        tokens = [str(row[0]) for row in rows]
        dead = [token for token in tokens if self._writer.is_dead(token)]
        if dead:
            with transaction(self._connection):
                for token in dead:
                    self._connection.execute(
                        "insert into unsearched (message) select number from messages where writer = ?", (token,)
                    )
                    self._connection.execute(
                        "update messages set status = 'interrupted', note = 'interrupted', writer = null"
                        " where writer = ?",
                        (token,),
                    )
        self._writer.remove_stale()
