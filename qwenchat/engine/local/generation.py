"""One turn of the local engine: a prompt goes in, events come out."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import islice

from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.engine_commands import StartTurn
from qwenchat.chat.errors import PromptTooLong
from qwenchat.chat.events import (
    BeginningTrimmed,
    Channel,
    HistoryTrimmed,
    PrefillProgressed,
    TurnEvent,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import ToolCallPart
from qwenchat.chat.provenance import FinishReason, ThinkingSupport, ThoughtCut
from qwenchat.chat.splitter import CLOSE_TAG, OPEN_TAG, Splitter
from qwenchat.chat.thinking import CLOSING
from qwenchat.engine.base import Stopped, TurnSignals
from qwenchat.engine.local.constraint import Constraint
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.context_pool import ContextPool
from qwenchat.engine.local.detokenize import INCOMPLETE, Detokenizer
from qwenchat.engine.local.generate import decode, prefill
from qwenchat.engine.local.prompt import ChatTemplate, RenderedPrompt
from qwenchat.engine.local.repetition import RepetitionGuard
from qwenchat.engine.local.sampler import Sampler
from qwenchat.engine.local.tokenizer import ChatTokenizer
from qwenchat.engine.local.tool_call_reader import CallReader
from qwenchat.engine.turn_stats import TurnStats

LONGEST_RESERVE = 4096
"""Tokens kept free for the reply, at most; in small context windows a quarter."""


def reserve_of(window: int, max_tokens: int = LONGEST_RESERVE) -> int:
    """How many tokens of the window are kept free for a reply of at most `max_tokens`."""
    return min(max_tokens, LONGEST_RESERVE, window // 4)


class Generation:
    """Runs the decode loop for one command and keeps its counts."""

    def __init__(
        self,
        contexts: ContextPool,
        template: ChatTemplate,
        tokenizer: ChatTokenizer,
        command: StartTurn,
        signals: TurnSignals,
    ) -> None:
        self._contexts, self._template, self._tokenizer = contexts, template, tokenizer
        self._command, self._signals = command, signals
        self._context: SequenceContext
        thinks = template.thinking is not ThinkingSupport.NONE
        self._opens, self._closes = (tokenizer.token_id(tag) if thinks else None for tag in (OPEN_TAG, CLOSE_TAG))
        self._constraint: Constraint | None = None
        self._splitter = Splitter(expected=thinks)
        self._detokenizer = Detokenizer(tokenizer)
        self._calls = CallReader(tokenizer, tools=bool(command.tools))
        self._whole = True
        """Whether the latest token ended a character."""
        self._stats = TurnStats(command.turn)
        self._prompt_tokens = self._cached_tokens = 0
        self._thought = 0
        """Tokens of the thought so far, from its first word on."""

    def run(self) -> Iterator[TurnEvent]:
        """All events of the turn, the last of them its end."""
        try:
            prompt = self._fitted()
            if prompt.left_out:
                yield HistoryTrimmed(self._command.turn, prompt.left_out)
            self._prompt_tokens = len(prompt.ids)
            ids = list(prompt.ids)
            ids += yield from self._begun(prompt)
            for done in self._read(ids):
                yield PrefillProgressed(self._command.turn, done, len(ids))
            reason = yield from self._reply(prompt, ids)
        except Stopped:
            reason = FinishReason.STOPPED
        usage, timing = self._stats.usage(self._prompt_tokens, self._cached_tokens), self._stats.timing()
        if reason is FinishReason.STOPPED:
            yield TurnStopped(self._command.turn, usage, timing)
        else:
            yield TurnFinished(self._command.turn, reason, usage, timing)

    def _fitted(self) -> RenderedPrompt:
        """The prompt, with room for the part of the reply that is there, if the newest message leaves any."""
        command, window = self._command, self._contexts.window
        reserve = reserve_of(window, command.sampling.max_tokens)
        if begun := len(self._template.encode_begun(command.begun, opened=False)):
            with suppress(PromptTooLong):
                room = reserve_of(window) + begun
                return self._template.fitted(command.messages, command.thinking, window, room, command.tools)
        return self._template.fitted(command.messages, command.thinking, window, reserve, command.tools)

    def _begun(self, prompt: RenderedPrompt) -> Generator[TurnEvent, None, list[int]]:
        """What comes after the prompt when the reply goes on: as much of it as leaves room for more."""
        ids = self._template.encode_begun(self._command.begun, prompt.opens_thought)
        closing = self._closing() if self._command.answer_now else []
        taken = len(prompt.ids) + len(closing) + reserve_of(self._contexts.window) // 2
        excess = min(len(ids), len(ids) + taken - self._contexts.window)
        if excess > 0:
            yield BeginningTrimmed(self._command.turn, excess)
            opening = [] if prompt.opens_thought else self._tokenizer.encode(f"{OPEN_TAG}\n")
            ids = _shortened(ids, excess, opening, self._closes)
        return ids + closing

    def _read(self, ids: list[int]) -> Iterator[int]:
        """Prefill what the context does not hold already, telling how much of `ids` is read."""
        self._context = self._contexts.nearest(ids)
        cached = self._context.rewind(ids)
        self._cached_tokens = min(cached, self._prompt_tokens)
        for done in prefill(self._context, ids[cached:], self._signals):
            yield cached + done

    def _reply(self, prompt: RenderedPrompt, ids: list[int]) -> Generator[TurnEvent, None, FinishReason]:
        """Go on after `ids`, which the model has read, until it ends its turn, a limit is reached, or it is stopped."""
        self._go_on(prompt, ids[len(prompt.ids) :])
        if self._command.answer_now:
            yield from self._close_thought(ThoughtCut.USER)
        if self._command.schema is not None:
            self._constrain(self._command.schema, prompt)
        sampler = Sampler(self._command.sampling, prompt.ids, ids[len(prompt.ids) :])
        left = min(self._command.sampling.max_tokens, self._context.window - len(ids))
        try:
            reason = yield from self._decode(ids, sampler, left)
        except Stopped:
            reason = FinishReason.STOPPED
        if reason is FinishReason.STOP:
            yield from self._called(self._calls.end())
            reason = FinishReason.TOOL_CALLS if self._calls.made else reason
        yield from self._rest(whole=reason in (FinishReason.STOP, FinishReason.TOOL_CALLS))
        self._stats.settle(self._splitter.channel)
        return reason

    def _rest(self, *, whole: bool) -> Iterator[TurnEvent]:
        """What was held back; a reply that breaks off keeps its last blank, but no part of a character."""
        rest = self._detokenizer.flush()
        if whole:
            yield from self._stats.events(self._splitter.text(rest))
        else:
            if rest.endswith(INCOMPLETE):
                rest = rest.removesuffix(INCOMPLETE).rstrip(" ")  # a space may be one token with what follows it
            yield from self._stats.events(self._splitter.text(rest))
            yield from self._stats.events(self._splitter.interrupted())

    def _go_on(self, prompt: RenderedPrompt, begun_ids: list[int]) -> None:
        """Be where the reply is that the model goes on with."""
        begun = self._command.begun
        thought = "" if self._opens is None else begun.thought
        if prompt.opens_thought or thought:
            self._splitter.open()
        self._splitter.text(thought.rstrip())
        if thought and begun.thinking:
            self._stats.go_on_thinking()
            self._thought = len(self._template.encode_begun(PartialReply(answer=thought), opened=False))
        elif thought or begun.answer:
            self._splitter.close()
        self._splitter.text(begun.answer.rstrip())
        self._detokenizer.begin_after(begun_ids)

    def _constrain(self, schema: str, prompt: RenderedPrompt) -> None:
        """Keep the answer to a schema, from where the reply stands."""
        begun = self._command.begun
        answer = self._tokenizer.encode(begun.answer)
        opens = self._opens if self._command.thinking else None
        self._constraint = Constraint(schema, self._tokenizer, self._context.logits.size, opens, self._closes)
        thinking = (prompt.opens_thought or begun.thinking) and not (begun.answer or self._command.answer_now)
        self._constraint.begin(thinking=thinking, answer=answer)

    def _decode(self, ids: list[int], sampler: Sampler, left: int) -> Generator[TurnEvent, None, FinishReason]:
        """At most `left` tokens; where the thought must end, its end is read in the model's place."""
        guard = RepetitionGuard(lambda token: self._tokenizer.decode([token]))
        while True:
            cut = None
            for token in decode(self._context, sampler, self._signals, left, constraint=self._constraint):
                if token in self._tokenizer.eos_ids:
                    return FinishReason.STOP
                ids.append(token)
                left -= 1
                yield from self._take(token)
                if guard.add(token):
                    return FinishReason.REPETITION
                if cut := self._cut():
                    break
            closing = self._closing()
            if cut is None or left <= len(closing):
                return FinishReason.LENGTH
            ids += closing
            left -= len(closing)
            for _ in prefill(self._context, ids[self._context.rewind(ids) :], self._signals):
                pass
            yield from self._close_thought(cut)

    def _take(self, token: int) -> Iterator[TurnEvent]:
        """What one token says."""
        self._stats.count()
        if self._calls.inside:
            yield from self._called(self._calls.take(token))
            return
        if self._splitter.channel is Channel.ANSWER and self._calls.begins(token):
            yield from self._stats.events(self._splitter.text(self._detokenizer.flush()))
            self._calls.begin()
            return
        if token in (self._opens, self._closes):
            yield from self._stats.events(self._splitter.text(self._detokenizer.flush()))
            yield from self._stats.events(self._splitter.open() if token == self._opens else self._splitter.close())
            self._whole = True
            return
        text = self._detokenizer.feed(token)
        self._whole = bool(text)
        if text:
            yield from self._stats.events(self._splitter.text(text))
        self._thought += self._stats.thinking

    def _called(self, call: ToolCallPart | None) -> Iterator[TurnEvent]:
        if call is not None:
            yield self._stats.called(call)

    def _cut(self) -> ThoughtCut | None:
        """What ends the thought here: between two characters, and never an empty one."""
        if not (self._stats.thinking and self._whole):
            return None
        if self._signals.wants_answer():
            return ThoughtCut.USER
        budget = self._command.thinking_budget
        return ThoughtCut.BUDGET if budget is not None and self._thought >= budget else None

    def _closing(self) -> list[int]:
        return self._tokenizer.encode(f"{CLOSING}{CLOSE_TAG}\n\n")

    def _close_thought(self, cut: ThoughtCut) -> Iterator[TurnEvent]:
        """Say what ends the thought in the model's place."""
        self._stats.insert(len(self._closing()))
        if self._constraint is not None:
            self._constraint.end_thought()
        yield from self._stats.events(self._splitter.text(self._detokenizer.flush() + CLOSING))
        yield from self._stats.events(self._splitter.close(), cut)


def _shortened(ids: list[int], excess: int, opening: list[int], close: int | None) -> list[int]:
    """`ids` without so many of the first tokens of the thought, then of the answer; the tags stay."""
    start = len(opening) if ids[: len(opening)] == opening else 0
    end = ids.index(close) if close in ids else len(ids)
    tags = {*range(start), end, end + 1}
    dropped = set(islice((at for at in range(len(ids)) if at not in tags), excess))
    return [token for at, token in enumerate(ids) if at not in dropped]
