"""The SQLite file: opened, migrated, set aside when it is damaged."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from qwenchat.chat.errors import LibraryDamaged, LibraryError, LibraryNewer, LibraryUnwritable
from qwenchat.i18n.texts import say
from qwenchat.library.backup import back_up, missing_tables
from qwenchat.library.migrations import MIGRATIONS

_WAL_SAFE = (3, 51, 3)
"""Before this version, WAL with several writers can corrupt the file."""
BUSY_S = 10.0
"""How long another program is waited for that is writing."""
_EXAMINED_AT_ONCE = 32_000_000
"""Bytes of a library that is examined at every start, in some 30 ms. Larger ones are with their daily backup."""

_LONGEST = 200_000_000
"""Bytes of the longest value that is read or written."""
_SCHEMA = {
    "conversations": "id, title, created, updated, leaf, pinned, archived, renamed, deleted, model, said",
    "messages": "number, id, conversation, parent, role, parts, created, status, note, provenance, timeline, writer,"
    " hidden",
    "drafts": "conversation, text",
    "blocks": "draft, label, text",
    "unsearched": "change, message",
}


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the database at `path`, or one in memory, at the newest schema.

    Raises LibraryDamaged, LibraryNewer or LibraryUnwritable; a newer or damaged file is left untouched.
    """
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _require_writable(path)
        examined = path is not None and _is_doubtful(path)
        connection = sqlite3.connect(path or ":memory:", timeout=BUSY_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise LibraryUnwritable(
            say("{path} cannot be opened: {error}.", path=path, error=error), say("Check the folder.")
        ) from error
    with opening(connection, path):
        version = _version(connection, path)
        if version and examined and connection.execute("pragma quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError(say("the integrity check failed"))
        if version and missing_tables(connection):
            raise sqlite3.DatabaseError(say("tables are missing"))
        _set_up(connection)
        if version < len(MIGRATIONS):
            _migrate(connection, path, version)
        _require_schema(connection)
        if path is not None:
            path.chmod(0o600)
            _mark(path).unlink(missing_ok=True)
    return connection


@contextmanager
def opening(connection: sqlite3.Connection, path: Path | None) -> Iterator[None]:
    """Close the connection when something goes wrong, and say whether the system refused or the file is damaged."""
    try:
        yield
    except (LibraryNewer, LibraryDamaged):
        connection.close()
        raise
    except (LibraryError, OSError) as error:
        connection.close()
        raise LibraryUnwritable(
            say("{path} cannot be written: {error}.", path=path, error=error), say("Check the disk and the folder.")
        ) from error
    except sqlite3.Error as error:
        connection.close()
        if refused(error):
            raise LibraryUnwritable(
                say("{path} cannot be written: {error}.", path=path, error=error), say("Check the disk and the folder.")
            ) from error
        raise LibraryDamaged(
            say("{path} is damaged: {error}.", path=path, error=error), say("It is set aside, and a new one is begun.")
        ) from error


def join(path: Path) -> sqlite3.Connection:
    """Another connection to a library that is open already; raises sqlite3.Error."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=BUSY_S, isolation_level=None, uri=True)
    try:
        _set_up(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute(f"pragma journal_mode={journal_mode()}")
    connection.execute("pragma synchronous=full")
    connection.execute("pragma foreign_keys=on")
    connection.execute("pragma secure_delete=on")
    connection.execute("pragma trusted_schema=off")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)


def doubt(path: Path) -> None:
    """Have the library examined at the next start, since something was found wrong with it."""
    _mark(path).touch(mode=0o600)


def _is_doubtful(path: Path) -> bool:
    """Whether a library is examined before it is used: a small one, one in doubt, one that a crash left behind."""
    crashed = path.with_name(f"{path.name}-journal")
    return (
        _mark(path).exists()
        or (crashed.exists() and crashed.stat().st_size > 0)
        or (path.exists() and path.stat().st_size <= _EXAMINED_AT_ONCE)
    )


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.doubtful")


def journal_mode() -> str:
    """WAL where it is safe: others can read while one writes."""
    return "wal" if sqlite3.sqlite_version_info >= _WAL_SAFE else "delete"


def copy_in_memory(path: Path) -> sqlite3.Connection:
    """What can be read of a database that cannot be written, in memory; empty when that is nothing.

    Raises LibraryNewer.
    """
    copy = connect(None)
    try:
        # Nobody can write there, and without `immutable` SQLite would want to make files beside it.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as source:
            version = _version(source, path)
            if version:
                source.backup(copy)
        if version:
            copy.execute("pragma foreign_keys=on")
            if copy.execute("pragma quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("the integrity check failed")
            if version < len(MIGRATIONS):
                _migrate(copy, None, version)
            _require_schema(copy)
    except sqlite3.Error:
        copy.close()
        return connect(None)
    return copy


def _require_writable(path: Path) -> None:
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.W_OK):
            raise LibraryUnwritable(
                say("{place} cannot be written.", place=place), say("Set QWENCHAT_HOME to another folder.")
            )


def _require_schema(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.Error unless all tables and columns are there, as somebody else's file may lack."""
    for table, columns in _SCHEMA.items():
        connection.execute(f"select {columns} from {table} limit 0")


def _version(connection: sqlite3.Connection, path: Path | None) -> int:
    version = int(connection.execute("pragma user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise LibraryNewer(
            say("{path} was written by a newer qwenchat.", path=path), say("Update qwenchat; the file was not touched.")
        )
    return version


def _migrate(connection: sqlite3.Connection, path: Path | None, version: int) -> None:
    if version and path is not None:
        back_up(connection, path, lambda: False, f"-before-v{len(MIGRATIONS)}")
    with _all_or_nothing(connection):
        version = connection.execute("pragma user_version").fetchone()[0]
        for step in MIGRATIONS[version:]:
            for statement in step.split(";"):
                connection.execute(statement)
        _require_schema(connection)
        connection.execute(f"pragma user_version={len(MIGRATIONS)}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; durable when it returns. Raises LibraryUnwritable when the disk refuses."""
    try:
        with _all_or_nothing(connection):
            yield
    except (sqlite3.Error, OSError) as error:
        remedy = say("Free some space.") if _is_full(error) else say("`qwenchat doctor` examines the library.")
        raise LibraryUnwritable(say("The conversation could not be saved: {error}.", error=error), remedy) from error


@contextmanager
def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        connection.execute("begin immediate")
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


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


def _is_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


@contextmanager
def reading(path: Path | None) -> Iterator[None]:
    """Whatever reading may raise, as a LibraryError that names it; damage has the file examined at the next start."""
    try:
        yield
    except (sqlite3.Error, ValueError, TypeError, RecursionError, OverflowError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if path is not None and code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            with suppress(OSError):
                doubt(path)
        raise LibraryError(
            say("Saved conversations could not be read: {error}.", error=error), say("`qwenchat doctor` examines them.")
        ) from error
