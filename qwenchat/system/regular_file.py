"""Files that a person named: read only where they are plain files, and only as far as they may go."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from qwenchat.i18n.texts import say, size


def open_regular(file: Path) -> BinaryIO:
    """`file` to be read. Raises OSError, also for a pipe, a device or a folder, which could be read for ever."""
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in its name
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(file)) from error
    try:
        mode = os.fstat(opened).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, say("it is no plain file"), str(file))
        return os.fdopen(opened, "rb")
    except BaseException:
        os.close(opened)
        raise


def open_stream(file: Path) -> BinaryIO:
    """`file` or a pipe, which is waited for, to be read once. Raises OSError as `open_regular` does."""
    return file.open("rb") if file.is_fifo() else open_regular(file)


def read_regular(file: Path, most: int) -> bytes:
    """All of `file`. Raises OSError as `open_regular` does, and for one of more than `most` bytes."""
    with open_regular(file) as opened:
        data = opened.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, say("it has more than {most}", most=size(most)), str(file))
    return data


def expanded(typed: str) -> Path:
    """The path that was typed, with `~` as the home folder; as it is where there is no such user."""
    try:
        return Path(typed).expanduser()
    except RuntimeError:
        return Path(typed)
