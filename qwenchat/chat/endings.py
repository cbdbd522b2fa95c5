"""How a reply ended and what can be done next: values, which each surface puts into its own words."""

from enum import Enum, auto

from qwenchat.chat.calls import calls_in
from qwenchat.chat.messages import Message, Status
from qwenchat.chat.provenance import FinishReason
from qwenchat.chat.thinking import open_thought


class Ending(Enum):
    """How a reply ended."""

    GROWING = auto()
    """Not yet: it is being written."""
    WHOLE = auto()
    """By the model, as it meant to."""
    CALLED = auto()
    """With calls of tools."""
    EMPTY = auto()
    """By the model, without a word of answer."""
    IN_THOUGHT = auto()
    """By the model, inside its thought."""
    CUT_OFF = auto()
    """At the limit of tokens, or at the end of the context."""
    REPETITIVE = auto()
    """Since it did nothing but repeat itself."""
    STOPPED = auto()
    """By the user."""
    INTERRUPTED = auto()
    """With the program."""
    FAILED = auto()
    """By an error, which the message's note says."""


class NextStep(Enum):
    """What can be done about the latest reply."""

    ANSWER = auto()
    """Let the model answer from the thought in which the reply ended."""
    RETRY_WITH_PENALTY = auto()
    """Ask again, so that it repeats itself less."""
    FOLLOW_TOOLS = auto()
    """Let the model go on from its calls of tools and what they gave."""
    CONTINUE = auto()
    """Let it go on from where the reply ended."""
    RETRY_THOUGHT = auto()
    """Ask again: the reply ended inside its thought, from which no server can go on."""
    RETRY = auto()
    """Ask again: nothing is there to go on from, or going on has just failed."""


_BY_STATUS = {
    Status.STREAMING: Ending.GROWING,
    Status.STOPPED: Ending.STOPPED,
    Status.INTERRUPTED: Ending.INTERRUPTED,
    Status.FAILED: Ending.FAILED,
}
_BY_REASON: dict[FinishReason | None, Ending] = {
    FinishReason.LENGTH: Ending.CUT_OFF,
    FinishReason.REPETITION: Ending.REPETITIVE,
    FinishReason.TOOL_CALLS: Ending.CALLED,
}


def ending_of(reply: Message) -> Ending:
    """How a reply ended."""
    reason = reply.provenance.finish_reason if reply.provenance is not None else FinishReason.STOP
    if (known := _BY_STATUS.get(reply.status) or _BY_REASON.get(reason)) is not None:
        return known
    if open_thought(reply) is not None:
        return Ending.IN_THOUGHT
    if calls_in(reply):
        return Ending.CALLED
    return Ending.WHOLE if reply.text.strip() else Ending.EMPTY
