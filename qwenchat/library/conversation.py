"""What the library gives out, made from rows that may be hostile: dates that exist, a tree without cycles."""

import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from qwenchat.chat.calls import identified
from qwenchat.chat.errors import ConversationNotFound
from qwenchat.chat.messages import Message, Role, Status
from qwenchat.i18n.texts import say
from qwenchat.library import encoding

_LAST_DAY = 253_402_214_400.0
"""The end of the year 9999, which every calendar function can still show."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One row of the list of conversations."""

    id: str
    title: str
    created: float
    updated: float
    model: str
    messages: int
    pinned: bool = False
    archived: bool = False


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
    pinned: bool = False
    archived: bool = False
    hidden: frozenset[str] = frozenset()
    """Messages that were deleted and can still be brought back."""


def summaries(connection: sqlite3.Connection, limit: int | None, offset: int, archived: bool) -> list[Summary]:
    """The conversations that are there, pinned ones first, then the latest; rows without a usable id are left out."""
    rows = connection.execute(
        "select id, substr(title, 1, 1000), created, updated, substr(model, 1, 1000), said, pinned, archived"
        " from conversations where deleted is null and archived = ?"
        " order by pinned desc, updated desc limit ? offset ?",
        (archived, -1 if limit is None else limit, offset),
    )
    return [
        Summary(
            id_,
            as_text(title),
            as_date(created),
            as_date(updated),
            as_text(model),
            said if isinstance(said, int) else 0,
            bool(pinned),
            bool(archived),
        )
        for id_, title, created, updated, model, said, pinned, archived in rows
        if isinstance(id_, str)
    ]


def recount(connection: sqlite3.Connection, conversation: str) -> None:
    """Note how many messages the list is to show, after some came or went."""
    connection.execute(
        "update conversations set said = (select count(*) from messages where conversation = ?1"
        " and role in ('user', 'assistant') and hidden is null) where id = ?1",
        (conversation,),
    )


def whole(connection: sqlite3.Connection, conversation: str, draft: str) -> Conversation:
    """All of a conversation; raises ConversationNotFound, and ValueError or TypeError for rows that make no sense."""
    row = connection.execute(
        "select id, title, created, updated, leaf, pinned, archived from conversations"
        " where id = ? and deleted is null",
        (conversation,),
    ).fetchone()
    if row is None:
        raise not_found(conversation)
    rows = connection.execute(
        "select id, parent, role, parts, created, status, note, provenance, hidden from messages"
        " where conversation = ? order by number",
        (conversation,),
    ).fetchall()
    messages = tuple(identified(in_order(_message(row[:-1]) for row in rows)))
    ids = {message.id for message in messages}
    id_, title, created, updated, leaf, pinned, archived = row
    return Conversation(
        id_,
        as_text(title),
        as_date(created),
        as_date(updated),
        messages,
        leaf if leaf in ids else messages[-1].id if messages else None,
        draft,
        bool(pinned),
        bool(archived),
        frozenset(row[0] for row in rows if row[-1] is not None) & ids,
    )


def not_found(conversation: str) -> ConversationNotFound:
    """The error for a conversation that is not there."""
    return ConversationNotFound(
        say("There is no conversation {conversation}.", conversation=conversation), say("`qwenchat list` shows them.")
    )


def in_order(messages: Iterable[Message]) -> Iterable[Message]:
    """The first message of each id; one whose parent does not come before it is read as a beginning of its own.

    So there are no cycles, and what hangs on a message that is gone can still be read.
    """
    seen: set[str] = set()
    for message in messages:
        if message.id not in seen:
            seen.add(message.id)
            known = message.parent is None or (message.parent in seen and message.parent != message.id)
            yield message if known else replace(message, parent=None)


def as_text(value: object) -> str:
    """A text from a column that should hold one."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def as_date(value: object) -> float:
    """A Unix time between 1970 and 9999, whatever the column holds."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return min(max(float(value), 0.0), _LAST_DAY)


def _message(row: tuple[Any, ...]) -> Message:
    id_, parent, role, parts, created, status, note, provenance = row
    return Message(
        role=Role(role),
        parts=encoding.unpack_parts(parts),
        parent=parent,
        id=as_text(id_),
        created=as_date(created),
        status=Status(status),
        note=as_text(note),
        provenance=encoding.unpack_provenance(provenance),
    )
