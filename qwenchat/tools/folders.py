"""Files below the folders that the user allows: no way out by .., by a link, or by a change in between."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from qwenchat.chat.errors import ToolRefused
from qwenchat.i18n.texts import listed, say
from qwenchat.settings.config import few

LARGEST = 1_000_000
"""Bytes of a file that are read."""
_LOOKED_AT = 8_192
"""Bytes at the beginning that tell text from what is none."""


class Folders:
    """The allowed folders. A path is given in full, or as it is below one of them.

    Links are followed to find out where a path leads; what was found is then opened part by part from the folder on,
    without following any, so that nothing can be put in its place meanwhile.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        """What is no full path is left out; `problems_of` says why."""
        named = {folder: _expanded(folder) for folder in folders}
        self._roots = tuple(Path(path) for folder, path in named.items() if not _misnamed(folder))

    @property
    def named(self) -> tuple[str, ...]:
        """The folders, for people and models."""
        return tuple(map(str, self._roots))

    @contextmanager
    def opened(self, path: str, *, folder: bool = False) -> Iterator[int]:
        """A file, or with `folder` a folder, as a descriptor to read from. Raises ToolRefused."""
        root, parts = self._found(path)
        descriptor = _walked(path, root, parts, folder=folder)
        try:
            mode = os.fstat(descriptor).st_mode
            if not (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)):
                wrong = say("{path} is no folder.", path=path) if folder else say("{path} is no file.", path=path)
                raise ToolRefused(wrong)
            yield descriptor
        finally:
            os.close(descriptor)

    def _found(self, path: str) -> tuple[Path, tuple[str, ...]]:
        """The folder that a path leads into and the parts of the way from there, with all links followed."""
        if not self._roots:
            raise ToolRefused(
                say("No folder is allowed."), say('The user can allow some in config.toml: [tools] folders = ["..."].')
            )
        if "\0" in path:
            raise ToolRefused(say("That is no path."))
        inside = False
        for root in self._roots:
            with suppress(OSError, RuntimeError):  # a link that leads to itself
                real_root = root.resolve(strict=True)
                real = (real_root / _expanded(path)).resolve()
                if real.is_relative_to(real_root):
                    inside = True
                    if os.path.lexists(real):
                        return real_root, real.relative_to(real_root).parts
        if inside:
            raise ToolRefused(say("There is no {path}.", path=path))
        folders = listed(self.named)
        raise ToolRefused(
            say("{path} is not below a folder that is allowed.", path=path),
            say("Allowed: {folders}.", folders=folders),
        )


def problems_of(folders: Sequence[str]) -> tuple[str, ...]:
    """What is wrong with the folders that the user allows, in words, of many the first; each costs itself alone."""
    found = ((folder, _misnamed(folder) or _unreadable(Path(_expanded(folder)))) for folder in folders)
    problems = [
        say("The folder {folder} that [tools] allows cannot be used: {reason}.", folder=repr(folder), reason=reason)
        for folder, reason in found
        if reason
    ]
    return few(problems)


def _expanded(path: str) -> str:
    """`path` with ~ as a shell reads it; as it is where there is no such user."""
    return os.path.expanduser(path)  # noqa: PTH111  (that of pathlib raises)


def _misnamed(folder: str) -> str:
    """Why an entry names no folder at all; empty if it does."""
    if "\0" in folder:
        return say("it has a character that no path has")
    path = _expanded(folder)
    if path.startswith("~"):
        return say("there is no such user")
    return "" if Path(path).is_absolute() else say("it is not a full path, such as ~/notes")


def _unreadable(folder: Path) -> str:
    """Why nothing can be read below a folder just now; empty if it can."""
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            return say("it is no folder")
    except OSError as error:
        return error.strerror or type(error).__name__
    return "" if os.access(folder, os.R_OK | os.X_OK) else os.strerror(errno.EACCES)


def text_of(descriptor: int, name: str) -> tuple[str, bool]:
    """The text of an open file, and whether it was cut. Raises ToolRefused for what is no text."""
    try:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read(LARGEST + 1) or b""  # None where it would have to be waited for
    except OSError as error:
        raise _refused(name, error) from error
    if b"\0" in data[:_LOOKED_AT]:
        raise ToolRefused(say("{path} is no text.", path=name))
    return data[:LARGEST].decode("utf-8", errors="replace"), len(data) > LARGEST


def _walked(path: str, root: Path, parts: Sequence[str], *, folder: bool) -> int:
    """Open part by part below `root`, where no part may be a link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(root, flags | os.O_DIRECTORY)
    except OSError as error:
        raise _refused(path, error) from error
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        try:
            below = os.open(part, flags | (0 if last and not folder else os.O_DIRECTORY), dir_fd=descriptor)
        except OSError as error:
            raise _refused(path, error) from error
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def _refused(path: str, error: OSError) -> ToolRefused:
    return ToolRefused(
        say("{path} cannot be opened: {reason}.", path=path, reason=error.strerror or type(error).__name__)
    )
