"""Calls of tools as servers stream them: pieces that are put together here, and the ids that they bear on the way."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from qwenchat.chat.calls import arguments_text, calls_in
from qwenchat.chat.messages import Message, ToolCallPart, new_id

MOST_CALLS = 32
_NO_ARGUMENTS = ("", "{}", "null", "[]")
"""How servers write that there are none, or none yet."""
LONGEST_ARGUMENTS = 200_000
_FIT = re.compile(r"[A-Za-z0-9_.:/+=-]{1,4096}")
"""Ids that can be sent again. Some servers keep whole signatures in them; none of these spells a control token."""


@dataclass(slots=True)
class _Growing:
    id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def whole(self) -> bool:
        """Whether the arguments are all there."""
        if not self.arguments.rstrip().endswith(("}", '"')):
            return False
        try:
            json.loads(self.arguments)
        except (ValueError, RecursionError):
            return False
        return True


class StreamedCalls:
    """Puts the pieces together. Their fields may be missing or odd; those are passed over.

    A piece goes to the call with its number, its id, or else to the last one. What names a call anew begins a new one,
    whatever its number: some servers give all calls the same number, some the same id.
    """

    def __init__(self) -> None:
        self._calls: list[_Growing] = []
        self._numbered: dict[int | str, _Growing] = {}
        """The latest call of each number."""

    def take(self, delta: Any) -> bool:
        """Take in what a chunk says of calls, and say whether it says anything."""
        pieces = getattr(delta, "tool_calls", None)
        if not pieces and (function := getattr(delta, "function_call", None)) is not None:
            pieces = SimpleNamespace(function=function)  # what the API had before it had several calls
        pieces = pieces if isinstance(pieces, list) else [pieces] if pieces else []
        for piece in pieces:
            self._add(_attributes(piece))
        return bool(pieces)

    def made(self) -> Iterator[ToolCallPart]:
        """The calls in their order, with ids of the program's own. Their arguments may still be no JSON object."""
        for call in self._calls:
            server_id = call.id if _FIT.fullmatch(call.id) else ""
            arguments = arguments_text(call.arguments)
            arguments = "{}" if arguments.strip() in _NO_ARGUMENTS else arguments
            yield ToolCallPart(new_id(), call.name.strip(), arguments, server_id)

    def _add(self, piece: Any) -> None:
        function = _attributes(getattr(piece, "function", None) or piece)
        id_, name, arguments = _text(piece, "id"), _text(function, "name"), getattr(function, "arguments", None)
        if not isinstance(arguments, str):
            arguments = "" if arguments is None else arguments_text(arguments)
        number = getattr(piece, "index", None)
        number = number if isinstance(number, int | str) and not isinstance(number, bool) else None
        call = self._meant(number, id_)
        if call is not None and id_ and (id_, name, arguments) == (call.id, call.name, call.arguments):
            return  # the whole call once more, as some servers end a reply
        if call is None or _begins(call, id_, name, arguments, numbered=number is not None):
            if len(self._calls) >= MOST_CALLS:
                return
            call = _Growing()
            self._calls.append(call)
        if number is not None:
            self._numbered[number] = call
        call.id = call.id or id_
        if not call.arguments and name != call.name:  # some servers send a name in pieces, or what there is of it
            call.name = name if name.startswith(call.name) else call.name + name
        if call.arguments.strip() in _NO_ARGUMENTS and arguments.lstrip().startswith("{"):
            call.arguments = ""
        call.arguments += arguments[: max(0, LONGEST_ARGUMENTS - len(call.arguments))]

    def _meant(self, number: int | str | None, id_: str) -> _Growing | None:
        """The call that a piece goes on with, if it begins none."""
        if number is not None:
            return self._numbered.get(number)
        same = (call for call in reversed(self._calls) if id_ and call.id == id_)
        return next(same, self._calls[-1] if self._calls else None)


def _begins(call: _Growing, id_: str, name: str, arguments: str, *, numbered: bool) -> bool:
    """Whether a piece begins another call than `call`, to which it would go otherwise."""
    if id_ and call.id and id_ != call.id:
        # Some servers make up an id for every piece: without a name, in the middle of arguments, it means nothing.
        return bool(name) or not call.arguments or call.whole
    if not name or not call.name:
        return False
    return (bool(arguments) and call.whole) or (not numbered and name != call.name)


class WireIds:
    """The ids that calls and their results bear in one request, no two the same.

    A server gets its own ids, where they differ; everything else gets nine letters and digits, which is
    all that the strictest servers take.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._taken: set[str] = set()
        self._ids: dict[str, str] = {}

    def begin(self, message: Message) -> None:
        """A message comes next; the results of its calls follow it."""
        made = message.provenance
        ours = bool(self._server) and made is not None and made.model.server == self._server
        for call in calls_in(message):
            id_ = call.server_id if ours and _FIT.fullmatch(call.server_id) else ""
            number = 0
            while not id_ or id_ in self._taken:
                id_, number = sha256(f"{call.id} {number}".encode("utf-8", "replace")).hexdigest()[:9], number + 1
            self._taken.add(id_)
            self._ids[call.id] = id_

    def of(self, call_id: str) -> str:
        """The id of a call of the program in this request."""
        return self._ids.get(call_id, call_id)


def _text(value: Any, name: str) -> str:
    text = getattr(value, name, None)
    if name == "id" and isinstance(text, int) and not isinstance(text, bool):
        return str(text)
    return text if isinstance(text, str) else ""


def _attributes(value: Any) -> Any:
    """An object of JSON with its fields as attributes."""
    return SimpleNamespace(**value) if isinstance(value, dict) else value
