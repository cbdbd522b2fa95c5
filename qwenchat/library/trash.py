"""What was deleted: hidden at once, brought back on demand, and later removed from the disk."""

import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from qwenchat.chat.dates import as_date
from qwenchat.chat.messages import Message
from qwenchat.library.conversation import recount

KEPT_S = 3600.0
"""How long what a program that died had deleted can still be brought back."""


class Trash:
    """The deleted conversations and messages of one database; changes belong into a transaction of the caller."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._conversations: set[str] = set()
        self._messages: set[str] = set()

    def delete(self, conversation: str) -> None:
        """Hide a conversation."""
        self._mark("conversations", "deleted", {conversation}, as_date(time.time()))
        self._conversations.add(conversation)

    def undelete(self, conversation: str) -> None:
        """Bring a conversation back."""
        self._mark("conversations", "deleted", {conversation}, None)
        self._conversations.discard(conversation)

    def hide(self, messages: Iterable[str]) -> None:
        """Hide messages."""
        ids = set(messages)
        self._mark("messages", "hidden", ids, as_date(time.time()))
        self._recount(ids)
        self._messages |= ids

    def unhide(self, messages: Iterable[str]) -> None:
        """Bring messages back."""
        ids = set(messages)
        self._mark("messages", "hidden", ids, None)
        self._recount(ids)
        self._messages -= ids

    def _mark(self, table: str, column: str, ids: set[str], when: float | None) -> None:
        self._connection.executemany(f"update {table} set {column} = ? where id = ?", [(when, id_) for id_ in ids])

    def due(self, *, own: bool) -> bool:
        """Whether there is something to purge."""
        return bool(self._due("conversations", "deleted", own) or self._due("messages", "hidden", own))

    def purge(self, *, own: bool) -> None:
        """Remove for good what was deleted long ago, with `own` also what was deleted through this bin."""
        for id_ in self._due("conversations", "deleted", own):
            self._unsearch("conversation", id_)
            self._connection.execute(
                "delete from drafts where conversation in (select id from messages where conversation = ?)", (id_,)
            )
            self._connection.execute("delete from messages where conversation = ?", (id_,))
            self._connection.execute("delete from drafts where conversation = ?", (id_,))
            self._connection.execute("delete from conversations where id = ?", (id_,))
        gone = self._due("messages", "hidden", own)
        for conversation in self._touched(gone):
            self._remove(conversation, gone)
        if own:
            self._conversations.clear()
            self._messages.clear()

    def _due(self, table: str, column: str, own: bool) -> frozenset[str]:
        """The ids of what is to go. What another program undeleted meanwhile stays."""
        before = as_date(time.time()) - KEPT_S
        mine = (self._conversations if table == "conversations" else self._messages) if own else set()
        rows = self._connection.execute(f"select id, {column} from {table} where {column} is not null")
        return frozenset(id_ for id_, when in rows if id_ in mine or (isinstance(when, float) and when < before))

    def _remove(self, conversation: str, gone: frozenset[str]) -> None:
        """Delete messages, and hang what answered them on what they answered."""
        rows = self._connection.execute("select id, parent from messages where conversation = ?", (conversation,))
        parents: dict[str, str | None] = dict(rows.fetchall())
        for id_, parent in parents.items():
            if id_ not in gone and parent in gone:
                self._connection.execute(
                    "update messages set parent = ? where id = ?", (nearest(parent, parents, gone), id_)
                )
        for id_ in gone & parents.keys():
            self._unsearch("id", id_)
            self._connection.execute("delete from drafts where conversation = ?", (id_,))
            self._connection.execute("delete from messages where id = ?", (id_,))
        row = self._connection.execute("select leaf from conversations where id = ?", (conversation,)).fetchone()
        if row and row[0] in gone:
            self._connection.execute(
                "update conversations set leaf = coalesce(?1,"
                " (select id from messages where conversation = ?2 order by number desc limit 1)) where id = ?2",
                (nearest(row[0], parents, gone), conversation),
            )
        self._connection.execute(
            "delete from conversations where id = ?1 and not exists (select 1 from messages where conversation = ?1)"
            " and not exists (select 1 from drafts where conversation = ?1 and text != '')",
            (conversation,),
        )

    def _recount(self, messages: Iterable[str]) -> None:
        for conversation in self._touched(messages):
            recount(self._connection, conversation)

    def _touched(self, messages: Iterable[str]) -> set[str]:
        """The conversations that these messages belong to."""
        find = "select conversation from messages where id = ?"
        return {row[0] for id_ in messages for row in self._connection.execute(find, (id_,))}

    def _unsearch(self, column: str, id_: str) -> None:
        self._connection.execute(
            f"insert into unsearched (message) select number from messages where {column} = ?", (id_,)
        )


def without(messages: Iterable[Message], hidden: frozenset[str]) -> Iterable[Message]:
    """The messages that are not hidden, each below its nearest ancestor that is not."""
    everything = tuple(messages)
    parents = {message.id: message.parent for message in everything}
    for message in everything:
        if message.id not in hidden:
            parent = nearest(message.parent, parents, hidden)
            yield message if parent == message.parent else replace(message, parent=parent)


def nearest(id_: str | None, parents: Mapping[str, str | None], hidden: frozenset[str]) -> str | None:
    """The message `id_` or its nearest ancestor that is not hidden; None where there is none."""
    seen: set[str] = set()
    while id_ in hidden and id_ not in seen:
        seen.add(id_)
        id_ = parents.get(id_)
    return None if id_ in seen else id_
