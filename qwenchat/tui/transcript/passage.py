"""A text that one widget draws, in which words can be marked."""

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from qwenchat.tui.transcript.listed import Paragraph
from qwenchat.tui.transcript.markdown import CodeBlock, CopyCode, Language
from qwenchat.tui.transcript.message_base import MenuButton, Versions
from qwenchat.tui.transcript.reasoning import ReasoningHeading
from qwenchat.tui.transcript.table import Cells

_BESIDE = (CopyCode, Language, ReasoningHeading, MenuButton, Versions)
"""What stands beside a text and is none."""
_TAB = 8
_EDGE = 4
"""Columns of a long line that are shown behind a hit, at least."""


class Passage:
    """The texts of one widget: one, or those of the cells of a table. Marks change none of its size."""

    def __init__(self, widget: Static | Cells) -> None:
        self.widget = widget
        self._texts: Sequence[Content] = ()
        """As they are without marks."""
        self._known: object = None
        """What the widget drew when its texts were read, or marked, last."""
        self._marked: object = None
        """What it drew when they were marked last."""

    @property
    def is_as_marked(self) -> bool:
        """Whether the widget still draws what it was given here."""
        return self._marked is not None and self._marked is self._now()

    @property
    def texts(self) -> Sequence[Content]:
        """The texts without marks, as they are now."""
        if self._known is None or self._known is not self._now():
            self._texts, self._known = self._read(), self._now()
        return self._texts

    def draw(self, texts: Sequence[Content]) -> None:
        """Draw the same texts with other marks."""
        match self.widget:
            case Cells():
                self.widget.dress(texts)
            case Paragraph():
                self.widget.dress(texts[0])
            case _ if texts:
                self.widget.update(texts[0], layout=False)
        self._known = self._marked = self._now()

    def line(self, number: int, offset: int, width: int) -> int:
        """The line of the widget, so many columns wide, that has a place in one of its texts."""
        if isinstance(self.widget, Cells):
            return self.widget.line_of(number)
        mark = self.widget.mark_width if isinstance(self.widget, Paragraph) else 0
        return line_of(self.texts[number].plain, offset, max(1, width - mark))

    def bring_column_into_view(self, number: int, offset: int) -> None:
        """Scroll code whose lines go on beyond the edge, so that a place in it can be seen."""
        block = self.widget.parent
        if isinstance(block, CodeBlock) and block.max_scroll_x > 0:
            column = cell_len(self.texts[number].plain[:offset].rpartition("\n")[2].expandtabs(_TAB))
            if not block.scroll_x <= column < block.scroll_x + block.size.width - _EDGE:
                block.scroll_to(x=column - block.size.width // 2, animate=False)

    def _read(self) -> Sequence[Content]:
        if isinstance(self.widget, Cells):
            return self.widget.texts
        text = self.widget._content if isinstance(self.widget, Paragraph) else self.widget.visual
        return (text,) if isinstance(text, Content) else ()

    def _now(self) -> object:
        return self.widget.rows if isinstance(self.widget, Cells) else self.widget.visual


def passage_of(widget: Widget) -> Passage | None:
    """The passage that a widget draws; None for one that draws something else."""
    match widget:
        case Cells():
            return Passage(widget)
        case Static() if not isinstance(widget, _BESIDE) and not widget.has_class("aside"):
            return Passage(widget)
    return None


def line_of(text: str, offset: int, width: int) -> int:
    """The line that has a place in a text, wrapped at a width."""
    above, newline, _ = text[:offset].rpartition("\n")
    start = len(above) + len(newline)
    line, _, _ = text[start:].partition("\n")
    column = len(line[: offset - start].expandtabs(_TAB))
    line, end = line.expandtabs(_TAB), 0
    number = Content(above).get_height({}, width) if newline else 0
    for part in Content(line).wrap(width):
        end = max(end, line.find(part.plain, end) + len(part))
        if column < end:
            break
        number += 1
    return number
