"""SQLite files, opened so that nothing that stands in one is run, and whatever its bytes are, errors have a name."""

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from qwenchat.chat.errors import LibraryUnwritable
from qwenchat.i18n.texts import say
from qwenchat.system.private_files import make_private

JOURNALS = ("-wal", "-shm", "-journal")
_WAL_SAFE = (3, 51, 3)
"""Before this version, WAL with several writers can corrupt the file."""
BUSY_S = 10.0
"""How long another program is waited for that is writing."""
_GUARDS = {
    "SQLITE_DBCONFIG_DEFENSIVE": True,
    "SQLITE_DBCONFIG_ENABLE_TRIGGER": False,
    "SQLITE_DBCONFIG_ENABLE_VIEW": False,
    "SQLITE_DBCONFIG_TRUSTED_SCHEMA": False,
}
"""Python can set them from 3.12 on; before that, the schema is compared before it is used, see schema.py."""


class SafeConnection(sqlite3.Connection):
    """A connection whose errors are sqlite3.Error also where SQLite quotes bytes of the file that are no text."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As sqlite3's own; raises sqlite3.Error alone."""
        try:
            return super().execute(sql, parameters)
        except UnicodeDecodeError as error:
            raise sqlite3.DatabaseError("the schema is not text") from error


def open_file(path: Path | None, options: str = "", *, timeout: float | None = None) -> sqlite3.Connection:
    """Open a database, or one in memory. Text that is not UTF-8 is read with replacements.

    A file that is made is for its owner alone. `options` are those of SQLite's URIs, like `mode=ro`.
    Raises sqlite3.Error.
    """
    address = f"{path.absolute().as_uri()}?{options}" if path and options else path or ":memory:"
    if path and not options:
        make_private(path)
    connection = sqlite3.connect(
        address,
        timeout=BUSY_S if timeout is None else timeout,
        isolation_level=None,
        uri=bool(path and options),
        factory=SafeConnection,
    )
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    if hasattr(connection, "setconfig"):
        for name, on in _GUARDS.items():
            connection.setconfig(getattr(sqlite3, name), on)
    try:
        connection.execute("pragma trusted_schema=off")
        connection.execute("pragma cell_size_check=on")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file that nobody changes; nothing is made beside it. Raises sqlite3.Error."""
    return open_file(path, "mode=ro&immutable=1")


@contextmanager
def time_limit(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Have what takes longer end in sqlite3.OperationalError."""
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def require_file(path: Path) -> Path:
    """The file that `path` leads to, which need not be there.

    Raises LibraryUnwritable for whatever else stands there or beside it: opening a pipe would wait for ever.
    """
    real = Path(os.path.realpath(path))
    if path.is_symlink() and not real.exists():
        raise LibraryUnwritable(
            say("{path} is a link to {target}, which is not there.", path=path, target=path.readlink()),
            say("Bring back what it leads to, or remove the link."),
        )
    for file in (real, *(beside(real, suffix) for suffix in JOURNALS)):
        if not is_file_or_nothing(file):
            raise LibraryUnwritable(
                say("{path} is no file but a folder, a pipe or a device.", path=path if file == real else file),
                say("Move it away."),
            )
    return real


def is_file_or_nothing(path: Path) -> bool:
    """Whether a file stands there, or could."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def beside(path: Path, suffix: str) -> Path:
    """A file that belongs to `path`."""
    return path.with_name(path.name + suffix)


def remove_file(path: Path) -> None:
    """Remove a database and its journals."""
    for suffix in ("", *JOURNALS):
        beside(path, suffix).unlink(missing_ok=True)


def journal_mode() -> str:
    """WAL where it is safe: others can read while one writes."""
    return "wal" if sqlite3.sqlite_version_info >= _WAL_SAFE else "delete"


_REFUSALS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


def refused(error: sqlite3.Error) -> bool:
    """Whether the system would not do it, as opposed to a file that makes no sense."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _REFUSALS
