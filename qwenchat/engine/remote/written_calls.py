"""Calls of tools that a server left in the text, since it has no parser for them: `<tool_call>...</tool_call>`.

They are read only where the model was offered tools, in its answer, at the beginning of a line outside of code, and
when they name a tool that was offered. Anything else is text.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qwenchat.chat.calls import call_of
from qwenchat.chat.events import (
    AnswerReclassified,
    Channel,
    TextProduced,
    ToolCalled,
    TurnEvent,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import ToolCallPart, new_id
from qwenchat.chat.provenance import FinishReason
from qwenchat.chat.tools import ToolSpec

OPEN, CLOSE = "<tool_call>", "</tool_call>"
LONGEST = 200_000
"""Characters of one call."""
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_FUNCTION = re.compile(r"\s*<function=([^<>\n]{1,200})>")
_DECODER = json.JSONDecoder()
_PARAMETER = re.compile(r"<parameter=([^<>\n]{1,200})>\n?")


def with_calls(events: Iterable[TurnEvent], tools: Sequence[ToolSpec]) -> Iterator[TurnEvent]:
    """The events of a turn in which what is written as a call is one."""
    reader, tokens, at_s, turn, called = _Reader(tools), 0, 0.0, 0, False

    def rest() -> Iterator[TurnEvent]:
        if (text := reader.as_text()) or tokens:
            yield TextProduced(turn, Channel.ANSWER, text, tokens, at_s)

    try:
        for event in events:
            match event:
                case TextProduced(channel=Channel.ANSWER):
                    turn, at_s, tokens = event.turn, event.at_s, tokens + event.tokens
                    if text := reader.feed(event.text):
                        yield replace(event, text=text, tokens=tokens)
                        tokens = 0
                    continue
                case TurnFinished(reason=FinishReason.STOP | FinishReason.TOOL_CALLS) if not called:
                    text = reader.finish()
                    if text or (tokens and not reader.calls):
                        yield TextProduced(turn, Channel.ANSWER, text, tokens, at_s)
                        tokens = 0
                    for call, _ in reader.calls:
                        yield ToolCalled(turn, call, tokens, at_s)
                        tokens, event = 0, replace(event, reason=FinishReason.TOOL_CALLS)
                case TurnFinished() | TurnStopped() | AnswerReclassified():
                    yield from rest()
                    tokens = 0
                case ToolCalled():
                    called = True
            yield event
    except Exception:
        yield from rest()
        raise


class _Reader:
    """Takes the answer in pieces, gives back what is text, and holds what is or may become a call."""

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self.calls: list[tuple[ToolCallPart, str]] = []
        """The calls, each as it was written; those that share their tags with one before as nothing."""
        self._held = ""
        self._inside = False
        """Whether what is held begins a call."""
        self._indent = ""
        """The spaces before it, which count if it is none."""
        self._line = ""
        """The line so far, as much of it as shows whether it opens or closes code."""
        self._fence = ""
        self._blank = ""
        """Blank text that counts once something follows it."""
        self._began = False
        """Whether anything was said."""
        self._leads = False
        """Whether a call came before that."""

    def feed(self, text: str) -> str:
        """What is certain to be text."""
        self._held += text
        said: list[str] = []
        while self._held and (self._rest_of_call(said) if self._inside else self._rest_of_line(said)):
            pass
        return self._without_blank("".join(said))

    def finish(self) -> str:
        """The rest, at the end of the reply; a call that was not closed may be whole."""
        held, self._held = self._held, ""
        if self._inside and self._read(held.removeprefix(OPEN), held):
            held = ""
        elif self._inside:
            held = self._indent + held
        return self._without_blank(held) + ("" if self.calls else self._blank)

    def as_text(self) -> str:
        """All that was held back, calls too."""
        text = self._blank + "".join(f"{written}\n" for _, written in self.calls if written) + self._held
        self.calls, self._held, self._blank, self._inside = [], "", "", False
        return text

    def _rest_of_call(self, said: list[str]) -> bool:
        """Read on in a call; whether there may be more to read."""
        end = self._held.find(CLOSE)
        if end < 0 and len(self._held) <= LONGEST:
            return False
        end = end + len(CLOSE) if end >= 0 else len(OPEN)
        written, self._held, self._inside = self._held[:end], self._held[end:], False
        if self._read(written.removeprefix(OPEN).removesuffix(CLOSE), written):
            self._leads = self._leads or not (self._began or "".join(said).strip())
        else:
            said.append(self._indent + written)
            self._line = "<"
        return True

    def _rest_of_line(self, said: list[str]) -> bool:
        """Read on to the end of the line; whether there may be more to read."""
        if not self._line and not self._fence:
            body = self._held.lstrip(" ")
            indented = len(self._held) - len(body) > 3
            if body.startswith(OPEN) and not indented:
                self._indent, self._held, self._inside = self._held[: -len(body)], body, True
                return True
            if OPEN.startswith(body) and not indented:
                return False
        text, newline, self._held = self._held.partition("\n")
        said.append(text + newline)
        self._line = (self._line + text)[:40]
        if newline:
            if (fence := _FENCE.match(self._line)) is not None:
                if not self._fence:
                    self._fence = fence[1]
                elif fence[1].startswith(self._fence):
                    self._fence = ""
            self._line = ""
        return True

    def _without_blank(self, text: str) -> str:
        text = self._blank + text
        if self._leads and not self._began:
            text = text.lstrip()
        kept = text.rstrip()
        self._blank = text[len(kept) :]
        self._began |= bool(kept)
        return kept

    def _read(self, inner: str, written: str) -> bool:
        """Take in the calls between the tags; whether all that is there are calls of tools that were offered."""
        calls = [_of_tags(inner, self._tools)] if _FUNCTION.match(inner) else list(map(call_of, _objects(inner)))
        named = [call for call in calls if call is not None and call.name in self._tools]
        if not named or len(named) < len(calls):
            return False
        self.calls += zip(named, [written, *[""] * (len(named) - 1)], strict=True)
        return True


def _objects(text: str) -> list[str]:
    """The objects of JSON in a text, one after the other or in a list; all of it as one where it is something else."""
    found: list[str] = []
    at = 0
    try:
        while rest := text[at:].lstrip(" \t\r\n,;"):
            value, length = _DECODER.raw_decode(rest)
            found += [json.dumps(each) for each in value] if isinstance(value, list) else [rest[:length]]
            at = len(text) - len(rest) + length
    except (ValueError, RecursionError):
        return [text]
    return found


def _of_tags(inner: str, tools: Mapping[str, ToolSpec]) -> ToolCallPart | None:
    """A call as Qwen3-Coder writes it: `<function=NAME>` with a `<parameter=NAME>` for each argument."""
    function = _FUNCTION.match(inner)
    if function is None or (tool := tools.get(name := function[1].strip())) is None:
        return None
    schema = json.loads(tool.parameters).get("properties")
    arguments: dict[str, Any] = {}
    at = function.end()
    while (parameter := _PARAMETER.search(inner, at)) is not None:
        end = inner.find("</parameter>", parameter.end())
        if end < 0:
            return None
        key, at = parameter[1].strip(), end
        about = schema.get(key) if isinstance(schema, dict) else None
        arguments[key] = _value(inner[parameter.end() : end].removesuffix("\n"), about)
    return ToolCallPart(new_id(), name, json.dumps(arguments, ensure_ascii=False))


def _value(text: str, about: Any) -> Any:
    """An argument, which is written without quotes: text, unless its schema says something else."""
    if not isinstance(about, dict) or about.get("type", "string") == "string":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
