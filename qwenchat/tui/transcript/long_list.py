"""A list of any length: what is not in view costs nothing."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, Protocol

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click, Leave, MouseMove, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual


class ListRow(Protocol):
    """Something of one or more lines in the list."""

    @property
    def key(self) -> str | None:
        """What tells it from the others; None for a heading, which cannot be chosen."""

    @property
    def height(self) -> int:
        """How many lines it takes."""

    def line(self, number: int, width: int) -> Content:
        """One of its lines; what is wider is cut."""


@dataclass(frozen=True, slots=True)
class ListHeading:
    """The name of a group of rows, with an empty line above it unless it is the first."""

    text: str
    first: bool = False

    @property
    def key(self) -> None:
        """It cannot be chosen."""
        return

    @property
    def height(self) -> int:
        """One or two lines."""
        return 1 if self.first else 2

    def line(self, number: int, width: int) -> Content:
        """The name in the last line."""
        return Content.styled(self.text, "$primary") if number == self.height - 1 else Content()


class LongList(ScrollView, can_focus=True):
    """Rows, of which one is highlighted; Enter or a click chooses one.

    Where choosing does more than can be undone by choosing again, the first click highlights and the second chooses.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"list--row", "list--highlighted", "list--hover"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False, id="list.up"),
        Binding("down", "move(1)", "Down", show=False, id="list.down"),
        Binding("pageup", "page(-1)", "A page up", show=False, id="list.page_up"),
        Binding("pagedown", "page(1)", "A page down", show=False, id="list.page_down"),
        Binding("home", "first", "To the first", show=False, id="list.first"),
        Binding("end", "last", "To the last", show=False, id="list.last"),
        Binding("enter", "choose", "Open", show=False, id="list.choose"),
    ]

    highlighted: reactive[int | None] = reactive(None)
    """The number of the highlighted row."""
    _hovered: reactive[int | None] = reactive(None)

    class Selected(Message):
        """A row was chosen."""

        def __init__(self, long_list: "LongList", key: str) -> None:
            super().__init__()
            self.long_list = long_list
            self.key = key

        @property
        def control(self) -> "LongList":
            """The list it stands in."""
            return self.long_list

    def __init__(self, id: str | None = None, *, clicks: int = 1) -> None:
        super().__init__(id=id)
        self._clicks = clicks
        self._rows: Sequence[ListRow] = ()
        self._empty = Content()
        self._tops: list[int] = [0]
        """The line at which each row begins, and the one after the last."""

    @property
    def rows(self) -> Sequence[ListRow]:
        """All rows, also those out of view."""
        return self._rows

    @property
    def highlighted_row(self) -> ListRow | None:
        """The highlighted row; None when there is none."""
        return None if self.highlighted is None else self._rows[self.highlighted]

    def show(self, rows: Sequence[ListRow], highlighted: int | None = None, empty: str = "") -> None:
        """Put `rows` in place of what is listed, or the words `empty` where there are none.

        The highlight goes to that row or the next that can be chosen.
        """
        before = self._place()
        self.set_reactive(LongList.highlighted, None)
        self._rows = rows
        self._empty = Content.styled(empty, "$quiet")
        self._tops = [0, *accumulate(row.height for row in rows)]
        self._hovered = None
        self._measure()
        at = None if highlighted is None else self._nearest(highlighted)
        self.set_reactive(LongList.highlighted, at)
        if self._place() != before:
            self.watch_highlighted(at)
        self.refresh()

    def _place(self) -> tuple[str | None, int] | None:
        """What is highlighted, and where it stands; as long as that is so, nothing need scroll."""
        return None if self.highlighted is None else (self._rows[self.highlighted].key, self._tops[self.highlighted])

    def index_of(self, key: str | None) -> int | None:
        """The number of the row with that key."""
        return next((at for at, row in enumerate(self._rows) if row.key == key), None) if key is not None else None

    def top_of(self, number: int) -> int:
        """The line of the widget where a row begins; negative or beyond its height when it is out of view."""
        return self._tops[number] - self.scroll_offset.y

    def render_line(self, y: int) -> Strip:
        """One line of the row that is there."""
        width = self.scrollable_content_region.width
        line = y + self.scroll_offset.y
        styles = ["list--row"]
        if line >= self._tops[-1]:
            return self._strip(Content() if self._rows or y else self._empty, width, styles)
        number = self._row_at(line)
        if number == self.highlighted:
            styles.append("list--highlighted")
        elif number == self._hovered:
            styles.append("list--hover")
        inside = max(1, width - self.get_component_styles("list--row").padding.width)
        return self._strip(self._rows[number].line(line - self._tops[number], inside), width, styles)

    def _strip(self, content: Content, width: int, styles: Sequence[str]) -> Strip:
        style = self.get_visual_style(*styles)
        padding = self.get_component_styles("list--row").padding
        if not content or width <= padding.width:
            return Strip.blank(width, style.rich_style)
        strips = Visual.to_strips(self, content.pad_left(padding.left), width - padding.right, 1, style)
        return strips[0].extend_cell_length(width, style.rich_style)

    def action_move(self, step: int) -> None:
        """To the next row that can be chosen, up or down."""
        at = self._nearest(0) if self.highlighted is None else self._next(self.highlighted + step, step)
        if at is not None:
            self.highlighted = at

    def action_page(self, step: int) -> None:
        """A page up or down."""
        if self.highlighted is None:
            self.action_first()
            return
        line = self._tops[self.highlighted] + step * max(1, self.scrollable_content_region.height - 1)
        at = self._row_at(min(max(0, line), self._tops[-1] - 1))
        self.highlighted = self._nearest(at if at != self.highlighted else at + step, step)

    def action_first(self) -> None:
        """To the first."""
        self.highlighted = self._nearest(0)

    def action_last(self) -> None:
        """To the last."""
        self.highlighted = self._nearest(len(self._rows) - 1, -1)

    def action_choose(self) -> None:
        """Choose the highlighted row."""
        if (row := self.highlighted_row) and row.key is not None:
            self.post_message(self.Selected(self, row.key))

    def watch_highlighted(self, number: int | None) -> None:
        """Keep the highlight in view, with the heading above the first row of a group."""
        if number is None or not self.scrollable_content_region:
            return  # it has no place on the screen yet, so there is nothing to scroll away from
        above = number > 0 and self._rows[number - 1].key is None
        top = self._tops[number - 1 if above else number]
        region = Region(0, top, self.scrollable_content_region.width, self._tops[number + 1] - top)
        self.scroll_to_region(region, animate=False, force=True, immediate=True)

    def on_resize(self, event: Resize) -> None:
        """The lines are as wide as the list, and what was highlighted stays in view."""
        self._measure()
        self.watch_highlighted(self.highlighted)

    def on_click(self, event: Click) -> None:
        """Choose what is below the mouse."""
        number = self._under(event)
        if number is not None:
            choose = self._clicks == 1 or number == self.highlighted
            self.highlighted = number
            if choose:
                self.action_choose()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Show what a click would choose."""
        self._hovered = self._under(event)

    def on_leave(self, event: Leave) -> None:
        """Nothing would be chosen any more."""
        self._hovered = None

    def _measure(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, self._tops[-1])

    def _row_at(self, line: int) -> int:
        return bisect_right(self._tops, line) - 1

    def _under(self, event: Click | MouseMove) -> int | None:
        at = event.get_content_offset(self)
        line = at.y + self.scroll_offset.y if at is not None else math.inf
        if line >= self._tops[-1]:
            return None
        number = self._row_at(int(line))
        return number if self._rows[number].key is not None else None

    def _next(self, at: int, step: int) -> int | None:
        """The first row from `at` on, in steps, that can be chosen."""
        while 0 <= at < len(self._rows):
            if self._rows[at].key is not None:
                return at
            at += step
        return None

    def _nearest(self, at: int, step: int = 1) -> int | None:
        """The row at `at` or, when that is a heading or gone, the nearest one that can be chosen."""
        at = min(max(0, at), len(self._rows) - 1)
        found = self._next(at, step)
        return found if found is not None else self._next(at, -step)
