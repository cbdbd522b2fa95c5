"""A turn that is running: the reply that grows in it, and how it ends."""

import secrets
from dataclasses import replace
from enum import StrEnum

from qwenchat.chat.commands import StartTurn
from qwenchat.chat.events import (
    TextProduced,
    ThoughtStarted,
    TurnEnded,
    TurnFailed,
    TurnFinished,
    TurnProgressed,
    TurnStopped,
)
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status
from qwenchat.chat.provenance import FinishReason, ModelInfo, Provenance, Timing, Usage
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.sampling import SamplingOverrides

CHECKPOINT_S = 1.0


class Phase(StrEnum):
    """What a session is doing."""

    IDLE = "idle"
    WAITING = "waiting"
    """A message was sent; nothing has come back yet (the model loads, or reads the prompt)."""
    THINKING = "thinking"
    ANSWERING = "answering"
    STOPPING = "stopping"


class Turn:
    """One reply on its way, from the moment its message was sent until its last word."""

    def __init__(self, number: int, parent: str, now: float) -> None:
        self.number = number
        self.reply = Message(Role.ASSISTANT, (), parent=parent, status=Status.STREAMING)
        """The reply as it was last saved."""
        self.growing = GrowingReply()
        self.phase = Phase.WAITING
        self.asked = False
        """Whether the model was asked; until it is loaded it cannot be."""
        self._saved_at = now
        self._dirty = False

    def ask(
        self,
        history: tuple[Message, ...],
        model: ModelInfo | None,
        overrides: SamplingOverrides,
        *,
        hard: bool,
        will_think: bool,
    ) -> StartTurn:
        """The command that asks `model`, with everything about it written down in the reply."""
        recommended = model.sampling if model else SamplingOverrides()
        sampling = overrides.over(recommended).applied(will_think)
        if sampling.seed is None:
            sampling = replace(sampling, seed=secrets.randbelow(2**31))
        if model is not None:
            self.reply = replace(self.reply, provenance=Provenance(model, sampling, will_think))
        self.asked = True
        return StartTurn(self.number, history, hard, sampling)

    def take(self, event: TurnProgressed) -> None:
        """Take in what happened."""
        self.growing.add(event)
        self._dirty = True
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
        provenance = self.reply.provenance
        if provenance is not None:
            timing = event.timing if event.timing.total_s else _timing(self.growing)
            usage = event.usage if event.usage.prompt_tokens else _usage(self.growing)
            provenance = replace(provenance, usage=usage, timing=timing, finish_reason=reason)
        self.reply = replace(self.reply, status=status, note=note, provenance=provenance)


def _outcome(event: TurnEnded) -> tuple[Status, FinishReason, str]:
    match event:
        case TurnFinished():
            return Status.COMPLETE, event.reason, ""
        case TurnStopped():
            return Status.STOPPED, FinishReason.STOPPED, "stopped"
        case TurnFailed():
            return Status.FAILED, FinishReason.ERROR, str(event.error)


def _usage(growing: GrowingReply) -> Usage:
    return Usage(thinking_tokens=growing.thinking_tokens, answer_tokens=growing.answer_tokens)


def _timing(growing: GrowingReply) -> Timing:
    thought = sum(part.seconds for part in growing.parts() if isinstance(part, ReasoningPart))
    return Timing(growing.first_token_s or 0.0, thought, growing.at_s, growing.tokens_per_s)
