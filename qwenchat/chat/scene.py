"""How one message came to be, step by step: as it was recorded, or else at a plausible pace."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qwenchat.chat.events import Channel, TextProduced, ThoughtEnded, ThoughtStarted
from qwenchat.chat.messages import Message, ReasoningPart, Role
from qwenchat.chat.timeline import Tick

TYPED_PER_S = 12.0
"""Characters a second that a person types, where it was not recorded."""
LONGEST_TYPING_S = 10.0
SAID_PER_S = 60.0
"""Characters a second that a model says, where not even the length of its turn is known."""
LONGEST_SAYING_S = 60.0
FIRST_TOKEN_S = 0.5
PIECES_PER_S = 20
LONGEST_S = 86_400.0
"""A reply that claims to have taken longer is not believed, and neither is a longer pause of the user."""
LONGEST_REST_S = 10.0
"""Longest wait between a reply's last character and its end."""


@dataclass(frozen=True, slots=True)
class TypedText:
    """The user typed, or pasted, the next characters of a message."""

    text: str


@dataclass(frozen=True, slots=True)
class MessageSent:
    """A message stands there as a whole: the user sent it, or nobody saw it being written."""

    message: Message


@dataclass(frozen=True, slots=True)
class ReplyBegan:
    """The model was asked; nothing of its reply has come yet."""

    message: Message
    """The whole reply, as it will be."""


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """The reply is all there: complete, stopped, failed or interrupted."""

    message: Message


Happening = TypedText | MessageSent | ReplyBegan | ThoughtStarted | TextProduced | ThoughtEnded | ReplyEnded


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened, `at_s` seconds after the replay began, at normal speed."""

    at_s: float
    number: int
    """Of the message, 0 for the first."""
    what: Happening


@dataclass(frozen=True, slots=True)
class Scene:
    """One message and its place in time; `starts_s` and `ends_s` are seconds since the replay began."""

    number: int
    message: Message
    ticks: tuple[Tick, ...]
    """As `believed` gives them."""
    starts_s: float
    ends_s: float

    def moments(self) -> tuple[Moment, ...]:
        """All that happened, in order; together it is exactly the message."""
        match self.message.role:
            case Role.USER:
                found = self._typing()
            case Role.ASSISTANT:
                found = self._reply()
            case _:
                found = iter((self._moment(self.starts_s, MessageSent(self.message)),))
        return tuple(found)

    def _typing(self) -> Iterator[Moment]:
        text, at = self.message.text, 0
        for tick in self.ticks:
            if more := text[at : at + tick.characters]:
                yield self._moment(self._at(tick), TypedText(more))
                at += len(more)
        if at < len(text):
            yield self._moment(self.ends_s, TypedText(text[at:]))
        yield self._moment(self.ends_s, MessageSent(self.message))

    def _reply(self) -> Iterator[Moment]:
        texts = {Channel.THOUGHT: self.message.reasoning, Channel.ANSWER: self.message.text}
        shares = {channel: _Share(count) for channel, count in _tokens(self.message).items()}
        said, thinking, last_s = dict.fromkeys(texts, 0), False, self.starts_s
        yield self._moment(self.starts_s, ReplyBegan(self.message))
        rest = (Tick(0, channel, len(text)) for channel, text in texts.items())
        for tick in (*self.ticks, *rest):
            channel, text = tick.channel, texts[tick.channel]
            more = text[said[channel] : said[channel] + tick.characters]
            if not more:
                continue
            last_s = max(last_s, self._at(tick))
            said[channel] += len(more)
            if thinking is not (channel is Channel.THOUGHT):
                thinking = not thinking
                mark = ThoughtStarted(self.number, last_s) if thinking else ThoughtEnded(self.number, last_s)
                yield self._moment(last_s, mark)
            tokens = shares[channel].taken(said[channel] / len(text))
            yield self._moment(last_s, TextProduced(self.number, channel, more, tokens, last_s))
        if thinking and _closed(self.message):
            yield self._moment(last_s, ThoughtEnded(self.number, last_s))
        yield self._moment(self.ends_s, ReplyEnded(self.message))

    def _moment(self, at_s: float, what: Happening) -> Moment:
        return Moment(at_s, self.number, what)

    def _at(self, tick: Tick) -> float:
        return min(self.starts_s + tick.at_ms / 1000, self.ends_s)


class _Share:
    """Tells of a number of tokens how many more belong to the text so far; which token said what is not recorded."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken = 0

    def taken(self, share: float) -> int:
        """How many more, now that `share` of the text is there."""
        more = round(self._count * share) - self._taken
        self._taken += more
        return more


def believed(message: Message, ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    """`ticks` in order and within bounds, or made up where there are none to believe.

    Those of a user's message may end in one without characters: the moment of sending.
    """
    sane, last = [], 0
    for tick in ticks:
        last = max(last, tick.at_ms)
        sane.append(Tick(last, tick.channel, max(0, tick.characters)))
    if message.role is Role.USER:
        return squeezed(sane, LONGEST_S) if sane else _steady_typing(message)
    return tuple(sane) if sane and last <= LONGEST_S * 1000 else _steady_reply(message)


def squeezed(ticks: Sequence[Tick], limit_s: float) -> tuple[Tick, ...]:
    """`ticks` without a pause longer than that."""
    limit, at, before, found = round(min(limit_s, LONGEST_S) * 1000), 0, 0, []
    for tick in ticks:
        at += min(limit, tick.at_ms - before)
        before = tick.at_ms
        found.append(Tick(at, tick.channel, tick.characters))
    return tuple(found)


def length_of(message: Message, ticks: Sequence[Tick]) -> float:
    """Seconds from the beginning of a message to its end, if its pieces came as `ticks` say."""
    last = ticks[-1].at_ms / 1000 if ticks else 0.0
    if message.role is not Role.ASSISTANT or message.provenance is None:
        return last
    total = message.provenance.timing.total_s
    return min(max(last, total), last + LONGEST_REST_S) if math.isfinite(total) else last


def _steady_typing(message: Message) -> tuple[Tick, ...]:
    count = len(message.text)
    return _steady(Channel.ANSWER, count, 0.0, min(count / TYPED_PER_S, LONGEST_TYPING_S))


def _steady_reply(message: Message) -> tuple[Tick, ...]:
    """As long as the turn took, if that is known, thought and answer at the same pace."""
    thought, answer = len(message.reasoning), len(message.text)
    first, took = FIRST_TOKEN_S, min((thought + answer) / SAID_PER_S, LONGEST_SAYING_S)
    if message.provenance is not None:
        timing = message.provenance.timing
        if 0 <= timing.first_token_s <= timing.total_s <= LONGEST_S and timing.total_s > 0:
            first, took = timing.first_token_s, timing.total_s - timing.first_token_s
    turn = first + took * thought / ((thought + answer) or 1)
    return (*_steady(Channel.THOUGHT, thought, first, turn), *_steady(Channel.ANSWER, answer, turn, first + took))


def _steady(channel: Channel, characters: int, from_s: float, to_s: float) -> tuple[Tick, ...]:
    """So many characters, evenly from one time to another."""
    pieces = max(1, min(characters, round((to_s - from_s) * PIECES_PER_S), 10_000))
    ends = [characters * piece // pieces for piece in range(pieces + 1)]
    return tuple(
        Tick(round(1000 * (from_s + (to_s - from_s) * (piece + 1) / pieces)), channel, ends[piece + 1] - ends[piece])
        for piece in range(pieces)
        if characters
    )


def _tokens(message: Message) -> dict[Channel, int]:
    thought = sum(part.tokens for part in message.parts if isinstance(part, ReasoningPart))
    answer = message.provenance.usage.answer_tokens if message.provenance else 0
    return {Channel.THOUGHT: thought, Channel.ANSWER: answer}


def _closed(message: Message) -> bool:
    thoughts = [part for part in message.parts if isinstance(part, ReasoningPart)]
    return bool(thoughts) and thoughts[-1].closed
