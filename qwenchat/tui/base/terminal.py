"""The terminal while the app runs: nothing but the app writes to it, and a signal to end is handled."""

import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from qwenchat.system.private_files import make_private_folder

log = logging.getLogger(__name__)

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that ask a program to end."""


class _Terminal(io.TextIOWrapper):
    """A terminal that may go away: then writing does nothing, so that the rest of the program can end well."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(io.FileIO(os.dup(descriptor), "w"), encoding="utf-8", errors="replace", write_through=True)

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


@contextmanager
def own_terminal(log_file: Path | None) -> Iterator[None]:
    """Send what native libraries write to file descriptor 2 to `log_file`, or nowhere.

    Textual draws through `sys.__stderr__`, so that one keeps the terminal. Where standard error is no terminal, the
    user has sent it elsewhere already: it stays as it is, and Textual draws on standard output.
    """
    before = sys.stderr, sys.__stderr__
    taken = os.isatty(2)
    terminal = _Terminal(2 if taken else 1)
    sys.__stderr__ = terminal  # type: ignore[misc]
    if taken:
        before[0].flush()
        sys.stderr = terminal
        quiet = _open_log(log_file)
        os.dup2(quiet, 2)
        os.close(quiet)
    try:
        yield
    finally:
        if taken:
            os.dup2(terminal.fileno(), 2)
        sys.stderr, sys.__stderr__ = before  # type: ignore[misc]
        terminal.close()


@contextmanager
def signals_to_end(leave: Callable[[int], None]) -> Iterator[None]:
    """Call `leave` with the number of a signal that asks the program to end, from the main thread."""

    def handle(number: int, frame: FrameType | None) -> None:
        leave(number)

    before = {number: signal.signal(number, handle) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open_log(log_file: Path | None) -> int:
    if log_file is not None:
        try:
            make_private_folder(log_file.parent)
            return os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            log.warning("the log file cannot be written: %s", error)
    return os.open(os.devnull, os.O_WRONLY)
