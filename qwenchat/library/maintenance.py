"""Work on the library that nobody waits for: indexing, the daily backup, the examination that comes with it."""

import logging
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from qwenchat.chat.errors import LibraryDamaged, LibraryError
from qwenchat.library.backup import back_up, is_due
from qwenchat.library.database import doubt, join, transaction
from qwenchat.library.index import SearchIndex, index_of

_EVERY_S = 3600.0
_STEP_S = 0.5
_BACKUP_S = 60.0
_log = logging.getLogger(__name__)


class Maintenance:
    """A daemon thread with connections of its own, which looks after one library as long as the program runs."""

    def __init__(self, library: Path, after_s: float) -> None:
        self._library = library
        self._after_s = after_s
        self._stop = threading.Event()
        self._rested = threading.Event()
        self.indexing = True
        """Whether something that was said earlier may not be found yet."""
        self._thread = threading.Thread(target=self._run, name="library upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Break off what is going on; it is taken up at the next start."""
        self._stop.set()
        self._thread.join(2)

    def wait(self, seconds: float) -> bool:
        """Wait until all is done for now; whether it is."""
        return self._rested.wait(seconds)

    def _run(self) -> None:
        self._stop.wait(self._after_s)
        while not self._stop.is_set():
            try:
                with closing(join(self._library)) as connection:
                    self._index(connection)
                    self._back_up(connection)
            except LibraryDamaged as error:
                _log.error("%s", error)
                doubt(self._library)
            except (LibraryError, sqlite3.Error, OSError) as error:
                _log.warning("The library was not looked after: %s", error)
            self.indexing = False
            self._rested.set()
            self._stop.wait(_EVERY_S)

    def _index(self, connection: sqlite3.Connection) -> None:
        with closing(SearchIndex(connection, index_of(self._library))) as index:
            more = True
            while more and not self._stop.is_set():
                more = index.catch_up(_STEP_S)
                with transaction(connection):
                    index.settle()
            self.indexing = False
            while not self._stop.is_set() and not index.forget(_STEP_S):
                pass

    def _back_up(self, connection: sqlite3.Connection) -> None:
        """Make the daily backup. What is written meanwhile makes the copy begin again; then it has an hour's rest."""
        until = time.monotonic() + _BACKUP_S
        something = connection.execute("select 1 from conversations limit 1").fetchone()
        if something and not self._stop.is_set() and is_due(self._library):
            back_up(connection, self._library, lambda: self._stop.is_set() or time.monotonic() > until)
