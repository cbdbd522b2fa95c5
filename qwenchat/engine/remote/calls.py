"""Calls of tools as a server streams them: in pieces, each with the number of the call that it belongs to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.messages import ToolCallPart, new_id

MOST_CALLS = 32
LONGEST_ARGUMENTS = 200_000


@dataclass(slots=True)
class _Growing:
    id: str = ""
    name: str = ""
    arguments: str = ""


class StreamedCalls:
    """Puts the pieces together. Their fields may be missing or odd; those are passed over."""

    def __init__(self) -> None:
        self._calls: dict[int, _Growing] = {}

    def take(self, delta: Any) -> bool:
        """Take in what a chunk says of calls, and say whether it says anything."""
        pieces = getattr(delta, "tool_calls", None)
        if not isinstance(pieces, list) or not pieces:
            return False
        for piece in pieces:
            number = getattr(piece, "index", None)
            number = number if isinstance(number, int) else max(self._calls, default=0)
            if number in self._calls or len(self._calls) < MOST_CALLS:
                self._add(self._calls.setdefault(number, _Growing()), piece)
        return True

    def made(self) -> Iterator[ToolCallPart]:
        """The calls in their order. That their arguments are JSON is seen by whoever runs them."""
        for _, call in sorted(self._calls.items()):
            yield ToolCallPart(call.id or new_id(), call.name, call.arguments or "{}")

    def _add(self, call: _Growing, piece: Any) -> None:
        function = getattr(piece, "function", None)
        call.id = call.id or _text(piece, "id")
        call.name = call.name or _text(function, "name")
        if len(call.arguments) < LONGEST_ARGUMENTS:
            call.arguments += _text(function, "arguments")


def _text(value: Any, name: str) -> str:
    text = getattr(value, name, None)
    return text if isinstance(text, str) else ""
