"""Messages into the database, one row each."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from qwenchat.chat.calls import identified
from qwenchat.chat.characters import well_formed
from qwenchat.chat.dates import as_date
from qwenchat.chat.draft import Draft
from qwenchat.chat.errors import ConversationPresent
from qwenchat.chat.messages import Message, Role, Status, new_id
from qwenchat.chat.text import safe
from qwenchat.chat.timeline import Tick
from qwenchat.chat.title import title_after
from qwenchat.i18n.texts import say
from qwenchat.library import encoding, timeline
from qwenchat.library.conversation import Conversation, as_text, in_order, recount, whole
from qwenchat.library.trash import without

_READ_FOR_TITLE = 20_000
"""Characters of a message that are looked at to name a conversation."""


def put_message(
    connection: sqlite3.Connection, conversation: str, message: Message, ticks: Sequence[Tick], writer: str | None
) -> None:
    """Insert or update a message, and its conversation with it; `writer` is the process that is still writing it."""
    now = as_date(time.time())
    connection.execute(
        "insert into conversations (id, title, created, updated, leaf) values (?, '', ?, ?, ?)"
        " on conflict (id) do update set updated = excluded.updated, leaf = excluded.leaf",
        (conversation, now, now, message.id),
    )
    if message.role is Role.USER:
        _entitle(connection, conversation, message.text)
    if message.provenance is not None:
        connection.execute(
            "update conversations set model = ?1 where id = ?2 and model != ?1",
            (well_formed(message.provenance.model.name), conversation),
        )
    _put(connection, conversation, message, ticks, writer)
    recount(connection, conversation)


def _put(
    connection: sqlite3.Connection, conversation: str, message: Message, ticks: Sequence[Tick], writer: str | None
) -> None:
    (number,) = connection.execute(
        "insert into messages (id, conversation, parent, role, parts, created, status, note, provenance, timeline,"
        " writer) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " on conflict (id) do update set parts = excluded.parts, status = excluded.status,"
        " note = excluded.note, provenance = excluded.provenance, timeline = excluded.timeline,"
        " writer = excluded.writer returning number",
        (
            message.id,
            conversation,
            message.parent,
            str(message.role),
            encoding.pack_parts(message.parts),
            as_date(message.created),
            str(message.status),
            well_formed(message.note),
            encoding.pack_provenance(message.provenance),
            timeline.pack(ticks) if ticks else None,
            writer,
        ),
    ).fetchone()
    if writer is None:
        connection.execute("insert into unsearched (message) values (?)", (number,))


def _entitle(connection: sqlite3.Connection, conversation: str, said: str) -> None:
    """Name the conversation by what was said, unless it has a good name already."""
    title, renamed = connection.execute(
        "select title, renamed from conversations where id = ?", (conversation,)
    ).fetchone()
    if not renamed and (better := titled(as_text(title), said)) != title:
        connection.execute("update conversations set title = ? where id = ?", (better, conversation))


def entitle_again(connection: sqlite3.Connection, conversation: str) -> None:
    """Name a conversation by what was said in it."""
    rows = connection.execute(
        "select parts from messages where conversation = ? and role = 'user' order by number", (conversation,)
    )
    title = ""
    for (parts,) in rows:
        with suppress(ValueError, TypeError):
            title = titled(title, Message(Role.USER, encoding.unpack_parts(parts)).text)
    connection.execute("update conversations set title = ? where id = ?", (title, conversation))


def titled(title: str, said: str) -> str:
    """The title of a conversation that was called `title` once `said` is said; no escape sequence gets into it."""
    return well_formed(title_after(title, safe(said[:_READ_FOR_TITLE])))


def put_conversation(
    connection: sqlite3.Connection, given: Conversation, timelines: Mapping[str, Sequence[Tick]]
) -> str:
    """Insert a conversation as it is, but for what is hidden, and return the id it has here.

    Where another one has its id, or has messages with the same ids, it gets new ones.
    Raises ConversationPresent when it is here already, with the same messages.
    """
    messages = tuple(without(tuple(identified(in_order(given.messages))), given.hidden))
    messages = tuple(_ended(message) for message in messages)
    taken = connection.execute("select deleted from conversations where id = ?", (given.id,)).fetchone()
    if taken and taken[0] is None:
        there = whole(connection, given.id, "")
        if tuple(without(there.messages, there.hidden)) == messages:
            raise ConversationPresent(say("{id} is here already.", id=given.id), say("It was left as it is."))
    id_ = new_id() if taken else given.id
    ids = _fresh_ids(connection, messages)
    leaf = given.leaf if given.leaf in ids else messages[-1].id if messages else None
    connection.execute(
        "insert into conversations (id, title, created, updated, leaf, pinned, archived) values (?, ?, ?, ?, ?, ?, ?)",
        (
            id_,
            well_formed(given.title),
            as_date(given.created),
            as_date(given.updated),
            ids[leaf] if leaf else None,
            given.pinned,
            given.archived,
        ),
    )
    for message in messages:
        ticks = timelines.get(message.id, ())
        parent = ids[message.parent] if message.parent else None
        _put(connection, id_, replace(message, id=ids[message.id], parent=parent), ticks, None)
        if message.provenance is not None:
            model = well_formed(message.provenance.model.name)
            connection.execute("update conversations set model = ? where id = ?", (model, id_))
    recount(connection, id_)
    if given.draft:
        put_draft(connection, id_, Draft(given.draft))
    return id_


def put_draft(connection: sqlite3.Connection, conversation: str, draft: Draft) -> None:
    """Keep what was written and not sent; '' stands for a chat that has not begun. A block is written only once."""
    connection.execute(
        "insert into drafts values (?, ?) on conflict (conversation) do update set text = excluded.text",
        (conversation, well_formed(draft.text)),
    )
    rows = connection.execute("select label from blocks where draft = ?", (conversation,))
    there = {str(row[0]) for row in rows}
    for label in there - {block.label for block in draft.blocks}:
        connection.execute("delete from blocks where draft = ? and label = ?", (conversation, label))
    for block in draft.blocks:
        if block.label not in there:
            connection.execute(
                "insert into blocks values (?, ?, ?)", (conversation, block.label, well_formed(block.text))
            )


def _ended(message: Message) -> Message:
    """A reply that was being written elsewhere is not being written here."""
    if message.status is not Status.STREAMING:
        return message
    return replace(message, status=Status.INTERRUPTED, note=message.note or str(Status.INTERRUPTED))


def _fresh_ids(connection: sqlite3.Connection, messages: Sequence[Message]) -> dict[str, str]:
    """The id of each message here: its own, or new ones for all when one of them is taken."""
    ids = {message.id: message.id for message in messages}
    if any(connection.execute("select 1 from messages where id = ?", (id_,)).fetchone() for id_ in ids):
        return {id_: new_id() for id_ in ids}
    return ids
