"""Calls of tools: how a model writes them, and what a history of them must look like."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from qwenchat.chat.errors import CallMalformed
from qwenchat.chat.messages import Message, Role, ToolCallPart, ToolResultPart, new_id
from qwenchat.texts import say


def call_of(said: str) -> ToolCallPart:
    """The call that a model wrote between `<tool_call>` and `</tool_call>`.

    What is no call has no name, and all of what was written as its arguments; `arguments_of` says what is wrong.
    """
    try:
        call = _object(said)
    except ValueError:
        return ToolCallPart(new_id(), "", said.strip())
    name, arguments = call.get("name"), call.get("arguments", {})
    if not isinstance(name, str) or not name.strip() or not isinstance(arguments, dict):
        return ToolCallPart(new_id(), "", said.strip())
    return ToolCallPart(new_id(), name.strip(), json.dumps(arguments, ensure_ascii=False))


def arguments_of(call: ToolCallPart) -> dict[str, Any]:
    """The arguments of a call; raises CallMalformed, worded for the model, when they are no JSON object."""
    if not call.name:
        raise CallMalformed(
            say("That is no call of a tool."),
            say('A call is one JSON object: {"name": "...", "arguments": {...}}.'),
        )
    try:
        return _object(call.arguments or "{}")
    except ValueError as error:
        raise CallMalformed(
            say("The arguments of {name} are no JSON object: {error}.", name=call.name, error=error),
            say("Call it again with a JSON object as arguments."),
        ) from error


def calls_in(message: Message) -> tuple[ToolCallPart, ...]:
    """The calls that a reply asks for."""
    return tuple(part for part in message.parts if isinstance(part, ToolCallPart))


def open_calls(path: Sequence[Message]) -> tuple[ToolCallPart, ...]:
    """The calls at the end of a path that have no result yet."""
    answered: set[str] = set()
    for message in reversed(path):
        if message.role is not Role.TOOL:
            return tuple(call for call in calls_in(message) if call.id not in answered)
        answered |= {result.call_id for result in _results(message)}
    return ()


def balanced(messages: Sequence[Message]) -> tuple[Message, ...]:
    """`messages` with exactly one result for each call, in its place; every API insists on that.

    Where one is missing since the turn was stopped or a message deleted, the model is told that the call was not made.
    What has no call is left out.
    """
    return tuple(_balanced(messages))


def _balanced(messages: Sequence[Message]) -> Iterator[Message]:
    at = 0
    while at < len(messages):
        message = messages[at]
        at += 1
        if message.role is Role.TOOL:
            continue
        yield message
        if not (calls := calls_in(message)):
            continue
        below: list[Message] = []
        while at < len(messages) and messages[at].role is Role.TOOL:
            below.append(messages[at])
            at += 1
        yield from _answers(calls, below)


def _answers(calls: Iterable[ToolCallPart], below: Sequence[Message]) -> Iterator[Message]:
    there = {result.call_id: (message, result) for message in below for result in _results(message)}
    for call in calls:
        if (found := there.get(call.id)) is None:
            missing = ToolResultPart(call.id, call.name, say("The call was not made."), failed=True)
            yield Message(Role.TOOL, (missing,))
        elif len(found[0].parts) == 1:
            yield found[0]
        else:
            yield Message(Role.TOOL, (found[1],))


def _results(message: Message) -> Iterator[ToolResultPart]:
    return (part for part in message.parts if isinstance(part, ToolResultPart))


def _object(text: str) -> dict[str, Any]:
    """Raises ValueError, in few words, for what is no JSON object."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise ValueError("too many brackets in each other") from error
    if isinstance(value, dict):
        return value
    raise ValueError(say("it is something else"))


def _refuse_constant(name: str) -> Any:
    raise ValueError(say("{name} is no number of JSON", name=name))
