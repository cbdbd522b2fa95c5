"""Threads that run one native function together."""

import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class ThreadPool:
    """The calling thread and its helpers, who come when they are first needed and stay.

    The function must end in a barrier that all who run it pass.
    """

    def __init__(self) -> None:
        self._task: Callable[[int], object] | None = None
        self._helpers: list[tuple[threading.Thread, threading.Semaphore]] = []

    def run(self, task: Callable[[int], _T], threads: int) -> _T:
        """Call `task(rank)` on so many threads, rank 0 on this one, and return what that gave."""
        self._task = task
        for rank in range(len(self._helpers) + 1, threads):
            start = threading.Semaphore(0)
            helper = threading.Thread(target=self._help, args=(rank, start), name=f"engine-{rank}", daemon=True)
            helper.start()
            self._helpers.append((helper, start))
        for _, start in self._helpers[: threads - 1]:
            start.release()
        return task(0)

    def close(self) -> None:
        """Let the helpers go."""
        self._task = None
        for helper, start in self._helpers:
            start.release()
            helper.join()
        self._helpers.clear()

    def _help(self, rank: int, start: threading.Semaphore) -> None:
        while True:
            start.acquire()
            if self._task is None:
                return
            self._task(rank)
