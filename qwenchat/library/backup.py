"""Copies of the library: only old ones are ever deleted."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from glob import escape
from pathlib import Path
from stat import S_ISREG

from qwenchat.chat.dates import local_time
from qwenchat.chat.errors import LibraryDamaged
from qwenchat.i18n.texts import say
from qwenchat.library.schema import require_own, require_whole
from qwenchat.library.sqlite_file import beside, open_file, open_to_read, remove_file, time_limit

KEPT = 5
"""How many backups are kept."""
_EXAMINE_S = 120.0
"""How long the examination of a backup may take."""
_STEP = 1024
"""Pages that are copied before who writes is let in, a few ms."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the library as it once was."""

    path: Path
    made: datetime
    size: int


def backups(library: Path) -> list[Backup]:
    """The backups of a library, newest first."""
    found = []
    for file in (library.parent / "backups").glob(f"{escape(library.stem)}-*.sqlite3"):
        with suppress(OSError):
            stat = file.stat()
            if S_ISREG(stat.st_mode):
                found.append(Backup(file, local_time(stat.st_mtime), stat.st_size))
    return sorted(found, key=lambda backup: (backup.made, backup.path.name), reverse=True)


def last_backup(library: Path) -> Backup | None:
    """The newest backup that is sound; None when there is none."""
    return next((backup for backup in backups(library) if is_sound(backup.path)), None)


def is_sound(path: Path) -> bool:
    """Whether a file is a library that this program can open."""
    try:
        if not (path.is_file() and path.stat().st_size):
            return False
        with closing(open_to_read(path)) as connection, time_limit(connection, _EXAMINE_S):
            version = int(connection.execute("pragma user_version").fetchone()[0])
            if not version:
                return False
            require_own(connection, version)
            require_whole(connection)
    except (sqlite3.Error, OSError, MemoryError):
        return False
    return True


def is_due(library: Path) -> bool:
    """Whether there is no backup of today yet, and something that changed since the last one."""
    latest = next(iter(backups(library)), None)
    if latest is None:
        return True
    changed = max(file.stat().st_mtime for file in (library, beside(library, "-wal")) if file.exists())
    return not _dated(library).exists() and changed > latest.path.stat().st_mtime


def back_up(connection: sqlite3.Connection, library: Path, stop: Callable[[], bool], suffix: str = "") -> bool:
    """Make a backup, letting others write meanwhile, and keep the last few; False when `stop` broke it off.

    The copy is examined, so damage of the library is found that reading it would not show: raises LibraryDamaged
    then, and keeps the earlier backups. Raises sqlite3.Error and OSError when it cannot be made.
    """
    target = _dated(library, suffix)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with closing(open_file(partial)) as copy:
            partial.chmod(0o600)
            if not _copy(connection, copy, stop):
                return False
            copy.set_progress_handler(stop, 100_000)
            copy.execute("pragma journal_mode=delete")
            _require_whole_copy(copy, library)
        partial.replace(target)
    except sqlite3.OperationalError:
        if stop():
            return False
        raise
    finally:
        remove_file(partial)
    for old in backups(library)[KEPT:]:
        old.path.unlink(missing_ok=True)
    return True


def _require_whole_copy(copy: sqlite3.Connection, library: Path) -> None:
    try:
        require_whole(copy)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise LibraryDamaged(say("{path} is damaged: {error}.", path=library, error=error)) from error


class _Stopped(Exception):
    pass


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, stop: Callable[[], bool]) -> bool:
    """Copy the database; who writes meanwhile waits for a step at most. Whether it was not broken off."""

    def go_on(*_: int) -> None:
        if stop():
            raise _Stopped

    try:
        source.backup(target, pages=_STEP, progress=go_on, sleep=0.02)
    except _Stopped:
        return False
    return True


def _dated(library: Path, suffix: str = "") -> Path:
    return library.parent / "backups" / f"{library.stem}-{time.strftime('%Y-%m-%d')}{suffix}.sqlite3"
