"""Keys and commands with what they do, as one widget: one for each cell took most of a second to open."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar

from rich.segment import Segment
from textual.content import Content
from textual.geometry import Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from qwenchat.i18n.texts import say

MIDDLE, WIDE = 90, 124
"""From these widths on there is room for names, and for long keys on one line."""
GAP = 2
"""Cells between the columns."""
NAME = 22
COLUMNS = "keys--keys", "keys--description", "keys--name"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """Keys or a command, and what they do."""

    keys: str
    description: str
    name: str = ""
    """What config.toml calls the action."""


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """What belongs together, with a title."""

    title: str
    entries: Sequence[KeyEntry]


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the table: in each column a part of an entry, or the title of a group in the first."""

    cells: tuple[str, ...] = ()
    styles: tuple[str, ...] = COLUMNS

    @property
    def searched(self) -> bool:
        """Whether it can have what was searched for."""
        return self.styles is COLUMNS


class KeyTable(Widget):
    """Groups of entries in columns; those with certain words, or all."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--title", *COLUMNS, "keys--found", "keys--none"}
    DEFAULT_CSS = """
    KeyTable {
        height: auto;
        & > .keys--title { text-style: bold; }
        & > .keys--keys { color: $primary; }
        & > .keys--description { color: $foreground 85%; }
        & > .keys--name, & > .keys--none { color: $quiet; }
        & > .keys--found { color: $accent; text-style: bold; }
    }
    """

    def __init__(self, groups: Iterable[KeyGroup]) -> None:
        super().__init__()
        self._groups = tuple(groups)
        self._words: tuple[str, ...] = ()
        self._columns: tuple[int, ...] = ()
        self._lines: list[_Line] = []
        self._room = 0

    def find(self, words: str) -> None:
        """Show the entries that have each of `words`, in part too, in a key, the description or the name."""
        self._words = tuple(words.split())
        self._room = 0
        self.screen.clear_selection()
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """All lines."""
        self._fit(width)
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        """One line, with what was searched for marked."""
        width = self.size.width
        self._fit(width)
        style = self.visual_style
        if y >= len(self._lines):
            return Strip.blank(width, style.rich_style)
        line = self._content(self._lines[y])
        span = self.text_selection.get_span(y) if self.text_selection is not None else None
        if span is not None:
            start, end = span
            selected = self.screen.get_visual_style("screen--selection", partial=True)
            line = line.stylize(selected, start, len(line) if end == -1 else end)
        segments = [Segment(text, look.rich_style) for text, look in line.render(style, end="")]
        return Strip(segments).adjust_cell_length(width, style.rich_style).apply_offsets(0, y)

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        """Lines as they are shown."""
        lines = selection.extract("\n".join(self._content(line).plain for line in self._lines)).split("\n")
        return "\n".join(line.rstrip() for line in lines), "\n"

    def _fit(self, width: int) -> None:
        """Put what is to be seen into lines of that width."""
        if width == self._room:
            return
        self._room = width
        self._columns = _columns(width)
        self._lines = [line for group in self._groups for line in self._lines_of(group)]
        if not self._lines:
            self._lines = [_Line(), _Line((say("Nothing found"),), ("keys--none",))]

    def _lines_of(self, group: KeyGroup) -> Iterator[_Line]:
        """The title below an empty line, and the entries; nothing where there are none."""
        if entries := [entry for entry in group.entries if self._shows(entry)]:
            yield _Line()
            yield _Line((group.title,), ("keys--title",))
        for entry in entries:
            cells = zip(self._columns, (entry.keys, entry.description, entry.name), strict=False)
            for parts in zip_longest(*(_wrapped(text, width - GAP) for width, text in cells), fillvalue=""):
                yield _Line(parts)

    def _shows(self, entry: KeyEntry) -> bool:
        said = f"{entry.keys}\n{entry.description}\n{entry.name}"
        return all(re.search(re.escape(word), said, re.IGNORECASE) for word in self._words)

    def _content(self, line: _Line) -> Content:
        cells = (
            _padded(Content.styled(text, self.get_visual_style(style, partial=True)), width)
            for text, style, width in zip(line.cells, line.styles, self._columns, strict=False)
        )
        content = Content.assemble(*cells)
        found = self.get_visual_style("keys--found", partial=True)
        for word in self._words if line.searched else ():
            content = content.highlight_regex(re.compile(re.escape(word), re.IGNORECASE), style=found)
        return content


def _columns(width: int) -> tuple[int, ...]:
    """The widths of keys, descriptions and, where there is room, names, each with the gap after it."""
    if width < MIDDLE:
        keys = min(24, width * 45 // 100)
        return keys, max(1, width - keys)
    keys = 34 if width >= WIDE else 26
    return keys, width - keys - NAME, NAME


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a text, each at most so many cells wide."""
    content = Content(text)
    if content.cell_length <= width:
        return [text]
    return [line.plain for line in content.wrap(max(2, width))]


def _padded(content: Content, width: int) -> Content:
    return content.pad_right(max(0, width - content.cell_length))
