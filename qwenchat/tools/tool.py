"""The shape of a built-in tool: what the model reads of it, and what it does."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from qwenchat.chat.errors import ToolRefused
from qwenchat.chat.tools import ToolSpec
from qwenchat.engine.base import StopSignal
from qwenchat.i18n.texts import say


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of this program."""

    spec: ToolSpec
    run: Callable[[dict[str, Any], StopSignal], str]
    """Does what the arguments say, on any thread; raises ToolError. Long work looks at the signal."""


def tool(name: str, description: str, arguments: type[Any], act: Callable[[Any, StopSignal], str]) -> Tool:
    """A tool whose arguments are a msgspec struct: the schema is made of it, and what does not fit is refused."""

    def run(given: dict[str, Any], stop: StopSignal) -> str:
        try:
            read = msgspec.convert(given, arguments)
        except msgspec.ValidationError as error:
            raise ToolRefused(say("The arguments of {tool} do not fit: {error}.", tool=name, error=error)) from error
        return act(read, stop)

    return Tool(ToolSpec(name, description, _schema(arguments)), run)


def clipped(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, which say so where something is left out."""
    if len(text) <= limit:
        return text
    notice = say("\n[cut: {shown:,} of {all:,} characters]", shown=limit, all=len(text))
    return text[: max(0, limit - len(notice))] + notice


def _schema(arguments: type[Any]) -> str:
    _, components = msgspec.json.schema_components((arguments,))
    schema = components[arguments.__name__]
    return json.dumps({key: value for key, value in schema.items() if key not in ("title", "description")})
