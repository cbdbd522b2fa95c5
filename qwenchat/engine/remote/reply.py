"""A reply as it comes from a server: chunks in, events out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from qwenchat.chat.events import (
    AnswerReclassified,
    Channel,
    TextProduced,
    TurnEvent,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.provenance import FinishReason, ThoughtCut, Usage
from qwenchat.chat.splitter import CLOSE_TAG, OPEN_TAG, Split, SplitMark, TagSplitter
from qwenchat.engine.remote.calls import StreamedCalls
from qwenchat.engine.turn_stats import TurnStats

_REASONING = (
    "reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_content", "thinking_blocks",
    "reasoning_text", "thought",
)  # fmt: skip
"""Where servers with a parser of their own put the thought; some put it into two of these at once."""
_REASONS = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "max_output_tokens": FinishReason.LENGTH,
    "max_time": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}
"""What servers say of the end of a reply; everything else is an end that the model chose."""
_CUT_SHORT = re.compile(
    "filter|safety|recitation|refus|block|prohibit|error|abort|cancel|insufficient|sensitive|guardrail|policy|risk|fail"
    "|timeout|spii|violat"
)
"""Ends that neither the model nor the user chose."""


class StreamedReply:
    """What came of one turn so far, over all requests that were made for it."""

    def __init__(self, turn: int, *, thinks: bool, switched_off: bool = False) -> None:
        """`switched_off` is for a model that would think if it were not asked to leave that."""
        self.turn = turn
        self.stats = TurnStats(turn)
        self._splitter = TagSplitter(expected=thinks)
        self._calls = StreamedCalls()
        self._in_field = False
        """Whether the thought comes in a field of its own and has not ended."""
        self._closed = False
        """Whether there was a thought in a field of its own; what comes there later belongs to the answer."""
        self._switched_off = switched_off
        """Whether what comes in the field of the thought is the answer, until one comes in a field of its own: with
        thinking turned off, the parsers of some servers wait for the end of a thought that never began."""
        self._misfiled = False
        """Whether such an answer came."""
        self._usage: Usage | None = None
        self._rate = 0.0
        self.budget: int | None = None
        """The tokens of thought after which the server ends it; None where it does not."""
        self.reason: FinishReason | None = None
        self.said_reason = ""
        """How the reply ended, in the server's own word."""
        self._called = False
        """Whether anything came of a call."""
        self._answered = False
        """Whether there is text of an answer."""

    @property
    def cut_short(self) -> bool:
        """Whether the server ended the reply before the model did, other than at a limit of tokens."""
        return bool(_CUT_SHORT.search(self.said_reason))

    @property
    def empty(self) -> bool:
        """Whether the model chose to end a reply with no text and no call in it; its thought may be there."""
        chosen = self.reason in (None, FinishReason.STOP, FinishReason.TOOL_CALLS) or not self.thought
        return chosen and not self._called and not self._answered

    @property
    def thought(self) -> bool:
        """Whether there was a thought."""
        return self.stats.thinking or self.stats.tokens[Channel.THOUGHT] > 0

    def take(self, chunk: Any) -> Iterator[TurnEvent]:
        """What a chunk of the stream says. Its fields may be missing or odd; those are passed over."""
        self._read_usage(chunk)
        for choice in (getattr(chunk, "choices", None) or ())[:1]:
            delta = getattr(choice, "delta", None)
            thought = next((text for name in _REASONING if (text := _text(delta, name))), "")
            if thought:
                yield from self._thought(thought)
            thought, said = _parts(getattr(delta, "content", None))
            if thought:
                yield from self._thought(thought)
            if said := said or _text(delta, "refusal"):
                yield from self._said(said)
            if self._calls.take(delta):
                self._called = True
                self.stats.count()
                yield from self._events(self._close() if self._in_field else [], self._cut)
            if isinstance(reason := getattr(choice, "finish_reason", None), str) and reason:
                self.said_reason = reason.lower()
                self.reason = _REASONS.get(self.said_reason, FinishReason.STOP)

    def answer_instead(self) -> Iterator[TurnEvent]:
        """The thought that runs is ended by the user; what comes next is the answer."""
        yield from self._events(self._close(), ThoughtCut.USER)
        self._splitter, self._closed = TagSplitter(expected=False), False
        self.reason = self._usage = None

    def rest(self) -> Iterator[TurnEvent]:
        """What was held back, once nothing more comes."""
        yield from self._events(self._splitter.finish())

    def end(self, *, stopped: bool) -> Iterator[TurnEvent]:
        """The rest, and the end of the turn."""
        yield from self.rest()
        if not stopped and self.reason in (None, FinishReason.STOP, FinishReason.TOOL_CALLS):
            for call in self._calls.made():
                yield self.stats.called(call)
                self.reason = FinishReason.TOOL_CALLS
        usage, timing = self._counted(), self.stats.timing(self._total())
        if self._rate:
            timing = replace(timing, tokens_per_s=self._rate)
        if stopped:
            yield TurnStopped(self.turn, usage, timing)
        else:
            yield TurnFinished(self.turn, self.reason or FinishReason.STOP, usage, timing)

    def _events(self, splits: Iterable[Split], cut: ThoughtCut | None = None) -> Iterator[TurnEvent]:
        """What the splitter found, as events."""
        for event in self.stats.events(splits, cut):
            match event:
                case TextProduced(channel=Channel.ANSWER):
                    self._answered |= bool(event.text.strip())
                case AnswerReclassified():
                    self._answered = False
            yield event

    def _thought(self, text: str) -> Iterator[TurnEvent]:
        self.stats.count()
        if self._switched_off:
            self._misfiled = True
            yield from self._events(self._splitter.feed(text))
            return
        splits: list[Split] = []
        if not self._in_field and not self._closed:
            self._in_field = True
            splits += self._splitter.feed(OPEN_TAG)
        # Whatever tags a parser of the server left in there are not to end the thought.
        splits += self._splitter.feed(text.replace(CLOSE_TAG, ""))
        yield from self._events(splits)

    def _said(self, text: str) -> Iterator[TurnEvent]:
        self.stats.count()
        if self._misfiled and text.strip():  # it was a thought after all
            yield from self._events([*self._splitter.finish(), SplitMark.RECLASSIFIED])
            self._splitter, self._closed, self._misfiled = TagSplitter(expected=False), True, False
        if self._in_field or (self._closed and not self._answered):
            text = text.lstrip().removeprefix(CLOSE_TAG) if text.lstrip().startswith(CLOSE_TAG) else text
        closed = self._close() if self._in_field else []
        yield from self._events([*closed, *self._splitter.feed(text)], self._cut)

    @property
    def _cut(self) -> ThoughtCut | None:
        """What ended a thought that ends now, if it was not the model."""
        spent = self.budget is not None and self.stats.tokens[Channel.THOUGHT] >= self.budget
        return ThoughtCut.BUDGET if spent else None

    def _close(self) -> list[Split]:
        self._in_field, self._closed = False, True
        return self._splitter.feed(CLOSE_TAG)

    def _read_usage(self, chunk: Any) -> None:
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            details = getattr(usage, "completion_tokens_details", None)
            cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None)
            total, thought = _number(usage, "completion_tokens"), _number(details, "reasoning_tokens")
            thought = thought or _number(usage, "reasoning_tokens")  # SGLang
            prompt = _number(usage, "prompt_tokens")
            self._usage = Usage(prompt, cached if isinstance(cached, int) else None, thought, max(0, total - thought))
        timings = getattr(chunk, "timings", None)
        if isinstance(timings, dict) and isinstance(rate := timings.get("predicted_per_second"), int | float):
            self._rate = float(rate)

    def _total(self) -> int | None:
        return self._usage.thinking_tokens + self._usage.answer_tokens if self._usage else None

    def _counted(self) -> Usage:
        """The server's own counts; where it does not tell thought from answer, in the shares of what came."""
        seen = self.stats.usage()
        if self._usage is None or not self._total():
            return replace(seen, prompt_tokens=self._usage.prompt_tokens if self._usage else 0)
        if self._usage.thinking_tokens or not seen.thinking_tokens:
            return self._usage
        total = self._usage.answer_tokens
        thought = round(total * seen.thinking_tokens / (seen.thinking_tokens + seen.answer_tokens))
        return replace(self._usage, thinking_tokens=thought, answer_tokens=total - thought)


def _text(value: Any, name: str) -> str:
    return "".join(_parts(getattr(value, name, None)))


def _parts(value: Any) -> tuple[str, str]:
    """The thought and the text in a field that is a text, a part with a type, or a list of these."""
    match value:
        case str():
            return "", value
        case list():
            pairs = [_parts(part) for part in value]
            return "".join(thought for thought, _ in pairs), "".join(text for _, text in pairs)
        case {"thinking": inner} | {"reasoning": inner}:
            return "".join(_parts(inner)), ""
        case {"text": inner} | {"content": inner} | {"summary": inner}:
            text = "".join(_parts(inner))
            kind = str(value.get("type"))
            thought = value.get("thought") is True or any(word in kind for word in ("reasoning", "thinking", "thought"))
            return (text, "") if thought else ("", text)
    return "", ""


def _number(value: Any, name: str) -> int:
    number = getattr(value, name, None)
    return number if isinstance(number, int) and number > 0 else 0
