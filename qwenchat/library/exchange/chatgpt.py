"""ChatGPT's `conversations.json`: a tree of nodes, of which many are not for reading."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from qwenchat.chat.messages import Message, Part, ReasoningPart, Role, Status, ToolCallPart
from qwenchat.chat.provenance import FinishReason
from qwenchat.i18n.texts import listed, say
from qwenchat.library.exchange import foreign_messages
from qwenchat.library.exchange.chatgpt_content import parts_of, thoughts_of
from qwenchat.library.exchange.foreign_messages import ROLES, date_of, list_of, object_of, seconds_of, text_of
from qwenchat.library.exchange.parsed import ConversationProblems, ParsedConversation, ValueUnreadable
from qwenchat.library.exchange.repair import RepairNode, derived_id, tree_of

_UNSEEN = ("model_editable_context", "user_editable_context")
"""Memories and custom instructions, which ChatGPT does not show either."""
_ENDS = {"stop": FinishReason.STOP, "max_tokens": FinishReason.LENGTH, "interrupted": FinishReason.STOPPED}
_ANY_MODEL = "auto"
"""What stands for the model where ChatGPT was to choose one."""
_STATUSES = {
    "in_progress": (Status.INTERRUPTED, "interrupted"),
    "finished_partial_completion": (Status.STOPPED, "stopped"),
    "error": (Status.FAILED, "failed"),
}


def recognizes(value: Mapping[str, Any]) -> bool:
    """Whether an object of a file is one of ChatGPT's conversations."""
    return isinstance(value.get("mapping"), dict)


def conversation_of(value: Mapping[str, Any], now: float) -> ParsedConversation:
    """The conversation; where dates are missing it is of `now`. Raises ValueUnreadable where nothing can be read."""
    created = date_of(value.get("create_time"), now)
    reader = _Reader(object_of(value["mapping"]), created, text_of(value.get("default_model_slug")))
    tree = tree_of(reader.nodes(), reader.problems)
    if not tree.messages:
        raise ValueUnreadable(reader.problems.first(say("it holds no messages")))
    leaf = value.get("current_node")
    conversation = foreign_messages.conversation_of(
        f"chatgpt {text_of(value.get('conversation_id') or value.get('id'))}",
        value.get("title"),
        tree.messages,
        tree.places.get(leaf) if isinstance(leaf, str) else None,
        (created, date_of(value.get("update_time"), created)),
    )
    starred = value.get("is_starred") is True or date_of(value.get("pinned_time"), 0.0) > 0
    conversation = replace(conversation, pinned=starred, archived=value.get("is_archived") is True)
    return ParsedConversation(conversation, problems=reader.problems.all())


@dataclass(frozen=True, slots=True)
class _Way:
    """What was passed on the way to a node and counts for what comes after it."""

    time: float
    thought: str | None = None
    """The node of a thought that waits for its reply."""
    call: str = ""
    """The call that waits for its result."""


class _Reader:
    """Makes messages of the nodes of one conversation, from its root down.

    A thought, its recap, the reply, a tool's call and its result stand in nodes of their own; thoughts are put before
    the reply they lead to.
    """

    def __init__(self, mapping: Mapping[str, Any], created: float, model: str) -> None:
        """`model` is that of the conversation, for replies that name none."""
        self.problems = ConversationProblems()
        self._model = model
        self._mapping = {id_: object_of(node) for id_, node in mapping.items()}
        self._start = _Way(created)
        self._ways: dict[str, _Way] = {}
        self._thoughts: dict[str, ReasoningPart] = {}
        self._waiting: dict[str, Message] = {}
        """Thoughts as messages of their own, for those that lead to no reply."""

    def nodes(self) -> list[RepairNode]:
        """The nodes, parents before children, with messages where there is something to read."""
        nodes = [
            RepairNode(id_, parent, self._message(id_, parent, where), where) for id_, parent, where in self._places()
        ]
        return [replace(node, message=node.message or self._waiting.get(node.id)) for node in nodes]

    def _places(self) -> list[tuple[str, str | None, str]]:
        """Each node with its parent and its position, children in their parents' order."""
        numbers = {id_: number for number, id_ in enumerate(self._mapping, 1)}
        listed = {
            child: (id_, place)
            for id_, node in self._mapping.items()
            for place, child in enumerate(list_of(node.get("children")))
            if isinstance(child, str) and child != id_
        }
        parents: dict[str, str | None] = {}
        for id_, node in self._mapping.items():
            parent = node.get("parent")
            parents[id_] = parent if isinstance(parent, str) else listed[id_][0] if id_ in listed else None
        children: dict[str | None, list[str]] = {}
        for id_ in sorted(self._mapping, key=lambda id_: listed[id_][1] if id_ in listed else len(numbers)):
            parent = parents[id_]
            children.setdefault(parent if parent in self._mapping else None, []).append(id_)
        order: dict[str, None] = {}
        for root in (*children.get(None, ()), *self._mapping):
            stack = [root]
            while stack:
                if (id_ := stack.pop()) not in order:
                    order[id_] = None
                    stack += reversed(children.get(id_, ()))
        return [(id_, parents[id_], say("message {number}", number=numbers[id_])) for id_ in order]

    def _message(self, id_: str, parent: str | None, where: str) -> Message | None:
        way = self._ways.get(parent or "", self._start)
        self._ways[id_] = way
        message = object_of(self._mapping[id_].get("message"))
        content, metadata = object_of(message.get("content")), object_of(message.get("metadata"))
        if not message or metadata.get("is_visually_hidden_from_conversation") is True:
            return None
        kind = text_of(content.get("content_type"))
        role = ROLES.get(text_of(object_of(message.get("author")).get("role")))
        if role is None:
            self.problems.add(say("{where}: its author is none of {roles}", where=where, roles=listed(ROLES)))
            return None
        way = self._ways[id_] = replace(way, time=date_of(message.get("create_time"), way.time))
        if kind in ("thoughts", "reasoning_recap"):
            self._think(id_, way, content, metadata)
            return None
        parts = () if kind in _UNSEEN else parts_of(id_, role, message, way.call)
        if not parts:
            return None
        if role is Role.ASSISTANT and way.thought is not None:
            parts = (self._thoughts[way.thought], *parts)
            self._waiting.pop(way.thought, None)
        self._ways[id_] = _Way(way.time, call=derived_id(id_) if isinstance(parts[-1], ToolCallPart) else "")
        return _made(id_, role, parts, way.time, message, self._model)

    def _think(self, id_: str, way: _Way, content: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Keep a thought, or how long it took, for the reply that follows."""
        before = self._thoughts.get(way.thought or "", ReasoningPart(""))
        texts = [before.text, *thoughts_of(content.get("thoughts"))]
        seconds = before.seconds + seconds_of(metadata.get("finished_duration_sec"))
        thought = ReasoningPart("\n\n".join(text for text in texts if text), seconds=seconds)
        if thought.text:
            self._waiting.pop(way.thought or "", None)
            self._thoughts[id_] = thought
            message = self._mapping[id_]["message"]
            open_ = replace(thought, closed=text_of(message.get("status")) not in _STATUSES)
            self._waiting[id_] = _made(id_, Role.ASSISTANT, (open_,), way.time, message, self._model)
            self._ways[id_] = replace(way, thought=id_)


def _made(
    id_: str, role: Role, parts: tuple[Part, ...], time: float, message: Mapping[str, Any], model: str
) -> Message:
    status, note, made = Status.COMPLETE, "", None
    if role is Role.ASSISTANT:
        status, note = _STATUSES.get(text_of(message.get("status")), (status, note))
        metadata = object_of(message.get("metadata"))
        reason = _ENDS.get(text_of(object_of(metadata.get("finish_details")).get("type")))
        if reason is FinishReason.STOPPED and status is Status.COMPLETE:
            status, note = Status.STOPPED, "stopped"
        thought = isinstance(parts[0], ReasoningPart)
        made = foreign_messages.made_by(_model_of(metadata, model), thought=thought, reason=reason)
    return Message(role, parts, id=id_, created=time, status=status, note=note, provenance=made)


def _model_of(metadata: Mapping[str, Any], usual: str) -> str:
    """The model that wrote a message, or else the one of its conversation; empty when no name is given."""
    names = (
        *(text_of(metadata.get(name)) for name in ("model_slug", "resolved_model_slug", "default_model_slug")),
        usual,
    )
    return next((name for name in names if name and name != _ANY_MODEL), "")
