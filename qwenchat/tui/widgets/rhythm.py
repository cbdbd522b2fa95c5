"""How fast a reply has come in the last seconds, as a small curve."""

import time
from collections import deque
from collections.abc import Callable

BARS = "▁▂▃▄▅▆▇█"
SECONDS = 16
"""How many seconds the curve shows, a character each."""


class SpeedGraph:
    """Tokens a second, second by second, while a reply streams."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: deque[int] = deque(maxlen=SECONDS)
        self._begun: float | None = None
        self._seen = 0

    def take(self, tokens: int | None) -> None:
        """So many tokens have come by now; None when none are coming."""
        if tokens is None or tokens < self._seen:
            self._counts.clear()
            self._begun, self._seen = None, 0
        if not tokens:
            return
        now = self._clock()
        if self._begun is None:
            self._begun, self._seen = now, tokens
        whole = int(now - self._begun)
        if whole:
            fresh = tokens - self._seen
            self._counts.extend(fresh // whole + (second < fresh % whole) for second in range(min(whole, SECONDS)))
            self._begun, self._seen = self._begun + whole, tokens

    def curve(self) -> str:
        """The last seconds; empty before there are two."""
        if len(self._counts) < 2:
            return ""
        most = max(*self._counts, 1)
        return "".join(BARS[round(count / most * (len(BARS) - 1))] for count in self._counts)
