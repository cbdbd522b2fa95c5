"""Where in a whole reply the model was unsure, as a curve of one line."""

from collections.abc import Sequence
from math import log2

from textual.content import Content
from textual.widgets import Static

from qwenchat.chat.events import ScoredToken

LEVELS = " ▁▂▃▄▅▆▇█"
MOST_BITS = 8
"""The surprise that fills a cell: a token of 1 in 256."""


class Overview(Static):
    """Each cell is a part of the reply, as high as the greatest surprise in it; the cell of the cursor stands out."""

    def __init__(self) -> None:
        super().__init__(id="overview")
        self._curve = ""
        self._of = 0, 0
        """How many tokens in how many cells the curve shows."""

    def show(self, tokens: Sequence[ScoredToken], cursor: int, total: int) -> None:
        """Show the tokens there are, of so many."""
        cells = min(self.size.width, total)
        if not tokens or cells <= 0:
            self.update("")
            return
        if self._of != (len(tokens), cells):
            self._of = len(tokens), cells
            self._curve = _curve(tokens, cells, total)
        at = min(cursor * cells // total, cells - 1)
        before, here, after = self._curve[:at], self._curve[at : at + 1] or " ", self._curve[at + 1 :]
        mark = (here, "bold $primary on $primary 35%")
        self.update(Content.assemble((before, "$foreground 65%"), mark, (after, "$foreground 65%")))


def _curve(tokens: Sequence[ScoredToken], cells: int, total: int) -> str:
    least = [1.0] * cells
    for at, token in enumerate(tokens):
        cell = at * cells // total
        least[cell] = min(least[cell], token.chosen.probability)
    return "".join(LEVELS[_level(share)] for share in least)


def _level(share: float) -> int:
    bits = -log2(max(share, 2.0**-MOST_BITS))
    return min(len(LEVELS) - 1, round(bits * (len(LEVELS) - 1) / MOST_BITS))
