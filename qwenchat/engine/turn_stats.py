"""Counts a reply while it streams, and makes events of what a splitter finds."""

import time
from collections.abc import Callable, Iterable, Iterator

from qwenchat.chat.events import (
    AnswerReclassified,
    Channel,
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    ToolCalled,
    TurnEvent,
)
from qwenchat.chat.messages import ToolCallPart
from qwenchat.chat.provenance import ThoughtCut, Timing, Usage
from qwenchat.chat.splitter import Split, SplitMark, SplitText


class TurnStats:
    """The tokens and times of one turn."""

    def __init__(self, turn: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._turn, self._clock, self._started = turn, clock, clock()
        self.tokens = {Channel.THOUGHT: 0, Channel.ANSWER: 0}
        self._unreported = 0
        """Tokens since the last text was reported; they count where the next text belongs, so that the tags of an empty
        thought are no thought."""
        self._inserted = 0
        """Tokens among those counted that the model did not choose."""
        self._first_s: float | None = None
        self._thought_began_s: float | None = None
        self._thought_s = 0.0

    @property
    def thinking(self) -> bool:
        """Whether a thought has begun and not ended."""
        return self._thought_began_s is not None

    @property
    def begun(self) -> bool:
        """Whether anything was counted."""
        return self._first_s is not None

    def count(self, tokens: int = 1) -> None:
        """So many tokens came; they belong to the text that is reported next."""
        if self._first_s is None:
            self._first_s = self._elapsed()
        self._unreported += tokens

    def insert(self, tokens: int) -> None:
        """So many tokens were put in the model's place: they count as the others, but not for its speed."""
        self._unreported += tokens
        self._inserted += tokens

    def go_on_thinking(self) -> None:
        """The reply goes on inside a thought."""
        self._thought_began_s = 0.0

    def settle(self, channel: Channel) -> None:
        """The reply has ended there: the tokens that were not reported belong to that."""
        self.tokens[channel] += self._unreported
        self._unreported = 0

    def events(self, splits: Iterable[Split], cut: ThoughtCut | None = None) -> Iterator[TurnEvent]:
        """What the splitter found, as events; `cut` says what ended a thought that ends here."""
        for split in splits:
            now = self._elapsed()
            match split:
                case SplitText():
                    self.tokens[split.channel] += self._unreported
                    yield TextProduced(self._turn, split.channel, split.text, self._unreported, now)
                    self._unreported = 0
                case SplitMark.OPENED:
                    self._thought_began_s = now
                    yield ThoughtStarted(self._turn, now)
                case SplitMark.CLOSED:
                    self._end_thought(now)
                    yield ThoughtEnded(self._turn, now, cut)
                case SplitMark.RECLASSIFIED:
                    self.tokens = {Channel.THOUGHT: sum(self.tokens.values()), Channel.ANSWER: 0}
                    self._thought_began_s = self._first_s
                    self._end_thought(now)
                    yield AnswerReclassified(self._turn, now)

    def called(self, call: ToolCallPart) -> ToolCalled:
        """A call of a tool, which the tokens that were not reported belong to."""
        tokens, self._unreported = self._unreported, 0
        self.tokens[Channel.ANSWER] += tokens
        return ToolCalled(self._turn, call, tokens, self._elapsed())

    def usage(self, prompt_tokens: int = 0, cached_tokens: int = 0) -> Usage:
        """What was counted."""
        return Usage(prompt_tokens, cached_tokens, self.tokens[Channel.THOUGHT], self.tokens[Channel.ANSWER])

    def timing(self, tokens: int | None = None) -> Timing:
        """The times until now; `tokens` is how many there were, where somebody knows better."""
        now = self._elapsed()
        self._end_thought(now)
        first = self._first_s or 0.0
        after_first = (sum(self.tokens.values()) - self._inserted if tokens is None else tokens) - 1
        rate = after_first / (now - first) if after_first > 0 and now > first else 0.0
        return Timing(first, self._thought_s, now, rate)

    def _end_thought(self, now: float) -> None:
        if self._thought_began_s is not None:
            self._thought_s += now - self._thought_began_s
            self._thought_began_s = None

    def _elapsed(self) -> float:
        return self._clock() - self._started
