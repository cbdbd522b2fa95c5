"""A line of the program's own, as against what the model says."""

import sys

from qwenchat.chat.text import safe_line
from qwenchat.console.word_wrap import wrapped


def notify(text: str) -> None:
    """Print a line of the program's own on standard error."""
    print(wrapped(f"qwenchat: {safe_line(text, 1000)}", sys.stderr), file=sys.stderr, flush=True)
