"""Another file in the library's place, in steps that a later start can end: the library is never missing for good.

The new file is made whole under a name that says what becomes of the old one, `NAME.WHY-TIME.new`. Then the old one is
renamed to `NAME.WHY-TIME`, its journals first, and last the new one to `NAME`.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from filelock import FileLock, Timeout

from qwenchat.chat.errors import LibraryInUse
from qwenchat.i18n.texts import say
from qwenchat.library.index import remove_index
from qwenchat.library.sqlite_file import JOURNALS, beside, remove_file

_NEW = ".new"
_WAIT_S = 10.0


def put_in_place(fresh: Path | None, library: Path, why: str) -> Path | None:
    """Put a file that is whole in the library's place, or nothing, and return the new name of what was there.

    Raises OSError, and LibraryInUse when another program is about to do the same.
    """
    with _alone(library):
        aside = _free_name(library, why)
        ready = beside(aside, _NEW)
        if fresh is None:
            _set_aside(library, aside)
            remove_index(library)
        else:
            fresh.replace(ready)
            _sync_folder(library.parent)
            _finish(ready, library)
        return aside if aside.exists() else None


def end_interrupted(library: Path) -> str:
    """Put in place what a program that died was putting there; what was done, in words, '' for nothing.

    Raises OSError and LibraryInUse.
    """
    if not _ready(library):
        return ""
    with _alone(library):
        said = ""
        for ready in _ready(library):
            aside = _finish(ready, library)
            said = say("A library that was being put in place when the program was killed is there now.")
            if aside.exists():
                said = say("{done} What was there is kept as {aside}.", done=said, aside=aside.name)
        return said


def is_interrupted(library: Path) -> bool:
    """Whether a program died while it put another library in place."""
    return bool(_ready(library))


def _ready(library: Path) -> list[Path]:
    found = library.parent.glob(f"{escape(library.name)}.*-*{_NEW}")
    return sorted(file for file in found if file.is_file() and file.stat().st_size)


def _finish(ready: Path, library: Path) -> Path:
    """The steps that are left; returns the name that what was there has now, if something was there."""
    aside = ready.with_name(ready.name.removesuffix(_NEW))
    if library.exists() and aside.exists():  # another program began a library meanwhile
        aside = _free_name(library, "replaced")
    _set_aside(library, aside)
    remove_index(library)
    ready.replace(library)
    _sync_folder(library.parent)
    return aside


def _set_aside(library: Path, aside: Path) -> None:
    for suffix in (*JOURNALS, ""):
        with suppress(FileNotFoundError):
            beside(library, suffix).rename(beside(aside, suffix))


def _free_name(library: Path, why: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside, number = beside(library, f".{why}-{stamp}"), 1
    while aside.exists() or beside(aside, _NEW).exists():
        number += 1
        aside = beside(library, f".{why}-{stamp}-{number}")
    return aside


def set_aside_before(library: Path, why: str = "corrupt") -> list[Path]:
    """The databases that stood at `library` and were set aside, oldest first."""
    found = library.parent.glob(f"{escape(library.name)}.{why}-*")
    return sorted(file for file in found if not file.name.endswith((*JOURNALS, _NEW)))


def remove_partial(library: Path, is_running: Callable[[int], bool]) -> None:
    """Remove what programs that died left unfinished."""
    for folder in (library.parent, library.parent / "backups"):
        for file in folder.glob(f"{escape(library.stem)}*.partial"):
            number = file.name.split(".")[-2]
            if number.isdecimal() and not is_running(int(number)):
                with suppress(OSError):
                    remove_file(file)


@contextmanager
def _alone(library: Path) -> Iterator[None]:
    """Be the only program that puts another file in this library's place."""
    lock = FileLock(beside(library, ".replacing"))
    try:
        lock.acquire(timeout=_WAIT_S)
    except Timeout as error:
        raise LibraryInUse(
            say("Another program is putting a library in place of {library}.", library=library), say("Try again.")
        ) from error
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _sync_folder(folder: Path) -> None:
    """Have renames on the disk before the next step."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
