"""What was read from a file: conversations, and what in them could not be used."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qwenchat.chat.text import safe_line
from qwenchat.chat.timeline import Tick
from qwenchat.library.conversation import Conversation


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation that was read; `problems` are sentences about what in it could not be, by position."""

    conversation: Conversation
    timelines: Mapping[str, tuple[Tick, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    where: str = ""
    """Its position in the file: "conversation 3", "line 12"."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something in a file that is no conversation, and why."""

    where: str
    why: str


class Unreadable(Exception):
    """A value that is not what it should be; raised and caught inside this package."""


def shown(value: object) -> str:
    """A value from a file, named in a sentence."""
    return safe_line(repr(value[:60] if isinstance(value, str) else value)[:200], 60)
