"""One turn of the local engine: a prompt goes in, events come out."""

import time
from collections.abc import Generator, Iterable, Iterator

from qwenchat.chat.commands import StartTurn
from qwenchat.chat.events import (
    AnswerReclassified,
    Channel,
    HistoryTrimmed,
    PrefillProgressed,
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    TurnEvent,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.provenance import FinishReason, ThinkingSupport, Timing, Usage
from qwenchat.chat.splitter import CLOSE_TAG, OPEN_TAG, Mark, Said, Split, Splitter
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local.context import Context
from qwenchat.engine.local.contexts import Contexts
from qwenchat.engine.local.detokenize import Detokenizer
from qwenchat.engine.local.generate import decode, prefill
from qwenchat.engine.local.prompt import ChatTemplate, Prompt
from qwenchat.engine.local.sampler import Sampler
from qwenchat.engine.local.tokenizer import ChatTokenizer

LONGEST_RESERVE = 4096
"""Tokens kept free for the reply, at most; in small context windows a quarter."""


def reserve_of(window: int, max_tokens: int = LONGEST_RESERVE) -> int:
    """How many tokens of the window are kept free for a reply of at most `max_tokens`."""
    return min(max_tokens, LONGEST_RESERVE, window // 4)


class Turn:
    """Runs the decode loop for one command and keeps its counts."""

    def __init__(
        self, contexts: Contexts, template: ChatTemplate, tokenizer: ChatTokenizer, command: StartTurn, stop: StopSignal
    ) -> None:
        self._contexts, self._template, self._tokenizer = contexts, template, tokenizer
        self._command, self._stop = command, stop
        self._context: Context
        self._started = time.perf_counter()
        self._prompt_tokens = self._cached_tokens = 0
        self._tokens = {Channel.THOUGHT: 0, Channel.ANSWER: 0}
        self._unreported = 0
        """Tokens since the last text was reported; they count where the next text belongs, so that the tags of an
        empty thought are no thought."""
        self._first_s: float | None = None
        self._thought_began_s: float | None = None
        self._thought_s = 0.0

    def run(self) -> Iterator[TurnEvent]:
        """All events of the turn, the last of them its end."""
        try:
            prompt = self._fitted()
            if prompt.left_out:
                yield HistoryTrimmed(self._command.turn, prompt.left_out)
            for done in self.read(prompt):
                yield PrefillProgressed(self._command.turn, done, len(prompt.ids))
            reason = yield from self._answer(prompt)
        except Stopped:
            reason = FinishReason.STOPPED
        if reason is FinishReason.STOPPED:
            yield TurnStopped(self._command.turn, self._usage(), self._timing())
        else:
            yield TurnFinished(self._command.turn, reason, self._usage(), self._timing())

    def read(self, prompt: Prompt) -> Iterator[int]:
        """Prefill what the context does not hold already, telling how much of the prompt is read."""
        self._context = self._contexts.nearest(prompt.ids)
        cached = self._context.rewind(prompt.ids)
        self._prompt_tokens, self._cached_tokens = len(prompt.ids), cached
        for done in prefill(self._context, prompt.ids[cached:], self._stop):
            yield cached + done

    def _fitted(self) -> Prompt:
        window = self._contexts.window
        reserve = reserve_of(window, self._command.sampling.max_tokens)
        return self._template.fitted(self._command.messages, self._command.thinking, window, reserve)

    def _answer(self, prompt: Prompt) -> Generator[TurnEvent, None, FinishReason]:
        """Decode until the model ends its turn, a limit is reached, or the turn is stopped."""
        tokenizer, sampling = self._tokenizer, self._command.sampling
        thinks = self._template.thinking is not ThinkingSupport.NONE
        opens, closes = (tokenizer.token_id(tag) if thinks else None for tag in (OPEN_TAG, CLOSE_TAG))
        splitter = Splitter(thinking=prompt.opens_thought, expected=thinks)
        detokenizer = Detokenizer(tokenizer)
        sampler = Sampler(sampling, prompt.ids, self._context.device)
        limit = min(sampling.max_tokens, self._context.window - len(prompt.ids))
        reason = FinishReason.LENGTH
        try:
            for token in decode(self._context, sampler, self._stop, limit):
                if token in tokenizer.eos_ids:
                    reason = FinishReason.STOP
                    break
                self._count()
                if token in (opens, closes):
                    yield from self._events(splitter.text(detokenizer.flush()))
                    yield from self._events(splitter.open() if token == opens else splitter.close())
                elif text := detokenizer.feed(token):
                    yield from self._events(splitter.text(text))
        except Stopped:
            reason = FinishReason.STOPPED
        yield from self._events(splitter.text(detokenizer.flush()))
        self._tokens[splitter.channel] += self._unreported
        return reason

    def _events(self, splits: Iterable[Split]) -> Iterator[TurnEvent]:
        turn = self._command.turn
        for split in splits:
            now = self._elapsed()
            match split:
                case Said():
                    self._tokens[split.channel] += self._unreported
                    yield TextProduced(turn, split.channel, split.text, self._unreported, now)
                    self._unreported = 0
                case Mark.OPENED:
                    self._thought_began_s = now
                    yield ThoughtStarted(turn, now)
                case Mark.CLOSED:
                    self._end_thought(now)
                    yield ThoughtEnded(turn, now)
                case Mark.RECLASSIFIED:
                    self._tokens = {Channel.THOUGHT: sum(self._tokens.values()), Channel.ANSWER: 0}
                    self._thought_began_s = self._first_s
                    self._end_thought(now)
                    yield AnswerReclassified(turn, now)

    def _count(self) -> None:
        if self._first_s is None:
            self._first_s = self._elapsed()
        self._unreported += 1

    def _end_thought(self, now: float) -> None:
        if self._thought_began_s is not None:
            self._thought_s += now - self._thought_began_s
            self._thought_began_s = None

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started

    def _usage(self) -> Usage:
        return Usage(
            self._prompt_tokens, self._cached_tokens, self._tokens[Channel.THOUGHT], self._tokens[Channel.ANSWER]
        )

    def _timing(self) -> Timing:
        now = self._elapsed()
        self._end_thought(now)
        first = self._first_s if self._first_s is not None else 0.0
        after_first = sum(self._tokens.values()) - 1
        rate = after_first / (now - first) if after_first > 0 and now > first else 0.0
        return Timing(first, self._thought_s, now, rate)
