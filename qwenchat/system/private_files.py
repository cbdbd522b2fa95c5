"""Files that only their owner may read."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

MODE = 0o600


def private(path: str, flags: int) -> int:
    """An opener for `open`: what it makes is for its owner alone."""
    return os.open(path, flags, MODE)


def make_private(path: Path) -> None:
    """Make an empty file for its owner alone, where there is nothing and one can be made."""
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing, each for its owner alone. Raises OSError."""
    if not folder.is_dir():
        if folder.parent != folder:
            make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def replace_whole(file: Path, text: str) -> None:
    """Put `text` in place of the file, whole or not at all; a new one is its owner's alone. Raises OSError."""
    with suppress(FileNotFoundError):
        mode = file.stat().st_mode & 0o777
        if not os.access(file, os.W_OK):
            raise PermissionError(13, os.strerror(13), str(file))
        return _write(file, text, mode)
    return _write(file, text, MODE)


def _write(file: Path, text: str, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
