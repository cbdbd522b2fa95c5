"""What is asked of a server for one turn."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from qwenchat.chat.calls import arguments_of, calls_in
from qwenchat.chat.characters import well_formed, well_formed_json
from qwenchat.chat.engine_commands import StartTurn
from qwenchat.chat.errors import CallMalformed
from qwenchat.chat.events import RequestAccepted
from qwenchat.chat.messages import Message, Role, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.sampling import Sampling
from qwenchat.chat.tools import ToolSpec
from qwenchat.engine.remote.calls import WireIds
from qwenchat.engine.remote.request_format import RequestFormat, ThinkingControl, beyond, standard

_CONTROL = re.compile(r"<(?=\|[^|<>\s]{1,40}\|>|/?(?:think|tool_call|tool_response)>)")
_JOINER = "\u2060"
"""Joins words and is not seen; after "<" it makes text of what a server would take for a control token."""


def body_of(
    command: StartTurn, format: RequestFormat, support: ThinkingSupport, window: int = 0, server: str = ""
) -> dict[str, Any]:
    """The chat completion that asks `server` for `command`, without the model's name.

    `window` is the context, 0 if unknown. Going on with a reply needs `format.continues`.
    """
    thinking = command.thinking if support is ThinkingSupport.SWITCHED else None
    latest = max((at for at, message in enumerate(command.messages) if message.role is Role.USER), default=0)
    ids = WireIds(server)
    messages = [
        spoken(message, ids, thought=at > latest and format.switch is ThinkingControl.TEMPLATE)
        for at, message in enumerate(command.messages)
        if _says_something(message)
    ]
    if thinking is not None and format.switch is ThinkingControl.SOFT and messages and messages[-1]["role"] == "user":
        messages[-1]["content"] += "" if thinking else "\n/no_think"
    body: dict[str, Any] = {"messages": messages, "stream_options": {"include_usage": True}}
    body |= standard(command.sampling, format, window)
    body |= beyond(command.sampling, format, thinking=thinking, budget=command.thinking_budget)
    if command.begun.answer:
        messages.append({"role": "assistant", "content": inert(command.begun.answer)})
        body |= format.continues or {}
    if command.schema is not None:
        schema = {"name": "answer", "schema": well_formed_json(command.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if command.tools:
        body["tools"] = [_tool(tool) for tool in command.tools]
    return body


def accepted(command: StartTurn, format: RequestFormat, sent: Mapping[str, Any]) -> RequestAccepted:
    """What of `command` was in the body that a server took."""
    names = {"top_k": format.top_k, "min_p": format.min_p, "repetition_penalty": format.repetition_penalty}
    limit = sent.get("max_tokens", sent.get("max_completion_tokens"))
    there = {**sent, "max_tokens": limit} if limit is not None else sent
    neutral = {"presence_penalty": 0, "frequency_penalty": 0, "seed": None}
    omitted = tuple(
        field.name
        for field in fields(Sampling)
        if names.get(field.name, field.name) not in there
        and neutral.get(field.name, ...) != getattr(command.sampling, field.name)
    )
    sampling = replace(
        command.sampling,
        max_tokens=limit or command.sampling.max_tokens,
        seed=command.sampling.seed if "seed" in sent else None,
    )
    budget = command.thinking_budget if format.budget in sent else None
    return RequestAccepted(command.turn, sampling, omitted, command.tools if "tools" in sent else (), budget)


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


def _says_something(message: Message) -> bool:
    """Whether there is anything to send of a message: a reply that was stopped inside its thought has nothing."""
    return message.role is not Role.ASSISTANT or bool(message.text.strip() or calls_in(message))


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
