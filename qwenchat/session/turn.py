"""A turn that is running: the reply that grows in it, and how it ends."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import assert_never

from qwenchat.chat.continuation import NOTHING, PartialReply
from qwenchat.chat.engine_commands import StartTurn
from qwenchat.chat.events import (
    Channel,
    ModelLearned,
    RequestAccepted,
    RequestEvent,
    TextProduced,
    ThoughtStarted,
    TurnEnded,
    TurnFailed,
    TurnFinished,
    TurnProgressed,
    TurnStopped,
)
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status
from qwenchat.chat.provenance import FinishReason, ModelInfo, Provenance, Timing
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.thinking import support_of, thinks
from qwenchat.chat.timeline import Tick
from qwenchat.chat.tools import ToolSpec

CHECKPOINT_S = 1.0


class Phase(StrEnum):
    """What a session is doing."""

    IDLE = "idle"
    WAITING = "waiting"
    """A message was sent; nothing has come back yet (the model loads, or reads the prompt)."""
    THINKING = "thinking"
    ANSWERING = "answering"
    CALLING = "calling"
    """A tool runs, or the user is asked whether it may."""
    STOPPING = "stopping"


class Turn:
    """One reply on its way, from the moment its message was sent until its last word."""

    def __init__(
        self,
        number: int,
        parent: str | None,
        now: float,
        extra: SamplingOverrides = SamplingOverrides(),
        thinking: bool | None = None,
    ) -> None:
        """`extra` and `thinking` are set for this question alone, before what the user set."""
        self.number = number
        self.reply = Message(Role.ASSISTANT, (), parent=parent, status=Status.STREAMING)
        """The reply as it was last saved."""
        self.growing = GrowingReply()
        self.phase = Phase.WAITING
        self.asked = False
        """Whether the model was asked; until it is loaded it cannot be."""
        self.thinking = thinking
        self.extra = extra
        self._begun = NOTHING
        """What the reply goes on from."""
        self._answer_now = False
        self._saved_at = now
        self._dirty = False

    @classmethod
    def going_on(
        cls,
        number: int,
        reply: Message,
        begun: PartialReply,
        timeline: Sequence[Tick],
        now: float,
        answer_now: bool,
    ) -> "Turn":
        """A turn that goes on with an interrupted reply; with `answer_now` its thought, if open, is ended at once."""
        turn = cls(number, reply.parent, now)
        made = _completed(reply, timeline)
        turn.reply = replace(reply, status=Status.STREAMING, note="", provenance=made)
        seconds = made.timing.total_s if made else _seconds(reply, timeline)
        turn.growing = GrowingReply.going_on(reply.parts, timeline, seconds, _answer_tokens(reply, timeline))
        turn.growing.thought_cut = made.thought_cut if made else None
        turn._begun, turn._answer_now = begun, answer_now
        return turn

    def ask(
        self,
        history: tuple[Message, ...],
        model: ModelInfo | None,
        overrides: SamplingOverrides,
        hard: bool,
        budget: int | None = None,
        schema: str | None = None,
        tools: tuple[ToolSpec, ...] = (),
    ) -> StartTurn:
        """The command that asks `model`, with everything about it written down in the reply; see `StartTurn.of`."""
        overrides = self.extra.over(overrides)
        command = StartTurn.of(self.number, history, model, overrides, hard, budget=budget, schema=schema, tools=tools)
        if self._begun == NOTHING:  # what came before, the loading of the model, is a pause in the conversation
            self.reply = replace(self.reply, created=time.time())
            will_think = thinks(support_of(model), command.thinking, history)
        else:
            hard = bool(self._begun.thought)
            will_think = self.reply.provenance.thinking if self.reply.provenance else hard
            sampling = overrides.over(model.sampling if model else SamplingOverrides()).applied(will_think)
            command = replace(command, thinking=hard, sampling=sampling, begun=self._begun, answer_now=self._answer_now)
        if command.sampling.seed is None and not (model and model.server):  # no server gets one that nobody set
            command = replace(command, sampling=replace(command.sampling, seed=secrets.randbelow(2**31)))
        if model is not None:
            made = self.reply.provenance or Provenance(
                model, command.sampling, will_think, thinking_budget=budget if will_think else None
            )
            made = replace(made, model=model, sampling=command.sampling, finish_reason=None, tools=tools)
            self.reply = replace(self.reply, provenance=made)
        self.asked = True
        return command

    def take(self, event: TurnProgressed) -> None:
        """Take in what happened."""
        self.growing.add(event)
        self._dirty = True
        if self.reply.provenance is not None:
            self.reply = replace(self.reply, provenance=_as_reported(self.reply.provenance, event))
        if self.phase is not Phase.STOPPING and isinstance(event, TextProduced | ThoughtStarted):
            self.phase = Phase.THINKING if self.growing.thinking else Phase.ANSWERING

    def checkpoint_is_due(self, now: float) -> bool:
        """Whether something came since the last `saved`, and that is a while ago."""
        return self._dirty and now - self._saved_at >= CHECKPOINT_S

    def saved(self, now: float) -> Message:
        """The reply as it stands, to be saved now."""
        self.reply = replace(self.reply, parts=self.growing.parts())
        self._saved_at, self._dirty = now, False
        return self.reply

    def end(self, event: TurnEnded) -> None:
        """Write down in the reply how the turn ended; what the event does not know is what was seen of it."""
        status, reason, note = _outcome(event)
        made = self.reply.provenance
        if made is not None:
            usage, timing = made.continued(event.usage, event.timing)
            if not event.usage.prompt_tokens:
                usage = replace(usage, **_tokens(self.growing))
            if not event.timing.total_s:
                timing = _timing(made.timing, self.growing)
            cut = self.growing.thought_cut
            made = replace(made, usage=usage, timing=timing, finish_reason=reason, thought_cut=cut)
        self.reply = replace(self.reply, status=status, note=note, provenance=made)


def _as_reported(made: Provenance, event: TurnProgressed) -> Provenance:
    """How the reply is made, with what a server turned out to take and to be."""
    if not isinstance(event, RequestEvent):
        return made
    match event:
        case RequestAccepted():
            budget = event.thinking_budget if made.thinking else None
            return replace(
                made, sampling=event.sampling, omitted=event.omitted, tools=event.tools, thinking_budget=budget
            )
        case ModelLearned():
            return replace(made, model=event.model)
        case _:
            assert_never(event)


def _outcome(event: TurnEnded) -> tuple[Status, FinishReason, str]:
    match event:
        case TurnFinished():
            return Status.COMPLETE, event.reason, ""
        case TurnStopped():
            return Status.STOPPED, FinishReason.STOPPED, "stopped"
        case TurnFailed():
            return Status.FAILED, FinishReason.ERROR, str(event.error)
        case _:
            assert_never(event)


def _tokens(growing: GrowingReply) -> dict[str, int]:
    return {"thinking_tokens": growing.thinking_tokens, "answer_tokens": growing.answer_tokens}


def _timing(before: Timing, growing: GrowingReply) -> Timing:
    thought = sum(part.seconds for part in growing.parts() if isinstance(part, ReasoningPart))
    first, rate = before.first_token_s or growing.first_token_s or 0.0, growing.tokens_per_s or before.tokens_per_s
    return Timing(first, thought, growing.at_s, rate)


def _completed(reply: Message, timeline: Sequence[Tick]) -> Provenance | None:
    """The account of an interrupted reply, with the figures that a program which died had no time to write down."""
    made = reply.provenance
    if made is None:
        return None
    thought = sum(part.tokens for part in reply.parts if isinstance(part, ReasoningPart))
    usage = replace(
        made.usage,
        thinking_tokens=max(made.usage.thinking_tokens, thought),
        answer_tokens=_answer_tokens(reply, timeline),
    )
    return replace(made, usage=usage, timing=replace(made.timing, total_s=_seconds(reply, timeline)))


def _answer_tokens(reply: Message, timeline: Sequence[Tick]) -> int:
    """How many tokens the answer has; where nobody counted them, each of its pieces was one at least."""
    counted = reply.provenance.usage.answer_tokens if reply.provenance else 0
    return counted or sum(tick.channel is Channel.ANSWER for tick in timeline)


def _seconds(reply: Message, timeline: Sequence[Tick]) -> float:
    """How long after it began the reply broke off."""
    thought = max((part.seconds for part in reply.parts if isinstance(part, ReasoningPart)), default=0.0)
    total = reply.provenance.timing.total_s if reply.provenance else 0.0
    return max(total, thought, timeline[-1].at_ms / 1000 if timeline else 0.0)
