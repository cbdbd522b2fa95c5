"""When Python looks for garbage: while nobody waits, since a full search stops everything for as long as a second."""

import gc
import time
from collections.abc import Callable

QUIET_S = 5.0
"""How long nothing has happened before a full search may begin."""
ENOUGH = 10
"""Small searches after which a full one is worth while; Python's own measure."""
AT_MOST = 1000
"""Small searches after which a full one is made at any time."""


class GcPause:
    """Puts off Python's full searches from `begin` to `end`; the small ones, which are quick, go on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before = gc.get_threshold()
        self._active_at = clock()

    def begin(self) -> None:
        """From here on full searches are made by `look` alone, or after very many small ones."""
        self._before = gc.get_threshold()
        gc.set_threshold(self._before[0], self._before[1], AT_MOST)

    def end(self) -> None:
        """Leave it to Python again."""
        gc.set_threshold(*self._before)

    def note_activity(self) -> None:
        """Something happens just now that a search would hold up."""
        self._active_at = self._clock()

    def look(self) -> None:
        """Search, if it is worth while and nothing has happened for a while."""
        if gc.get_count()[2] >= ENOUGH and self._clock() - self._active_at >= QUIET_S:
            gc.collect()
            self.note_activity()
