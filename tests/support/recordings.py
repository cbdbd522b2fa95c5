"""Recorded conversations for tests, and a clock that moves only when somebody sleeps."""

from collections.abc import Sequence

from qwenchat.chat.events import Channel
from qwenchat.chat.messages import Message, Part, ReasoningPart, Role, Status, TextPart
from qwenchat.chat.provenance import FinishReason, Provenance, Timing, Usage
from qwenchat.chat.sampling import Sampling
from qwenchat.chat.timeline import Tick
from qwenchat.library.library import Library
from tests.support.fake_engine import MODEL

NOON = 1_700_000_000.0


class Clock:
    """Seconds that pass when `sleep` is called."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def said(text: str, at_s: float, parent: str | None = None, role: Role = Role.USER) -> Message:
    """A message of the user, sent `at_s` seconds after noon."""
    return Message(role, (TextPart(text),), parent, created=NOON + at_s)


def reply(
    answer: str,
    at_s: float,
    parent: str | None = None,
    thought: str = "",
    status: Status = Status.COMPLETE,
    total_s: float = 0.0,
    closed: bool = True,
    note: str = "",
) -> Message:
    """A reply that was asked for `at_s` seconds after noon."""
    parts: list[Part] = [ReasoningPart(thought, len(thought.split()), 1.0, closed)] if thought else []
    parts += [TextPart(answer)] if answer else []
    usage = Usage(10, 0, len(thought.split()), len(answer.split()))
    made = Provenance(MODEL, Sampling(seed=7), bool(thought), usage, Timing(0.1, 0.0, total_s), FinishReason.STOP)
    return Message(Role.ASSISTANT, tuple(parts), parent, created=NOON + at_s, status=status, provenance=made, note=note)


def ticks(*entries: tuple[int, str, int]) -> tuple[Tick, ...]:
    """Milliseconds, "t" for thought or "a" for answer, and characters."""
    return tuple(
        Tick(at, Channel.THOUGHT if channel == "t" else Channel.ANSWER, count) for at, channel, count in entries
    )


QUESTION = said("What is 2+2?", 0)
ANSWERED = reply("It is four.", 0, QUESTION.id, thought="Easy sum.", total_s=4.0)
THANKS = said("Thanks!", 1000, ANSWERED.id)
WELCOME = reply("You're welcome.", 1000, THANKS.id, total_s=2.0)
CONVERSATION = (QUESTION, ANSWERED, THANKS, WELCOME)
TIMELINES = {
    QUESTION.id: ticks((0, "a", 4), (1000, "a", 8), (1500, "a", 0)),
    ANSWERED.id: ticks((500, "t", 5), (1000, "t", 4), (2000, "a", 3), (3000, "a", 8)),
    THANKS.id: ticks((0, "a", 7), (2000, "a", 0)),
    WELCOME.id: ticks((1000, "a", 15)),
}
"""Typed within 1.5 s; thought from 0.5 s, answered from 2 s to 3 s, ended after 4 s; thanks long after."""


def store(
    library: Library,
    messages: Sequence[Message] = CONVERSATION,
    timelines: dict[str, tuple[Tick, ...]] | None = None,
    conversation: str = "c0ffee00c0ffee00",
) -> str:
    """Save a conversation with its recordings; its id."""
    for message in messages:
        library.save(conversation, message, (TIMELINES if timelines is None else timelines).get(message.id, ()))
    return conversation
