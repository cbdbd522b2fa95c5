"""What is asked of a server for one turn."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.commands import StartTurn
from qwenchat.chat.messages import Message, Role, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import ThinkingSupport
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


def request_of(command: StartTurn, speech: Speech, support: ThinkingSupport) -> Request:
    """What to ask for `command`; a reply that goes on needs `speech.continues`."""
    thinking = command.thinking if support is ThinkingSupport.SWITCHED else None
    messages = [spoken(message) for message in command.messages]
    if thinking is not None and speech.switch is Switch.SOFT and messages and messages[-1]["role"] == "user":
        messages[-1]["content"] += "" if thinking else "\n/no_think"
    extra = beyond(command.sampling, speech, thinking=thinking, budget=command.thinking_budget)
    if command.begun.answer:
        messages.append({"role": "assistant", "content": inert(command.begun.answer)})
        extra |= speech.continues or {}
    sampling = standard(command.sampling, speech)
    if command.schema is not None:
        schema = {"name": "answer", "schema": json.loads(command.schema), "strict": True}
        sampling["response_format"] = {"type": "json_schema", "json_schema": schema}
    return Request(messages, sampling, extra)


def spoken(message: Message) -> dict[str, Any]:
    """A message as the API has it: without thoughts, as Qwen's template wants the history."""
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    if message.role is Role.TOOL and results:
        return {"role": "tool", "tool_call_id": results[0].call_id, "content": inert(results[0].text)}
    said: dict[str, Any] = {"role": message.role.value, "content": inert(message.text)}
    calls = [
        {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}}
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ]
    if calls:
        said["tool_calls"] = calls
    return said


def inert(text: str) -> str:
    """`text` in which nothing spells a control token."""
    return _CONTROL.sub(f"<{_JOINER}", text)


def tokens_at_least(messages: Sequence[Message]) -> int:
    """About how many tokens the messages have, rather too few than too many: servers count by themselves."""
    return sum(
        4 + sum(len(part.text.encode()) // 5 for part in message.parts if isinstance(part, TextPart | ToolResultPart))
        for message in messages
    )
