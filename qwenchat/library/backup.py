"""Copies of the library, and what becomes of a file that one replaces: only old backups are ever deleted."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from qwenchat.chat.errors import LibraryDamaged, LibraryInUse, LibraryUnwritable
from qwenchat.i18n.texts import say
from qwenchat.library.migrations import MIGRATIONS

JOURNALS = ("-wal", "-shm", "-journal")
KEPT = 5
"""How many backups are kept."""
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
    for file in (library.parent / "backups").glob(f"{library.stem}-*.sqlite3"):
        stat = file.stat()
        found.append(Backup(file, datetime.fromtimestamp(stat.st_mtime), stat.st_size))
    return sorted(found, key=lambda backup: (backup.made, backup.path.name), reverse=True)


def last_backup(library: Path) -> Backup | None:
    """The newest backup that is sound; None when there is none."""
    return next((backup for backup in backups(library) if is_sound(backup.path)), None)


def is_sound(path: Path) -> bool:
    """Whether a file is a library that this program can open."""
    try:
        with closing(_read_only(path)) as connection:
            version = connection.execute("pragma user_version").fetchone()[0]
            known = 0 < version <= len(MIGRATIONS)
            return known and _is_whole(connection) and not missing_tables(connection)
    except sqlite3.Error:
        return False


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def missing_tables(connection: sqlite3.Connection) -> set[str]:
    """The tables that a library of any age has, and this database has not."""
    there = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
    return {"conversations", "messages", "drafts"} - there


def _is_whole(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("pragma quick_check(1)").fetchone()[0] == "ok")


def is_due(library: Path) -> bool:
    """Whether there is no backup of today yet, and something that changed since the last one."""
    latest = next(iter(backups(library)), None)
    if latest is None:
        return True
    changed = max(file.stat().st_mtime for file in (library, _beside(library, "-wal")) if file.exists())
    return not _dated(library).exists() and changed > latest.made.timestamp()


def back_up(connection: sqlite3.Connection, library: Path, stop: Callable[[], bool], suffix: str = "") -> bool:
    """Make a backup, letting others write meanwhile, and keep the last few; False when `stop` broke it off.

    The copy is examined, so damage of the library is found that reading it would not show: raises LibraryDamaged
    then, and keeps the earlier backups. Raises sqlite3.Error and OSError when it cannot be made.
    """
    target = _dated(library, suffix)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with closing(sqlite3.connect(partial)) as copy:
            partial.chmod(0o600)
            if not _copy(connection, copy, stop):
                return False
            copy.set_progress_handler(stop, 100_000)
            copy.execute("pragma journal_mode=delete")
            if not _is_whole(copy):
                raise LibraryDamaged(
                    say("{library} is damaged: the integrity check of its copy failed.", library=library)
                )
        partial.replace(target)
    except sqlite3.OperationalError:
        if stop():
            return False
        raise
    finally:
        for file in (partial, *(_beside(partial, suffix) for suffix in JOURNALS)):
            file.unlink(missing_ok=True)
    for old in backups(library)[KEPT:]:
        old.path.unlink(missing_ok=True)
    return True


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


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def restore(library: Path, wanted: Path | None = None) -> tuple[Path, Path | None]:
    """Put a backup, by default the last that is sound, in the library's place, and set aside what was there.

    Returns the backup and the new name of what was there. Raises LibraryInUse, and LibraryUnwritable when there is
    no such backup, it is not sound, or the disk refuses; then nothing has changed.
    """
    backup = wanted or (found.path if (found := last_backup(library)) else None)
    if backup is None:
        raise LibraryUnwritable(say("There is no backup of {library}.", library=library))
    if not backup.is_file() and (named := library.parent / "backups" / backup.name).is_file():
        backup = named
    if not is_sound(backup):
        raise LibraryUnwritable(
            say("{backup} is not a sound backup.", backup=backup), say("`qwenchat doctor` lists those that are there.")
        )
    if users := in_use(library):
        raise LibraryInUse(
            say("{library} is open in {users}.", library=library, users=", ".join(users)),
            say("Leave every qwenchat, then try again."),
        )
    fresh = _beside(library, f".{os.getpid()}.partial")
    try:
        with closing(_read_only(backup)) as source, closing(sqlite3.connect(fresh)) as copy:
            fresh.chmod(0o600)
            source.backup(copy)
        aside = set_aside(library, "replaced") if library.exists() else None
        fresh.replace(library)
    except (sqlite3.Error, OSError) as error:
        raise LibraryUnwritable(
            say("The backup could not be put in place: {error}.", error=error), say("Check the disk.")
        ) from error
    finally:
        fresh.unlink(missing_ok=True)
    return backup, aside


def in_use(library: Path) -> list[str]:
    """The other processes that have the library open, in words."""
    users = []
    for process in psutil.process_iter(["pid", "name", "username"]):
        try:
            if process.pid != os.getpid() and any(file.path == str(library.resolve()) for file in process.open_files()):
                users.append(say("{name} (process {number})", name=process.info["name"], number=process.pid))
        except (psutil.Error, OSError):
            continue
    return users


def set_aside(path: Path, why: str = "corrupt") -> Path:
    """Rename a database and its journals, and return its new name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = _beside(path, f".{why}-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = _beside(path, f".{why}-{stamp}-{number}")
    for suffix in JOURNALS:
        journal = _beside(path, suffix)
        if journal.exists():
            journal.rename(_beside(aside, suffix))
    path.rename(aside)
    return aside


def set_aside_before(path: Path) -> list[Path]:
    """The damaged databases that stood at `path` and were set aside, oldest first."""
    return sorted(file for file in path.parent.glob(f"{path.name}.corrupt-*") if not file.name.endswith(JOURNALS))
