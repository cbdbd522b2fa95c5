"""The SQLite file: opened, migrated, set aside when it is damaged."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from qwenchat.chat.errors import LibraryDamaged, LibraryError, LibraryNewer, LibraryUnwritable, MessageTooLarge
from qwenchat.i18n.texts import say, sentences
from qwenchat.library.backup import back_up, last_backup
from qwenchat.library.migrations import MIGRATIONS
from qwenchat.library.salvage import salvage_into
from qwenchat.library.schema import require_own, require_whole
from qwenchat.library.sqlite_file import (
    journal_mode,
    open_file,
    open_to_read,
    refused,
    require_file,
    time_limit,
)
from qwenchat.system.private_files import make_private_folder

_EXAMINED_AT_ONCE = 32_000_000
"""Bytes of a library that is examined at every start, in some 30 ms. Larger ones are with their daily backup."""

_OPENING_S = 30.0
"""How long a file is looked at before it is used."""
_PACE = 5e6
"""Bytes a second that the slowest disk reads."""
_BEING_MADE_S = 10.0
"""So long a file may be empty because another program is just making it."""
_LAST_VERSION = 10_000
"""A file that says it is of a later version than this is a damaged one."""
_LONGEST = 512 * 2**20
"""Bytes of the longest value that is read or written: the longest conversation that is imported, and some more."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the database at `path`, or one in memory, at the newest schema.

    Raises LibraryDamaged, LibraryNewer or LibraryUnwritable; a newer or damaged file is left untouched.
    """
    try:
        if path is not None:
            make_private_folder(path.parent)
            path = require_file(path)
            _require_usable(path)
            _require_content(path)
        examined = path is not None and _is_doubtful(path)
        connection = open_file(path)
    except (OSError, sqlite3.Error) as error:
        raise LibraryUnwritable(
            say("{path} cannot be opened: {error}.", path=path, error=error), say("Check the folder.")
        ) from error
    with opening(connection, path):
        version = _examine(connection, path, whole=examined)
        _set_up(connection)
        if version < len(MIGRATIONS):
            _migrate(connection, path, version)
        if path is not None:
            path.chmod(0o600)
            with suppress(OSError):
                _mark(path).unlink(missing_ok=True)
    return connection


def count_conversations(path: Path) -> int:
    """How many conversations there are in a library that is whole; the file is only read.

    Raises LibraryDamaged, LibraryNewer, and LibraryUnwritable where nothing can be read.
    """
    path = require_file(path)
    if not path.exists():
        return 0
    _require_content(path)
    try:
        connection = open_file(path, "mode=ro")
        with opening(connection, path), closing(connection):
            _examine(connection, path, whole=True)
            return int(connection.execute("select count(*) from conversations").fetchone()[0])
    except LibraryUnwritable as error:
        raise LibraryUnwritable(
            say("{path} cannot be read.", path=path), sentences(error.what, error.remedy)
        ) from error


def _examine(connection: sqlite3.Connection, path: Path | None, *, whole: bool) -> int:
    """The version of a library that may be used; with `whole` every page is looked at. Raises sqlite3.Error."""
    size = path.stat().st_size if path is not None and path.exists() else 0
    with time_limit(connection, _OPENING_S + size / _PACE):
        connection.execute("begin")  # so that version and schema are those of one moment
        try:
            version = _version(connection, path)
            require_own(connection, version)
            if version and whole:
                require_whole(connection)
        finally:
            if connection.in_transaction:
                connection.execute("commit")
    return version


@contextmanager
def opening(connection: sqlite3.Connection, path: Path | None) -> Iterator[None]:
    """Close the connection when something goes wrong, and say whether the system refused or the file is damaged."""
    try:
        yield
    except (LibraryNewer, LibraryDamaged):
        connection.close()
        raise
    except (sqlite3.Error, LibraryError, OSError, MemoryError) as error:
        connection.close()
        if isinstance(error, sqlite3.Error) and not (refused(error) and not _claims_to_be_read_only(path)):
            raise LibraryDamaged(say("{path} is damaged: {error}.", path=path, error=error)) from error
        raise LibraryUnwritable(
            say("{path} cannot be written: {error}.", path=path, error=_reason(error)),
            say("Check the disk and the folder."),
        ) from error


_JOURNAL_KINDS = 2
"""The largest version of the format in bytes 18 and 19 of a file."""


def _claims_to_be_read_only(path: Path | None) -> bool:
    """Whether the header, and nothing else, has SQLite not write this file, as no version of it ever set it."""
    try:
        if path is None:
            return False
        with path.open("rb") as file:
            return max(file.read(20)[18:]) > _JOURNAL_KINDS
    except (OSError, ValueError):
        return False


def join(path: Path) -> sqlite3.Connection:
    """Another connection to a library that is open already; raises sqlite3.Error."""
    connection = open_file(path, "mode=rw")
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


def copy_in_memory(path: Path) -> sqlite3.Connection:
    """What can be read of a database that cannot be written, in memory; empty when that is nothing.

    Raises LibraryNewer.
    """
    try:
        path = require_file(path)
    except LibraryUnwritable:
        return connect(None)
    copy = open_file(None)
    try:
        # Nobody can write there, and without `immutable` SQLite would want to make files beside it.
        with closing(open_to_read(path)) as source:
            version = _examine(source, path, whole=True)
            source.backup(copy)
        _set_up(copy)
        if version < len(MIGRATIONS):
            _migrate(copy, None, version)
    except sqlite3.Error:
        copy.close()
        return _salvaged(path)
    except LibraryError:
        copy.close()
        raise
    return copy


def _salvaged(path: Path) -> sqlite3.Connection:
    fresh = open_file(None)
    salvage_into(fresh, path)
    _set_up(fresh)
    return fresh


def _require_usable(path: Path) -> None:
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.R_OK | os.W_OK):
            what = say("{place} cannot be written.", place=place)
            if not os.access(place, os.R_OK):
                what = say("{place} cannot be read.", place=place)
            raise LibraryUnwritable(what, say("Set QWENCHAT_HOME to another folder."))


def _require_content(path: Path) -> None:
    """Raise LibraryDamaged for an empty file that once was a library: there are backups of it, and nobody makes it."""
    if not path.exists():
        return
    found = path.stat()
    if not found.st_size and abs(time.time() - found.st_mtime) > _BEING_MADE_S and last_backup(path):
        raise LibraryDamaged(say("{path} is empty.", path=path))


def _version(connection: sqlite3.Connection, path: Path | None) -> int:
    version = int(connection.execute("pragma user_version").fetchone()[0])
    if len(MIGRATIONS) < version <= _LAST_VERSION:
        raise LibraryNewer(
            say("{path} was written by a newer qwenchat.", path=path),
            say(
                "Update qwenchat; the file was not touched. `qwenchat doctor --restore` puts the last backup in place."
            ),
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
        require_own(connection, len(MIGRATIONS))
        connection.execute(f"pragma user_version={len(MIGRATIONS)}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; durable when it returns. Raises LibraryUnwritable when the disk refuses."""
    try:
        with _all_or_nothing(connection):
            yield
    except (sqlite3.Error, OSError, MemoryError) as error:
        _doubt_if_damaged(connection, error)
        if isinstance(error, sqlite3.DataError):
            raise MessageTooLarge(
                say("A message is too long to be saved."), say("Up to {size} MB can be.", size=_LONGEST >> 20)
            ) from error
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED:
            raise LibraryUnwritable(
                say("The library was removed or moved away while it was open."),
                say("Export or copy what you need, then start qwenchat again."),
            ) from error
        remedy = say("Free some space.") if _is_full(error) else say("`qwenchat doctor` examines the library.")
        what = say("The conversation could not be saved: {error}.", error=_reason(error))
        raise LibraryUnwritable(what, remedy) from error


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


def _is_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


@contextmanager
def reading(path: Path | None) -> Iterator[None]:
    """Whatever reading may raise, as a LibraryError that names it; damage has the file examined at the next start."""
    try:
        yield
    except (sqlite3.Error, ValueError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        if path is not None and is_damage(error):
            with suppress(OSError):
                doubt(path)
        raise LibraryError(
            say("Saved conversations could not be read: {error}.", error=_reason(error)),
            say("`qwenchat doctor` examines them."),
        ) from error


def _doubt_if_damaged(connection: sqlite3.Connection, error: Exception) -> None:
    """Have the file of a connection examined at the next start where the error says that it is damaged."""
    if is_damage(error):
        with suppress(sqlite3.Error, OSError):
            for _, name, file in connection.execute("pragma database_list"):
                if name == "main" and file:
                    doubt(Path(file))


def _reason(error: Exception) -> str:
    """What an error says of itself, in words also where Python gives it none."""
    return say("there is too little memory") if isinstance(error, MemoryError) else str(error) or type(error).__name__


def is_damage(error: Exception) -> bool:
    """Whether SQLite found that a file makes no sense."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
