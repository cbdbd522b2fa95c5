"""Whether a key is pressed twice in a row."""

import time
from collections.abc import Callable

WITHIN_S = 3.0


class DoublePress:
    """Tells a key that is pressed a second time, soon and with no other in between, from a first time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._keys = 0
        self._first: tuple[int, float] | None = None
        """The number of the key that came first, and when."""

    def received(self) -> None:
        """Some key is pressed; called before it has its effect."""
        self._keys += 1

    def is_second(self) -> bool:
        """Whether the key that has its effect now is the second; else it is the first."""
        now, first = self._clock(), self._first
        if first is not None and self._keys - first[0] == 1 and now - first[1] < WITHIN_S:
            return True
        self._first = self._keys, now
        return False
