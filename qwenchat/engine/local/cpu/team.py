"""Threads that run one native function together."""

import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class Team:
    """The calling thread and its helpers; the function must end in a barrier that all of them pass."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._task: Callable[[int], object] | None = None
        self._starts = [threading.Semaphore(0) for _ in range(threads - 1)]
        for rank, start in enumerate(self._starts, 1):
            threading.Thread(target=self._help, args=(rank, start), name=f"engine-{rank}", daemon=True).start()

    def run(self, task: Callable[[int], _T]) -> _T:
        """Call `task(rank)` on every thread, rank 0 on this one, and return what that gave."""
        self._task = task
        for start in self._starts:
            start.release()
        return task(0)

    def close(self) -> None:
        """Let the helpers go."""
        self._task = None
        for start in self._starts:
            start.release()

    def _help(self, rank: int, start: threading.Semaphore) -> None:
        while True:
            start.acquire()
            if self._task is None:
                return
            self._task(rank)
