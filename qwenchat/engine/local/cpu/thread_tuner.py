"""How many threads are fastest just now.

Threads that work in step wait for the slowest. On a machine that does other things too, one of them is often kept
from its processor, and then fewer threads get further. The number changes nothing but the time.
"""

from collections import deque
from statistics import median

TRIAL = 3
"""Measurements by which another number is judged."""
SHORTEST_WAIT, LONGEST_WAIT = 16, 512
"""Measurements between two trials; trials that bring nothing become rarer."""
GAIN = 0.93
"""The share of the time that another number must get by with to be preferred."""


class ThreadTuner:
    """Watches how long pieces of work take and now and then tries another number of threads."""

    def __init__(self, most: int) -> None:
        self._sizes = sorted({1, max(1, most // 2), max(1, most - 1), most})
        self._current = len(self._sizes) - 1
        self._recent: deque[float] = deque(maxlen=2 * TRIAL)
        self._tried: int | None = None
        """Which size is on trial."""
        self._trial: list[float] = []
        self._upwards = False
        self._patience = self._wait = SHORTEST_WAIT

    @property
    def fastest(self) -> int:
        """With how many threads to do what is not measured."""
        return self._sizes[self._current]

    def choose(self) -> int:
        """With how many threads to do the next piece whose time is to be recorded."""
        return self._sizes[self._current if self._tried is None else self._tried]

    def record(self, seconds: float, work: float) -> None:
        """Take in how long the piece took that was done as `choose` said, and how much it was beside others."""
        seconds /= work
        if self._tried is None:
            self._recent.append(seconds)
            self._wait -= 1
            if self._wait <= 0:
                self._begin_trial()
            return
        self._trial.append(seconds)
        if len(self._trial) == TRIAL:
            self._judge(self._tried)

    def _begin_trial(self) -> None:
        """Try the next smaller and the next larger number in turn."""
        self._wait, self._upwards = self._patience, not self._upwards
        for step in (1, -1) if self._upwards else (-1, 1):
            if 0 <= self._current + step < len(self._sizes):
                self._tried = self._current + step
                return

    def _judge(self, tried: int) -> None:
        if median(self._trial) < GAIN * median(self._recent):
            self._current, self._patience = tried, SHORTEST_WAIT
            self._recent.clear()
            self._recent.extend(self._trial)
        else:
            self._patience = min(2 * self._patience, LONGEST_WAIT)
        self._wait, self._tried, self._trial = self._patience, None, []
