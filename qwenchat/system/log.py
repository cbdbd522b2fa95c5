"""The log file: what happened, for bug reports, without a word of any message."""

import logging
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from qwenchat.system.private_files import make_private_folder, private

LARGEST = 1_000_000
"""Bytes; then the file is renamed and a new one begun."""


class _PrivateHandler(RotatingFileHandler):
    """Writes files for their owner alone."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, errors=self.errors, opener=private)


class _Formatter(logging.Formatter):
    """One record a line, but for a traceback below it, and nothing in it that a terminal obeys."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line."""
        return _spelled(super().formatMessage(record), "\t")

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback."""
        return _spelled(super().format(record), "\t\n")


def _spelled(text: str, kept: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else ascii(c)[1:-1] for c in text)


def keep_log(file: Path | None) -> None:
    """Send the program's own log to `file`, or nowhere: without one, or where it cannot be written."""
    logger = logging.getLogger("qwenchat")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    handler: logging.Handler = logging.NullHandler()
    if file is not None:
        try:
            make_private_folder(file.parent)
            handler = _PrivateHandler(file, maxBytes=LARGEST, backupCount=1, encoding="utf-8", errors="replace")
        except OSError:
            # The library says in the same moment that the folders cannot be written.
            handler = logging.NullHandler()
    handler.setFormatter(_Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    for old in logger.handlers:
        old.close()
    logger.handlers = [handler]
    logging.raiseExceptions = False
