"""The program's own JSON: all of a conversation, which comes back exactly. docs/export-format.md describes it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from qwenchat.chat.dates import as_date
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.events import Channel
from qwenchat.chat.messages import Message, Part, Role, Status
from qwenchat.chat.provenance import Provenance
from qwenchat.chat.text import safe_json
from qwenchat.chat.timeline import Tick
from qwenchat.i18n.texts import listed, say
from qwenchat.library import encoding, timeline
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange.parsed import ConversationProblems, ParsedConversation, ValueUnreadable
from qwenchat.library.exchange.repair import RepairNode, derived_id, tree_of
from qwenchat.library.trash import nearest, without

FORMAT, VERSION = "qwenchat", 1
KINDS = ("text", "reasoning", "tool_call", "tool_result")
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_TITLE = 200
_MOST_PARTS = 100_000

Timelines = Mapping[str, tuple[Tick, ...]]


def written(conversations: Iterable[tuple[Conversation, Timelines]]) -> Iterator[str]:
    """The file that holds these conversations, in pieces: the same text whenever they are the same."""
    yield f'{{"format": "{FORMAT}", "version": {VERSION}, "conversations": ['
    comma = "\n"
    for conversation, timelines in conversations:
        yield comma + safe_json(record_of(conversation, timelines))
        comma = ",\n"
    yield "\n]}\n"


def record_of(conversation: Conversation, timelines: Timelines) -> dict[str, Any]:
    """A conversation as the objects of JSON; what is hidden is left out."""
    parents = {message.id: message.parent for message in conversation.messages}
    messages = without(conversation.messages, conversation.hidden)
    return {
        "id": conversation.id,
        "title": conversation.title,
        "created": conversation.created,
        "updated": conversation.updated,
        "pinned": conversation.pinned,
        "archived": conversation.archived,
        "leaf": nearest(conversation.leaf, parents, conversation.hidden),
        "draft": conversation.draft,
        "messages": [_message_record(message, timelines.get(message.id, ())) for message in messages],
    }


def _message_record(message: Message, ticks: tuple[Tick, ...]) -> dict[str, Any]:
    unfinished = message.status is Status.STREAMING
    return {
        "id": message.id,
        "parent": message.parent,
        "role": message.role,
        "created": message.created,
        "status": Status.INTERRUPTED if unfinished else message.status,
        "note": message.note or (str(Status.INTERRUPTED) if unfinished else ""),
        "parts": msgspec.json.decode(encoding.pack_parts(message.parts)),
        "provenance": msgspec.to_builtins(message.provenance),
        "timeline": [[tick.at_ms, tick.channel, tick.characters] for tick in ticks],
    }


@dataclass(frozen=True, slots=True)
class _Entry:
    """What every message of a file must have, and what it may."""

    role: Role
    parts: list[Any]
    id: str = ""
    parent: str | None = None
    created: float = 0.0
    status: Status = Status.COMPLETE
    note: str = ""
    provenance: Any = None
    timeline: Any = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Head:
    """What a conversation of a file may have beside its messages."""

    id: str = ""
    title: str = ""
    created: float = 0.0
    updated: float = 0.0
    pinned: bool = False
    archived: bool = False
    leaf: str | None = None
    draft: str = ""


def recognizes(value: Mapping[str, Any]) -> bool:
    """Whether an object of a file looks like one of `record_of`."""
    messages = value.get("messages")
    return isinstance(messages, list) and (
        {"leaf", "draft"} <= value.keys() or any(isinstance(entry, dict) and "parts" in entry for entry in messages)
    )


def conversation_of(value: Mapping[str, Any], now: float = 0.0) -> ParsedConversation:
    """The conversation of `record_of`, as much of it as makes sense; raises ValueUnreadable when nothing does."""
    problems = ConversationProblems()
    head = _head(value, problems)
    entries = value.get("messages")
    if not isinstance(entries, list):
        raise ValueUnreadable(say("its messages are not a list"))
    nodes: list[RepairNode] = []
    timelines: dict[str, tuple[Tick, ...]] = {}
    for number, entry in enumerate(entries, 1):
        node, ticks = _node(entry, number, problems)
        nodes.append(node)
        if ticks:
            timelines[node.id] = ticks
    tree = tree_of(nodes, problems)
    if entries and not tree.messages:
        raise ValueUnreadable(say("none of its messages can be read; {problem}", problem=problems.first()))
    conversation = Conversation(
        _id(head.id) or derived_id("own", msgspec.json.encode(head).decode(), *(m.text for m in tree.messages)),
        head.title[:_TITLE],
        as_date(head.created),
        as_date(head.updated),
        tree.messages,
        tree.places.get(_id(head.leaf or "")),
        head.draft,
        head.pinned,
        head.archived,
    )
    return ParsedConversation(conversation, timelines, problems.all())


def _head(value: Mapping[str, Any], problems: ConversationProblems) -> _Head:
    """What is beside the messages; what makes no sense there keeps its default."""
    head = _Head()
    for name in _Head.__dataclass_fields__:
        if name in value:
            try:
                head = msgspec.convert({**msgspec.to_builtins(head), name: value[name]}, _Head)
            except msgspec.ValidationError as error:
                problems.add(str(error))
    return head


def _node(entry: Any, number: int, problems: ConversationProblems) -> tuple[RepairNode, tuple[Tick, ...]]:
    """The place of a message in the tree, and when its pieces came; without the message where it makes no sense."""
    name, where = f"message {number}", say("message {number}", number=number)
    try:
        read = msgspec.convert(entry, _Entry)
    except msgspec.ValidationError as error:
        problems.add(say("{where}: {problem}", where=where, problem=error))
        lost = entry if isinstance(entry, dict) else {}
        id_, parent = lost.get("id"), lost.get("parent")
        id_ = _id(id_) if isinstance(id_, str) else ""
        return RepairNode(
            id_ or derived_id(name), _id(parent) or None if isinstance(parent, str) else None, None, where
        ), ()
    id_ = _id(read.id) or derived_id(name, read.id)
    message = Message(
        role=read.role,
        parts=tuple(_parts(read.parts, where, problems)),
        parent=None if read.parent is None else _id(read.parent),
        id=id_,
        created=as_date(read.created),
        status=read.status,
        note=read.note,
        provenance=_provenance(read.provenance, where, problems),
    )
    if message.status is Status.STREAMING:
        message = replace(message, status=Status.INTERRUPTED, note=message.note or str(Status.INTERRUPTED))
    return RepairNode(id_, message.parent, message, where), _ticks(read.timeline, where, problems)


def _id(given: str) -> str:
    """An id that is one, and for anything else one that is made of it."""
    return given if not given or _ID.fullmatch(given) else derived_id(given)


def _parts(entries: list[Any], where: str, problems: ConversationProblems) -> Iterator[Part]:
    if len(entries) > _MOST_PARTS:
        problems.add(say("{where}: only the first {number:,} of its parts were read", where=where, number=_MOST_PARTS))
    for number, entry in enumerate(entries[:_MOST_PARTS], 1):
        try:
            read = encoding.unpack_parts(msgspec.json.encode([entry]))
        except (ValueError, TypeError, AttributeError) as error:
            problems.add(say("{where}, part {number}: {error}", where=where, number=number, error=error))
            continue
        if not read:
            kinds = listed(KINDS)
            problems.add(
                say("{where}, part {number}: its kind is none of {kinds}", where=where, number=number, kinds=kinds)
            )
        yield from read


def _provenance(given: Any, where: str, problems: ConversationProblems) -> Provenance | None:
    if given is None:
        return None
    try:
        packed = msgspec.json.encode(msgspec.convert(given, Provenance))
        return encoding.unpack_provenance(packed)
    except (ValueError, ConfigInvalid) as error:
        problems.add(say("{where}: how it was made was left out: {error}", where=where, error=error))
        return None


def _ticks(given: Any, where: str, problems: ConversationProblems) -> tuple[Tick, ...]:
    """The timeline; none of it where a part makes no sense, since what follows hangs on it."""
    try:
        ticks = tuple(Tick(*entry) for entry in msgspec.convert(given, list[tuple[int, Channel, int]]))
        if timeline.unpack(timeline.pack(ticks)) != ticks:
            raise ValueError(say("its times do not go forwards"))
    except ValueError as error:
        problems.add(say("{where}: its timeline was left out: {error}", where=where, error=error))
        return ()
    return ticks
