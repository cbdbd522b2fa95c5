"""Lists of messages as OpenAI's API takes them: one object, or one a line as used for fine-tuning."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qwenchat.chat.events import Channel
from qwenchat.chat.messages import (
    Message,
    Part,
    ReasoningPart,
    Role,
    Status,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from qwenchat.chat.splitter import SplitText, TagSplitter
from qwenchat.chat.text import safe_json, safe_line
from qwenchat.i18n.texts import listed, say
from qwenchat.library.exchange import foreign_messages
from qwenchat.library.exchange.foreign_messages import ROLES, date_of, list_of, object_of, text_of
from qwenchat.library.exchange.parsed import ConversationProblems, ParsedConversation, ValueUnreadable, value_shown
from qwenchat.library.exchange.repair import derived_id

_TEXTS = ("text", "refusal", "content")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""What servers call the thought beside the answer."""


def written(path: Sequence[Message], *, thoughts: bool) -> str | None:
    """The messages as a line of JSON, up to the last complete reply; None when there is none."""
    ends = [at for at, message in enumerate(path, 1) if _is_reply(message)]
    if not ends:
        return None
    entries = [entry for message in path[: ends[-1]] for entry in _entries(message, thoughts)]
    return safe_json({"messages": entries}) + "\n"


def _is_reply(message: Message) -> bool:
    return message.role is Role.ASSISTANT and message.status is Status.COMPLETE and bool(message.text.strip())


def _entries(message: Message, thoughts: bool) -> Iterator[dict[str, Any]]:
    """A message as OpenAI's messages: results of tools are messages of their own, wherever they stand here."""
    parts = [part for part in message.parts if not isinstance(part, ToolResultPart)]
    calls = [
        {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}}
        for part in parts
        if isinstance(part, ToolCallPart)
    ]
    if parts:
        entry: dict[str, Any] = {"role": str(message.role), "content": message.text}
        if thoughts and message.reasoning:
            entry["reasoning_content"] = message.reasoning
        yield entry | ({"tool_calls": calls} if calls else {})
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            name = {"name": part.name} if part.name else {}
            yield {"role": str(Role.TOOL), "tool_call_id": part.call_id, **name, "content": part.text}


def recognizes(value: Mapping[str, Any]) -> bool:
    """Whether an object of a file has a list of messages, as the chat API has them."""
    return isinstance(value.get("messages"), list)


def conversation_of(value: Mapping[str, Any], now: float) -> ParsedConversation:
    """The conversation; without a date it is of `now`. Raises ValueUnreadable when none of it is a message."""
    problems = ConversationProblems()
    created = date_of(value.get("created") or value.get("create_time"), now)
    model = text_of(value.get("model"))
    messages: list[Message] = []
    for number, entry in enumerate(list_of(value.get("messages")), 1):
        try:
            parent = messages[-1].id if messages else None
            messages.append(_message(entry, f"message {number}", parent, created, model))
        except ValueUnreadable as error:
            problems.add(say("message {number}: {error}", number=number, error=error))
    if not messages:
        raise ValueUnreadable(problems.first(say("it holds no messages")))
    conversation = foreign_messages.conversation_of("openai", value.get("title"), messages, None, (created, created))
    return ParsedConversation(conversation, problems=problems.all())


def _message(entry: Any, id_: str, parent: str | None, created: float, model: str) -> Message:
    if not isinstance(entry, dict):
        raise ValueUnreadable(say("it is no object"))
    role = ROLES.get(text_of(entry.get("role")))
    if role is None:
        raise ValueUnreadable(say("its role is none of {roles}", roles=listed(ROLES)))
    parts = tuple(_parts(entry, role, id_))
    if not parts and entry.get("content") not in ("", None, []):
        content = value_shown(entry.get("content"))
        raise ValueUnreadable(say("its content is neither a text nor a list of parts: {content}", content=content))
    thought = any(isinstance(part, ReasoningPart) for part in parts)
    made = foreign_messages.made_by(text_of(entry.get("model")) or model, thought=thought, reason=None)
    made = made if role is Role.ASSISTANT else None
    return Message(role, parts, parent, id_, date_of(entry.get("created"), created), provenance=made)


def _parts(entry: Mapping[str, Any], role: Role, id_: str) -> Iterator[Part]:
    text, thought = _text(entry.get("content"))
    if role is Role.TOOL:
        yield ToolResultPart(text_of(entry.get("tool_call_id")), text_of(entry.get("name")), text)
        return
    closed = True
    if role is Role.ASSISTANT:
        thought = next((said for name in _THOUGHTS if (said := text_of(entry.get(name)))), thought)
        if not thought and text.lstrip().startswith("<think>"):
            thought, text, closed = _split(text)
    if thought:
        yield ReasoningPart(thought, closed=closed)
    if text:
        yield TextPart(text)
    for number, call in enumerate(list_of(entry.get("tool_calls")) or [{"function": entry.get("function_call")}], 1):
        function = object_of(object_of(call).get("function"))
        if name := text_of(function.get("name")):
            arguments = function.get("arguments")
            arguments = text_of(arguments) if isinstance(arguments, str) else json.dumps(arguments or {})
            yield ToolCallPart(text_of(object_of(call).get("id")) or derived_id(id_, str(number)), name, arguments)


def _text(content: Any) -> tuple[str, str]:
    """The text and the thought of a content that is a text or a list of parts; what is neither is named in brackets."""
    if isinstance(content, str):
        return text_of(content), ""
    texts, thoughts = [], []
    for part in list_of(content):
        kind = text_of(object_of(part).get("type"))
        if kind in ("thinking", "reasoning"):
            thoughts.append(text_of(object_of(part).get("thinking")) or text_of(object_of(part).get("text")))
        elif said := text_of(part) or next(
            (said for name in _TEXTS if (said := text_of(object_of(part).get(name)))), ""
        ):
            texts.append(said)
        elif part:
            texts.append(f"[{safe_line(kind.removeprefix('input_').removesuffix('_url'), 100) or 'no text'}]")
    return "\n\n".join(texts), "\n\n".join(thoughts)


def _split(text: str) -> tuple[str, str, bool]:
    """Thought and answer of a reply that begins with a thought between tags, and whether the thought was closed."""
    splitter = TagSplitter(expected=False)
    said: dict[Channel, str] = {Channel.THOUGHT: "", Channel.ANSWER: ""}
    for split in (*splitter.feed(text), *splitter.finish()):
        if isinstance(split, SplitText):
            said[split.channel] += split.text
    return said[Channel.THOUGHT], said[Channel.ANSWER], "</think>" in text
