"""An interrupted reply: what of it is there, for the model to go on from."""

from dataclasses import dataclass

from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart
from qwenchat.chat.provenance import FinishReason
from qwenchat.chat.thinking import open_thought


@dataclass(frozen=True, slots=True)
class PartialReply:
    """The part of a reply that is written already."""

    thought: str = ""
    answer: str = ""
    thinking: bool = False
    """Whether the thought has not ended; then there is no answer."""


NOTHING = PartialReply()
"""The beginning of a reply of which nothing is there."""


def begun_in(message: Message) -> PartialReply | None:
    """What the model can go on from; None for a message that is no reply, is complete, or has more than text."""
    return written_in(message) if message.role is Role.ASSISTANT and _interrupted(message) else None


def written_in(message: Message) -> PartialReply | None:
    """A reply as it stands; None for one that has more than text."""
    match message.parts:
        case ():
            return NOTHING
        case (TextPart(answer),):
            return PartialReply(answer=answer)
        case (ReasoningPart(thought, closed=closed),):
            return PartialReply(thought, thinking=not closed)
        case (ReasoningPart(thought), TextPart(answer)):
            return PartialReply(thought, answer)
    return None


def _interrupted(message: Message) -> bool:
    if message.status is not Status.COMPLETE:
        return message.status is not Status.STREAMING
    cut = message.provenance is not None and message.provenance.finish_reason is FinishReason.LENGTH
    return cut or open_thought(message) is not None
