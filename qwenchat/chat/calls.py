"""Calls of tools: how a model writes them, and what a history of them must look like."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from qwenchat.chat.characters import well_formed_json
from qwenchat.chat.errors import CallMalformed
from qwenchat.chat.messages import Message, Part, Role, ToolCallPart, ToolResultPart, new_id
from qwenchat.i18n.texts import say

_MOST_QUOTES = 3
_LONGEST_ID = 64
_ARGUMENTS = ("arguments", "parameters", "args", "input")
"""How models name what they call a tool with; the first is what they are taught."""


def call_of(said: str) -> ToolCallPart:
    """The call that a model wrote between `<tool_call>` and `</tool_call>`.

    What is no call has no name, and all of what was written as its arguments; `arguments_of` says what is wrong.
    """
    try:
        call = _object(said)
    except ValueError:
        return ToolCallPart(new_id(), "", said.strip())
    call = inner if isinstance(inner := call.get("function"), dict) else call
    given: Any = next((call[name] for name in _ARGUMENTS if name in call), {})
    name, arguments = call.get("name"), arguments_text(given)
    if not isinstance(name, str) or not name.strip() or not _is_object(arguments):
        return ToolCallPart(new_id(), "", said.strip())
    return ToolCallPart(new_id(), name.strip(), arguments)


def arguments_text(given: Any) -> str:
    """Arguments as one JSON text: models and servers write an object, its text, or the text in quotes once more."""
    try:
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    except RecursionError:
        return "[]"
    for _ in range(_MOST_QUOTES):
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            break
        if not isinstance(inner, str):
            break
        text = inner
    return text


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


def identified(messages: Iterable[Message]) -> Iterator[Message]:
    """A conversation, parents before children, in which no two calls have the same id, and each result has its call's.

    Programs and servers have used one id for several calls. The first keeps it, a later one gets one that is the same
    each time; of results with such an id, the first belongs to the first call of the reply that is without one.
    """
    taken: set[str] = set()
    unanswered: dict[str, _Unanswered] = {}
    for message in messages:
        parts: list[Part] = []
        calls = unanswered.get(message.parent or "", _NONE) if message.role is Role.TOOL else _NONE
        asked: list[_Renamed] = []
        for number, part in enumerate(message.parts):
            if isinstance(part, ToolCallPart):
                id_ = part.id if _usable(part.id) and part.id not in taken else _derived(message.id, number)
                taken.add(id_)
                asked.append(_Renamed(part.id, id_, part.name))
                parts.append(replace(part, id=id_))
            elif isinstance(part, ToolResultPart):
                calls, call = calls.answered_by(part)
                parts.append(part if call is None else replace(part, call_id=call.id))
            else:
                parts.append(part)
        unanswered[message.id] = _Unanswered(tuple(asked)) if asked else calls
        yield message if tuple(parts) == message.parts else replace(message, parts=tuple(parts))


@dataclass(frozen=True, slots=True)
class _Renamed:
    """A call: the id that was written down for it, and the one that it has."""

    written: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class _Unanswered:
    """The calls of a reply of which no result was seen yet, on the way to some message below it."""

    calls: tuple[_Renamed, ...] = ()
    start: int = 0
    """The first of them."""
    answered: frozenset[int] = frozenset()
    """Those after it that have a result."""

    def answered_by(self, result: ToolResultPart) -> "tuple[_Unanswered, _Renamed | None]":
        """What is left after a result, and the call that it belongs to; one that names none belongs to its tool's."""

        def first(fits: Callable[[_Renamed], bool]) -> int | None:
            places = range(self.start, min(len(self.calls), self.start + _FARTHEST))
            return next((at for at in places if at not in self.answered and fits(self.calls[at])), None)

        place = first(lambda call: call.id == result.call_id)
        if place is None:
            place = first(lambda call: call.written == result.call_id)
        if place is None and not result.call_id:
            place = first(lambda call: not result.name or call.name == result.name)
        if place is None:
            return self, None
        start, answered = self.start, self.answered | {place}
        while start in answered:
            answered, start = answered - {start}, start + 1
        return _Unanswered(self.calls, start, answered), self.calls[place]


_NONE = _Unanswered()
_FARTHEST = 100
"""Calls among which that of a result is looked for; nobody makes so many, but a file may say so."""


def _usable(id_: str) -> bool:
    return 0 < len(id_) <= _LONGEST_ID


def _derived(message: str, number: int) -> str:
    return sha256(f"{message} {number}".encode("utf-8", errors="replace")).hexdigest()[:16]


def calls_in(message: Message) -> tuple[ToolCallPart, ...]:
    """The calls that a reply asks for."""
    return tuple(part for part in message.parts if isinstance(part, ToolCallPart))


def open_calls(path: Sequence[Message]) -> tuple[ToolCallPart, ...]:
    """The calls at the end of a path that have no result yet."""
    answered = Counter[str]()
    for message in reversed(path):
        if message.role is not Role.TOOL:
            left = []
            for call in calls_in(message):
                answered[call.id] -= 1
                left += [call] if answered[call.id] < 0 else []
            return tuple(left)
        answered.update(result.call_id for result in _results(message))
    return ()


def balanced(messages: Sequence[Message]) -> tuple[Message, ...]:
    """`messages` with exactly one result for each call, in its place; every API insists on that.

    Where one is missing since the turn was stopped or a message deleted, the model reads that the call was not made.
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
    there: dict[str, deque[tuple[Message, ToolResultPart]]] = {}
    for message in below:
        for result in _results(message):
            there.setdefault(result.call_id, deque()).append((message, result))
    for call in calls:
        if not (found := there.get(call.id)):
            missing = ToolResultPart(call.id, call.name, say("The call was not made."), failed=True)
            yield Message(Role.TOOL, (missing,))
            continue
        message, result = found.popleft()
        yield message if len(message.parts) == 1 else Message(Role.TOOL, (result,))


def _results(message: Message) -> Iterator[ToolResultPart]:
    return (part for part in message.parts if isinstance(part, ToolResultPart))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _object(text: str) -> dict[str, Any]:
    """Raises ValueError, in few words, for what is no JSON object."""
    try:
        value = well_formed_json(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise ValueError("too many brackets in each other") from error
    if isinstance(value, dict):
        return value
    raise ValueError(say("it is something else"))


def _refuse_constant(name: str) -> Any:
    raise ValueError(say("{name} is no number of JSON", name=name))
