"""Waits for a server on the engine's own thread, and leaves at once when the user wants it."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from qwenchat.engine.base import Stopped

T = TypeVar("T")
LOOK_S = 0.02
"""Between two looks at whether the user still wants it."""


class CancellableLoop:
    """An event loop that runs while somebody waits, and no longer."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def until_done(self, work: Coroutine[Any, Any, T], unwanted: Callable[[], bool]) -> T:
        """The result of `work`. Raises what it raises, and Stopped when it is unwanted, which cancels it."""
        task = self._loop.create_task(work)
        try:
            while not task.done():
                if unwanted():
                    raise Stopped
                self._loop.run_until_complete(asyncio.wait({task}, timeout=LOOK_S))
        except BaseException:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                self._loop.run_until_complete(task)
            raise
        return task.result()

    def close(self) -> None:
        """Give the loop back."""
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
