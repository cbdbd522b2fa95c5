"""Files that only their owner may read."""

import os
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
