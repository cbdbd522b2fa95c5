"""A reply while it grows: the turn's events folded into parts and a timeline."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from qwenchat.chat.events import (
    AnswerReclassified,
    Channel,
    ReplyEvent,
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    ToolCalled,
    TurnEvent,
)
from qwenchat.chat.messages import Part, ReasoningPart, TextPart, ToolCallPart
from qwenchat.chat.provenance import ThoughtCut
from qwenchat.chat.timeline import Tick


@dataclass(slots=True)
class _Piece:
    channel: Channel
    started_s: float = 0.0
    ended_s: float | None = None
    tokens: int = 0
    texts: list[str] = field(default_factory=list)
    call: ToolCallPart | None = None
    """The piece is a call, and nothing else."""

    @property
    def says_something(self) -> bool:
        return self.call is not None or any(self.texts)

    def part(self, now_s: float) -> Part:
        if self.call is not None:
            return self.call
        if self.channel is Channel.ANSWER:
            return TextPart("".join(self.texts))
        end = now_s if self.ended_s is None else self.ended_s
        return ReasoningPart("".join(self.texts), self.tokens, end - self.started_s, self.ended_s is not None)


class GrowingReply:
    """Collects one turn's events; all reading is of what has come so far."""

    def __init__(self) -> None:
        self.timeline: list[Tick] = []
        self.at_s = 0.0
        """When the latest event happened, in seconds since the engine took up the turn."""
        self.first_token_s: float | None = None
        self.thought_cut: ThoughtCut | None = None
        """What ended the thought in the model's place."""
        self._pieces: list[_Piece] = []
        self._before_s = 0.0
        """How long the reply had taken before this turn went on with it."""
        self._before_tokens = 0

    @classmethod
    def going_on(
        cls, parts: Sequence[Part], timeline: Sequence[Tick], seconds: float, answer_tokens: int
    ) -> "GrowingReply":
        """A reply of which `parts` are there, that broke off `seconds` after it began, and now goes on."""
        growing = cls()
        growing.timeline = list(timeline)
        growing.at_s = growing._before_s = seconds
        for part in parts:
            if isinstance(part, ReasoningPart):
                began = 0.0 if part.closed else max(0.0, seconds - part.seconds)
                ended = part.seconds if part.closed else None
                growing._pieces.append(_Piece(Channel.THOUGHT, began, ended, part.tokens, [part.text]))
            elif isinstance(part, TextPart):
                growing._pieces.append(_Piece(Channel.ANSWER, tokens=answer_tokens, texts=[part.text]))
        growing._before_tokens = growing.thinking_tokens + growing.answer_tokens
        return growing

    @property
    def thinking(self) -> bool:
        """Whether the model is inside a thought."""
        return bool(self._pieces) and self._pieces[-1].channel is Channel.THOUGHT and self._pieces[-1].ended_s is None

    @property
    def thinking_tokens(self) -> int:
        """Tokens thought so far."""
        return sum(piece.tokens for piece in self._pieces if piece.channel is Channel.THOUGHT)

    @property
    def answer_tokens(self) -> int:
        """Tokens answered so far."""
        return sum(piece.tokens for piece in self._pieces if piece.channel is Channel.ANSWER)

    @property
    def tokens_per_s(self) -> float:
        """Decode speed so far: tokens after the first, by the seconds after the first; 0 before there are any."""
        tokens = self.thinking_tokens + self.answer_tokens - self._before_tokens
        if self.first_token_s is None or tokens < 2 or self.at_s <= self.first_token_s:
            return 0.0
        return (tokens - 1) / (self.at_s - self.first_token_s)

    def add(self, event: TurnEvent) -> None:
        """Take in one event of the turn."""
        if not isinstance(event, ReplyEvent):
            return
        at_s = self._before_s + event.at_s
        match event:
            case ThoughtStarted():
                self._pieces.append(_Piece(Channel.THOUGHT, started_s=at_s))
            case TextProduced():
                self._add_text(event, at_s)
            case ThoughtEnded():
                if self.thinking:
                    self._pieces[-1].ended_s = at_s
                self.thought_cut = event.cut
            case AnswerReclassified():
                self._reclassify(at_s)
            case ToolCalled():
                self._add_call(event, at_s)
            case _:
                assert_never(event)
        self.at_s = max(self.at_s, at_s)

    def parts(self) -> tuple[Part, ...]:
        """The reply's parts; a thought that is still open is marked so. Empty thoughts and answers are left out."""
        return tuple(piece.part(self.at_s) for piece in self._pieces if piece.says_something)

    def _add_text(self, event: TextProduced, at_s: float) -> None:
        last = self._pieces[-1] if self._pieces else None
        if last is None or last.call is not None or last.channel is not event.channel:
            self._pieces.append(_Piece(event.channel, started_s=at_s))
        if self.first_token_s is None:
            self.first_token_s = at_s
        piece = self._pieces[-1]
        piece.tokens += event.tokens
        piece.texts.append(event.text)
        if event.text:
            self.timeline.append(Tick(round(at_s * 1000), event.channel, len(event.text)))

    def _add_call(self, event: ToolCalled, at_s: float) -> None:
        if self.first_token_s is None:
            self.first_token_s = at_s
        self._pieces.append(_Piece(Channel.ANSWER, at_s, at_s, event.tokens, call=event.call))

    def _reclassify(self, at_s: float) -> None:
        calls = [piece for piece in self._pieces if piece.call is not None]
        self._pieces = [
            _Piece(
                Channel.THOUGHT,
                started_s=min((piece.started_s for piece in self._pieces), default=at_s),
                ended_s=at_s,
                tokens=sum(piece.tokens for piece in self._pieces if piece.call is None),
                texts=[text for piece in self._pieces for text in piece.texts],
            ),
            *calls,
        ]
        self.timeline = [Tick(tick.at_ms, Channel.THOUGHT, tick.characters) for tick in self.timeline]
