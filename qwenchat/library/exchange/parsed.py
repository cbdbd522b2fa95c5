"""What was read from a file: conversations, and what in them could not be used."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qwenchat.chat.text import safe_line
from qwenchat.chat.timeline import Tick
from qwenchat.i18n.texts import say
from qwenchat.library.conversation import Conversation


@dataclass(frozen=True, slots=True)
class ParsedConversation:
    """A conversation that was read; `problems` are sentences about what in it could not be, by position."""

    conversation: Conversation
    timelines: Mapping[str, tuple[Tick, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    where: str = ""
    """Its position in the file: "conversation 3", "line 12"."""


@dataclass(frozen=True, slots=True)
class UnusableEntry:
    """Something in a file that is no conversation, and why."""

    where: str
    why: str


class ConversationProblems:
    """What is wrong with a conversation: the first of it in words, the rest counted."""

    _REPORTED = 1000

    def __init__(self) -> None:
        self._reported: list[str] = []
        self._more = 0

    def add(self, what: str) -> None:
        """Take in a sentence."""
        if len(self._reported) < self._REPORTED:
            self._reported.append(what)
        else:
            self._more += 1

    def all(self) -> tuple[str, ...]:
        """The sentences."""
        return (
            (*self._reported, say("{number:,} more like these", number=self._more))
            if self._more
            else tuple(self._reported)
        )

    def first(self, default: str = "") -> str:
        """The first sentence, or `default`."""
        return self._reported[0] if self._reported else default


class ValueUnreadable(Exception):
    """A value that is not what it should be; raised and caught inside this package."""


def value_shown(value: object) -> str:
    """A value from a file, named in a sentence."""
    return safe_line(repr(value[:60] if isinstance(value, str) else value)[:200], 60)
