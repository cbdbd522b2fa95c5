"""Text that streams to a terminal, broken between words; Chinese and Japanese are broken between characters."""

import os
import re
import sys
from collections.abc import Callable
from typing import TextIO

from rich.cells import cell_len

_WIDE = "[\u2e80-\u3029\u3030-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff]"
_CLOSES = "[、。〉》」』】〕〗〙〛！％），．：；？］｝…—～ー々ゝゞ'\")\\]}.,:;!?%”’]"
"""What does not begin a line."""
_OPENS = "[〈《「『【〔〖〘〚（［｛“‘]"
"""What does not end one."""
_PIECE = re.compile(rf"\n|[ \t]+|{_OPENS}*{_WIDE}{_CLOSES}*|(?:(?!{_WIDE})[^ \t\n])+{_CLOSES}*")
_FENCE = re.compile("```|~~~")
_INDENTED = 4
"""Blanks before a line of code."""


def width_of(stream: TextIO) -> int:
    """The columns of the terminal behind `stream`; 0 where there is none, so that nothing is to be broken."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return 0


def wrapped(text: str, stream: TextIO) -> str:
    """A whole text, broken for the terminal behind `stream`."""
    wrap = WordWrap(lambda: width_of(stream))
    return wrap.feed(text) + wrap.finish()


def print_wrapped(text: str) -> None:
    """Print a whole text on standard output."""
    print(wrapped(text, sys.stdout), flush=True)


class WordWrap:
    """Puts line breaks into text that comes in chunks; code and tables stay as they are."""

    def __init__(self, width: Callable[[], int]) -> None:
        """`width` is asked at each line, since a window may change its size; 0 for no breaks."""
        self._width = width
        self._wide = width()
        self._held = ""
        """What may go on in the next chunk."""
        self._blanks = ""
        self._column = 0
        self._fenced = False
        self._verbatim = False

    def feed(self, chunk: str) -> str:
        """Take in a chunk and return what can be shown."""
        if not self._wide and not self._held:
            return chunk
        pieces = _PIECE.findall(self._held + chunk)
        self._held = pieces.pop() if pieces and pieces[-1] != "\n" else ""
        return "".join(map(self._placed, pieces))

    def finish(self) -> str:
        """The rest, at the end of the text."""
        held, self._held = self._held, ""
        placed = self._placed(held) + self._blanks if held else self._blanks
        self._blanks, self._column, self._fenced, self._verbatim = "", 0, False, False
        return placed

    def _placed(self, piece: str) -> str:
        """A piece with what goes before it: blanks, or a line break in place of these."""
        if piece == "\n":
            blanks, self._blanks = self._blanks, ""
            self._column, self._verbatim, self._wide = 0, self._fenced, self._width()
            return f"{blanks}\n"
        if piece[0] in " \t":
            self._blanks += piece
            return ""
        if not self._column:
            self._begin_line(piece)
        blanks, self._blanks = self._blanks, ""
        cells = cell_len(piece)
        if self._column and not self._verbatim and 0 < self._wide < self._column + len(blanks) + cells:
            self._column = cells
            return f"\n{piece}"
        self._column += len(blanks) + cells
        return blanks + piece

    def _begin_line(self, piece: str) -> None:
        """See from its beginning whether a line is code or part of a table."""
        if _FENCE.match(piece):
            self._fenced = not self._fenced
            self._verbatim = True
        indented = len(self._blanks.expandtabs(_INDENTED)) >= _INDENTED
        self._verbatim = self._verbatim or self._fenced or indented or piece.startswith("|")
