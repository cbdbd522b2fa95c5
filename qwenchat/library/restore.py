"""A backup put back in the library's place."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import psutil

from qwenchat.chat.errors import LibraryInUse, LibraryUnwritable
from qwenchat.i18n.texts import listed, say
from qwenchat.library.backup import is_sound, last_backup
from qwenchat.library.replacing import end_interrupted, put_in_place
from qwenchat.library.sqlite_file import beside, open_file, open_to_read, remove_file, require_file


def restore(library: Path, wanted: Path | None = None) -> tuple[Path, Path | None]:
    """Put a backup, by default the last that is sound, in the library's place, and set aside what was there.

    Returns the backup and the new name of what was there. Raises LibraryInUse, and LibraryUnwritable when there is
    no such backup, it is not sound, or the disk refuses; then nothing has changed.
    """
    library = require_file(library)
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
            say("{library} is open in {users}.", library=library, users=listed(users)),
            say("Leave every qwenchat, then try again."),
        )
    fresh = beside(library, f".{os.getpid()}.partial")
    try:
        end_interrupted(library)
        with closing(open_to_read(backup)) as source, closing(open_file(fresh)) as copy:
            fresh.chmod(0o600)
            source.backup(copy)
        aside = put_in_place(fresh, library, "replaced")
    except (sqlite3.Error, OSError) as error:
        raise LibraryUnwritable(
            say("The backup could not be put in place: {error}.", error=error), say("Check the disk.")
        ) from error
    finally:
        remove_file(fresh)
    return backup, aside


def in_use(library: Path) -> list[str]:
    """The other processes that have the library open, in words."""
    users = []
    for process in psutil.process_iter(["pid", "name", "username"]):
        try:
            if process.pid != os.getpid() and any(file.path == str(library) for file in process.open_files()):
                users.append(say("{name} (process {number})", name=process.info["name"], number=process.pid))
        except (psutil.Error, OSError):
            continue
    return users
