"""What the library gives out, made from rows that may be hostile: dates that exist, a tree without cycles."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from qwenchat.chat.calls import identified
from qwenchat.chat.dates import as_date
from qwenchat.chat.errors import ConversationNotFound
from qwenchat.chat.messages import Message, Role, Status
from qwenchat.i18n.texts import say
from qwenchat.library import encoding

_ROLES, _STATUSES = frozenset(Role), frozenset(Status)


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
    """All of a conversation; raises ConversationNotFound. Rows that make no sense are read as far as they do."""
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
        say("There is no conversation {conversation}.", conversation=conversation or '""'),
        say("`qwenchat list` shows them."),
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


def as_role(value: object, *, made: bool) -> Role:
    """A role; where it is none, that of a model's message if it was `made`, or of the user's."""
    return Role(str(value)) if value in _ROLES else Role.ASSISTANT if made else Role.USER


def as_status(value: object) -> Status:
    """A status; where it is none, that of a message which was not ended well."""
    return Status(str(value)) if value in _STATUSES else Status.INTERRUPTED


def _message(row: tuple[Any, ...]) -> Message:
    id_, parent, role, parts, created, status, note, provenance = row
    return Message(
        role=as_role(role, made=provenance is not None),
        parts=encoding.readable_parts(parts),
        parent=None if parent is None else as_text(parent),
        id=as_text(id_),
        created=as_date(created),
        status=as_status(status),
        note=as_text(note),
        provenance=encoding.readable_provenance(provenance),
    )
