"""A table in Markdown, drawn by one widget: as many as it has cells would hold up the keys while it grows."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, repeat, zip_longest
from typing import ClassVar, Literal

from rich.cells import cell_len
from rich.segment import Segment
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Markdown
from textual.widgets._markdown import MarkdownBlock, MarkdownTable, MarkdownTR

MOST_OF_A_WORD = 20
"""Cells of the terminal that a column has for its longest word."""
Side = Literal["left", "center", "right"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a column of a row, and at which side."""

    text: Content
    side: Side = "left"

    def space_before(self, spare: int) -> int:
        """How much of the spare room of a line goes before it."""
        return {"left": 0, "center": spare // 2, "right": spare}[self.side]


_EMPTY = Cell(Content())


class Cells(Widget):
    """Rows in a frame, the first of which is the heading. What is selected has tabs between the cells."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"frame", "heading"}
    DEFAULT_CSS = """
    Cells {
        width: 1fr;
        height: auto;
        & > .frame { color: $foreground 20%; }
        & > .heading { color: $primary; text-style: bold; }
    }
    """

    def __init__(self, rows: Sequence[Sequence[Cell]]) -> None:
        super().__init__()
        self.rows: Sequence[Sequence[Cell]] = ()
        """What is shown; `show` changes it."""
        self._wrapped: list[list[list[Content]]] = []
        """The lines of each cell of each row, for the widths."""
        self._widths: list[int] = []
        self._tops: list[int] = []
        """The line at which each row begins, with that of the frame above it, and the last line of the frame."""
        self._room = 0
        self.show(rows)

    def show(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Put `rows` in place of what is shown."""
        self.rows = rows
        self._room = 0
        columns = list(zip_longest(*rows, fillvalue=_EMPTY))
        self._natural = [max(map(_longest_line, column)) for column in columns]
        self._least = [max(1, *map(_longest_word, column)) for column in columns]
        self.styles.min_width = _framed(self._least)
        self.refresh(layout=True)

    @property
    def texts(self) -> list[Content]:
        """What stands in the cells, row by row."""
        return [cell.text for row in self.rows for cell in row]

    def dress(self, texts: Sequence[Content]) -> None:
        """Draw the same cells with other colours."""
        dressed = iter(texts)
        self.rows = [[replace(cell, text=next(dressed)) for cell in row] for row in self.rows]
        self._room = 0
        self.refresh()

    def line_of(self, number: int) -> int:
        """The line at which the row begins that has a cell, counted row by row."""
        row = 0
        while row < len(self.rows) - 1 and number >= len(self.rows[row]):
            number -= len(self.rows[row])
            row += 1
        return self._tops[row] + 1 if row < len(self._tops) else 0

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """All rows, with a line of the frame above each and one below."""
        self._fit(width)
        return self._tops[-1] + 1

    def render_line(self, y: int) -> Strip:
        """One line, as wide as the widget."""
        self._fit(self.size.width)
        style = self.visual_style
        if y > self._tops[-1]:
            return Strip.blank(self.size.width, style.rich_style)
        number = bisect_right(self._tops, y) - 1
        within = y - self._tops[number]
        segments = self._frame(number) if within == 0 else self._line(number, within - 1, style)
        return Strip(segments).extend_cell_length(self.size.width, style.rich_style)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The rows, each on a line."""
        return selection.extract("\n".join("\t".join(cell.text.plain for cell in row) for row in self.rows)), "\n"

    def action_link(self, href: str) -> None:
        """A click on a link in a cell."""
        markdown = self.query_ancestor(Markdown)
        markdown.post_message(Markdown.LinkClicked(markdown, href))

    def _fit(self, width: int) -> None:
        """Find out how wide the columns are in that room, and wrap the cells."""
        if width == self._room:
            return
        self._room = width
        self._widths = _widths(self._natural, self._least, width)
        self._wrapped = [
            [cell.text.wrap(room) or [Content()] for cell, room in zip(row, self._widths, strict=False)]
            for row in self.rows
        ]
        self._tops = [0, *accumulate(1 + max(map(len, cells), default=1) for cells in self._wrapped)]

    def _frame(self, number: int) -> list[Segment]:
        """The line of the frame above a row, or below the last one."""
        left, cross, right = "┌┬┐" if number == 0 else "└┴┘" if number == len(self.rows) else "├┼┤"
        line = cross.join("─" * (width + 2) for width in self._widths)
        return [Segment(f"{left}{line}{right}", self.get_component_rich_style("frame"))]

    def _line(self, number: int, within: int, style: Style) -> Iterator[Segment]:
        """One line of the text of a row, between the lines of the frame."""
        frame = self.get_component_rich_style("frame")
        text = style + self.get_visual_style("heading", partial=True) if number == 0 else style
        span = self.text_selection.get_span(number) if self.text_selection is not None else None
        selected = self.screen.get_visual_style("screen--selection", partial=True)
        start = 0
        for column, width in enumerate(self._widths):
            yield Segment("│ ", frame)
            there = column < len(self.rows[number])
            cell, lines = (self.rows[number][column], self._wrapped[number][column]) if there else (_EMPTY, [])
            line = lines[within] if within < len(lines) else Content()
            at = start + _begin(cell.text.plain, lines, within)
            if span is not None:
                first, end = span
                line = line.stylize(selected, max(0, first - at), len(line) if end == -1 else max(0, end - at))
            before = cell.space_before(width - line.cell_length)
            yield from _blank(before, style, at, number)
            for said, look in line.render(text, end="", parse_style=self._get_style):
                yield Segment(said, (text + look).rich_style_with_offset(at, number))
                at += len(said)
            yield from _blank(width - line.cell_length - before + 1, style, max(start, at - 1), number)
            start += len(cell.text) + 1
        yield Segment("│", frame)


class Table(MarkdownTable):
    """A table that scrolls sideways rather than squeeze its words."""

    def compose(self) -> ComposeResult:
        """All cells in one."""
        yield Cells(list(_rows_of(self)))
        self._blocks.clear()

    @property
    def allow_horizontal_scroll(self) -> bool:
        """Where it is wider than the message."""
        return True

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        """Show the rows that have come."""
        if isinstance(block, Table) and self.children:
            self.query_one(Cells).show(list(_rows_of(block)))
            self._copy_context(block)
        else:
            await super()._update_from_block(block)


def _blank(cells: int, style: Style, x: int, y: int) -> Iterator[Segment]:
    """Empty cells that stand for a place in the text, for the mouse to select up to."""
    return repeat(Segment(" ", style.rich_style_with_offset(x, y)), cells)


def _rows_of(block: MarkdownBlock) -> Iterator[list[Cell]]:
    """The rows in a block that is not mounted yet."""
    for child in block._blocks:
        if isinstance(child, MarkdownTR) and child._blocks:
            yield [Cell(each._content, _side(each)) for each in child._blocks]
        else:
            yield from _rows_of(child)


def _side(cell: MarkdownBlock) -> Side:
    """At which side of its column a cell stands."""
    match str(cell._token.attrs.get("style", "")).rpartition(":")[2]:
        case "right":
            return "right"
        case "center":
            return "center"
    return "left"


def _widths(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """How wide each column is: as its longest line, or where there is no room for that, a share of the room."""
    spare = room - _framed(least)
    wanted = [most - few for most, few in zip(natural, least, strict=True)]
    if sum(wanted) <= spare:
        return list(natural)
    return [few + max(0, spare) * want // sum(wanted) for few, want in zip(least, wanted, strict=True)]


def _framed(widths: Sequence[int]) -> int:
    """The width of the table, with the lines and spaces between its columns."""
    return sum(widths) + 3 * len(widths) + 1


def _begin(text: str, lines: Sequence[Content], number: int) -> int:
    """Where in the text of a cell one of its lines begins."""
    at = 0
    for line in lines[:number]:
        at = max(at, text.find(line.plain, at)) + len(line)
    return max(at, text.find(lines[number].plain, at)) if number < len(lines) else at


def _longest_line(cell: Cell) -> int:
    return max(1, *(line.cell_length for line in cell.text.split("\n", allow_blank=True)))


def _longest_word(cell: Cell) -> int:
    """In cells of the terminal; longer ones than MOST_OF_A_WORD are folded."""
    return min(max(map(cell_len, cell.text.plain.split()), default=1), MOST_OF_A_WORD)
