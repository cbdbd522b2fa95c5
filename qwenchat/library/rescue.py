"""What a start does for a library that is damaged, or that an earlier program left in pieces."""

import os
import sqlite3
from pathlib import Path

import psutil

from qwenchat.chat.errors import LibraryDamaged
from qwenchat.i18n.texts import count, say, sentences
from qwenchat.library.backup import Backup, last_backup
from qwenchat.library.replacing import end_interrupted, put_in_place, remove_partial, set_aside_before
from qwenchat.library.salvage import Salvaged, salvage
from qwenchat.library.sqlite_file import beside, remove_file


def before_opening(library: Path) -> str:
    """End what a program that died was doing to the library; what must be known of it, in words.

    Raises OSError and LibraryInUse.
    """
    said = end_interrupted(library)
    remove_partial(library, psutil.pid_exists)
    if not library.exists() and (aside := _set_aside_last(library)):
        said = say(
            "There was no library, so a new one was begun. {aside} was set aside earlier; "
            "`qwenchat doctor --restore {path}` puts it in place.",
            aside=aside.name,
            path=aside,
        )
    return said


def _set_aside_last(library: Path) -> Path | None:
    found = [*set_aside_before(library), *set_aside_before(library, "replaced")]
    return max(found, key=lambda file: file.stat().st_mtime, default=None)


def rescue(library: Path, error: LibraryDamaged) -> str:
    """Set a damaged library aside, and put in its place what can be read of it and of the last backup.

    Returns what was done, in words. Raises OSError and LibraryInUse where nothing can be renamed.
    """
    fresh = beside(library, f".{os.getpid()}.partial")
    backup = last_backup(library)
    try:
        remove_file(fresh)
        salvaged = salvage(library, fresh, backup.path if backup else None)
        aside = put_in_place(fresh, library, "corrupt")
    except sqlite3.Error as refusal:
        salvaged = Salvaged(0, 0)
        aside = put_in_place(None, library, "corrupt")
        return sentences(_begun(error, aside), say("Nothing of it could be taken over: {error}.", error=refusal))
    finally:
        remove_file(fresh)
    return sentences(_begun(error, aside), _taken_over(salvaged, backup))


def _begun(error: LibraryDamaged, aside: Path | None) -> str:
    return say(
        "{error} It was set aside as {name}, and a new library was begun.",
        error=error.what,
        name=aside.name if aside else "",
    )


def _taken_over(salvaged: Salvaged, backup: Backup | None) -> str:
    if not salvaged.messages:
        return say("Nothing in it could be read.")
    said = count(
        "{number:,} message that could be read is in it.",
        "{number:,} messages that could be read are in it.",
        salvaged.messages,
    )
    if backup is None or not salvaged.from_backup:
        return said
    return sentences(
        said,
        count(
            "{number:,} of them is from the backup of {made:%Y-%m-%d}; what was deleted since then may be back.",
            "{number:,} of them are from the backup of {made:%Y-%m-%d}; what was deleted since then may be back.",
            salvaged.from_backup,
            made=backup.made,
        ),
    )
