"""What is asked of a server for one turn."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.calls import arguments_of, calls_in
from qwenchat.chat.characters import well_formed, well_formed_json
from qwenchat.chat.commands import StartTurn
from qwenchat.chat.errors import CallMalformed
from qwenchat.chat.messages import Message, Role, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.tools import ToolSpec
from qwenchat.engine.remote.calls import WireIds
from qwenchat.engine.remote.dialect import Speech, Switch, beyond, standard

_CONTROL = re.compile(r"<(?=\|[^|<>\s]{1,40}\|>|/?(?:think|tool_call|tool_response)>)")
_JOINER = "\u2060"
"""Joins words and is not seen; after "<" it makes text of what a server would take for a control token."""


@dataclass(frozen=True, slots=True)
class Request:
    """The body of a chat completion."""

    messages: list[dict[str, Any]]
    sampling: dict[str, Any]
    """Parameters of the OpenAI API, and the schema of the answer."""
    extra: dict[str, Any]
    """What goes beyond it; a server may refuse any of these."""


def request_of(
    command: StartTurn, speech: Speech, support: ThinkingSupport, window: int = 0, server: str = ""
) -> Request:
    """What to ask `server` for `command`; `window` is the context, 0 if unknown. Going on needs `speech.continues`."""
    thinking = command.thinking if support is ThinkingSupport.SWITCHED else None
    latest = max((at for at, message in enumerate(command.messages) if message.role is Role.USER), default=0)
    ids = WireIds(server)
    messages = [
        spoken(message, ids, thought=at > latest and speech.switch is Switch.TEMPLATE)
        for at, message in enumerate(command.messages)
    ]
    if thinking is not None and speech.switch is Switch.SOFT and messages and messages[-1]["role"] == "user":
        messages[-1]["content"] += "" if thinking else "\n/no_think"
    extra = beyond(command.sampling, speech, thinking=thinking, budget=command.thinking_budget)
    if command.begun.answer:
        messages.append({"role": "assistant", "content": inert(command.begun.answer)})
        extra |= speech.continues or {}
    room = window - _tokens_at_most(messages, command.tools) if window else None
    sampling = standard(command.sampling, speech, room)
    if command.schema is not None:
        schema = {"name": "answer", "schema": well_formed_json(command.schema), "strict": True}
        sampling["response_format"] = {"type": "json_schema", "json_schema": schema}
    if command.tools:
        sampling["tools"] = [_tool(tool) for tool in command.tools]
    return Request(messages, sampling, extra)


def spoken(message: Message, ids: WireIds, *, thought: bool = False) -> dict[str, Any]:
    """A message as the API has it; with its thought between the steps of tools, as Qwen's template wants it."""
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    if message.role is Role.TOOL and results:
        return {"role": "tool", "tool_call_id": ids.of(results[0].call_id), "content": inert(results[0].text)}
    said: dict[str, Any] = {"role": message.role.value, "content": inert(message.text)}
    if calls := calls_in(message):
        ids.begin(message)
        said["tool_calls"] = [_call(call, ids.of(call.id)) for call in calls]
    if thought and message.reasoning:
        said["reasoning_content"] = inert(message.reasoning)
    return said


def _call(call: ToolCallPart, id_: str) -> dict[str, Any]:
    """A call as the API has it. Servers refuse one that cannot be read; its result says what was wrong with it."""
    try:
        arguments = json.dumps(arguments_of(call), ensure_ascii=False)
    except CallMalformed:
        arguments = json.dumps({"malformed": call.arguments}, ensure_ascii=False)
    function = {"name": inert(call.name) or "malformed", "arguments": inert(arguments)}
    return {"id": id_, "type": "function", "function": function}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": inert(tool.name), "description": inert(tool.description)}
    parameters = well_formed_json(inert(tool.parameters))
    # Some servers refuse a schema that says of an object nothing more than that it is one.
    properties = properties if isinstance(properties := parameters.get("properties"), dict) else {}
    return {
        "type": "function",
        "function": {**function, "parameters": {**parameters, "type": "object", "properties": properties}},
    }


def inert(text: str) -> str:
    """`text` in which nothing spells a control token."""
    return _CONTROL.sub(f"<{_JOINER}", well_formed(text))


def tokens_at_least(messages: Sequence[Message]) -> int:
    """About how many tokens the messages have, rather too few than too many: servers count by themselves."""
    return sum(
        4 + sum(len(part.text.encode()) // 5 for part in message.parts if isinstance(part, TextPart | ToolResultPart))
        for message in messages
    )


def _tokens_at_most(messages: Sequence[dict[str, Any]], tools: Sequence[ToolSpec]) -> int:
    """No tokens are more than this: each is a byte at least."""
    said = (json.dumps(message, ensure_ascii=False) for message in messages)
    return sum(len(text.encode()) for text in (*said, *(tool.description + tool.parameters for tool in tools))) + 500
