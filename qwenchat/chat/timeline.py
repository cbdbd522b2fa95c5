"""When each piece of a message came, for replay."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from qwenchat.chat.events import Channel


@dataclass(frozen=True, slots=True)
class Tick:
    """The next `characters` of a channel arrived, or were typed, `at_ms` milliseconds after the message was begun."""

    at_ms: int
    channel: Channel
    characters: int


class Typing:
    """How a draft was written: since when each part of it has stood there. What was deleted leaves no trace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._text = ""
        self._marks: list[tuple[float, int]] = []
        """When so many of the draft's first characters stood there; times and lengths both grow."""

    def changed(self, text: str) -> None:
        """The draft now reads `text`."""
        kept = common_length(self._text, text)
        while self._marks and self._marks[-1][1] > kept:
            at, _ = self._marks.pop()
            before = self._marks[-1][1] if self._marks else 0
            if before < kept:
                self._marks.append((at, kept))
        if len(text) > kept:
            self._marks.append((self._clock(), len(text)))
        self._text = text

    def ticks(self) -> tuple[Tick, ...]:
        """How the draft came to be what it is, from its first character on; the last tick is now, when it is sent."""
        if not self._marks:
            return ()
        began, ticks, typed = self._marks[0][0], [], 0
        for at, length in self._marks:
            ticks.append(Tick(round((at - began) * 1000), Channel.ANSWER, length - typed))
            typed = length
        return (*ticks, Tick(round((self._clock() - began) * 1000), Channel.ANSWER, 0))


def common_length(one: str, other: str) -> int:
    """How many characters both begin with; quick for a book that is pasted, too."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
