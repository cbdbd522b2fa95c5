"""A reply token by token, each in the shade of how sure the model was; only the lines in view are drawn."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from qwenchat.chat.events import ScoredToken
from qwenchat.chat.text import safe

SHADES = ((0.9, "sure"), (0.6, "likely"), (0.3, "open"), (0.1, "doubtful"), (0.0, "unlikely"))
"""From which probability on a token has which shade."""
DOUBTFUL = 0.5
"""A token that is less likely is one to stop at."""
_PART = "·"
"""Stands for a token that shows nothing, such as a part of a character."""


def shade_of(probability: float) -> str:
    """The shade of a probability."""
    return next(name for least, name in SHADES if probability >= least or not least)


@dataclass(slots=True)
class _Line:
    """A line of the screen: tokens, or parts of them, from the left on."""

    numbers: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    width: int = 0

    def add(self, number: int, text: str) -> None:
        self.numbers.append(number)
        self.texts.append(text)
        self.starts.append(self.width)
        self.width += cell_len(text)


class TokenView(ScrollView, can_focus=True):
    """The text of a reply with a cursor that goes from token to token."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "token--text", "token--control", "token--cursor", *(f"token--{name}" for _, name in SHADES)
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "The token before", show=False, id="lens.before"),
        Binding("right", "move(1)", "The next token", show=False, id="lens.next"),
        Binding("up", "line(-1)", "The line above", show=False, id="lens.above"),
        Binding("down", "line(1)", "The line below", show=False, id="lens.below"),
        Binding("n", "doubt(1)", "The next doubtful token", show=False, id="lens.next_doubt"),
        Binding("p", "doubt(-1)", "The doubtful token before", show=False, id="lens.doubt_before"),
        Binding("pageup", "page(-1)", "A page up", show=False, id="lens.page_up"),
        Binding("pagedown", "page(1)", "A page down", show=False, id="lens.page_down"),
        Binding("home", "first", "The first token", show=False, id="lens.first"),
        Binding("end", "last", "The last token", show=False, id="lens.last"),
    ]

    cursor: reactive[int] = reactive(0)
    """The number of the token that is looked at."""

    class Moved(Message):
        """Another token is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens: list[ScoredToken] = []
        self._lines: list[_Line] = [_Line()]
        self._line_of: list[int] = []
        """The line in which each token begins."""
        self._laid_out = 0
        self._width = 0

    @property
    def token(self) -> ScoredToken | None:
        """The token that is looked at; None as long as there is none."""
        return self._tokens[self.cursor] if self.cursor < len(self._tokens) else None

    @property
    def tokens(self) -> Sequence[ScoredToken]:
        """All tokens there are so far."""
        return self._tokens

    def add(self, tokens: Iterable[ScoredToken]) -> None:
        """Show more tokens after those that are there."""
        first = not self._tokens
        self._tokens += tokens
        self._lay_out()
        if first and self._tokens:
            self.post_message(self.Moved())

    def clear(self) -> None:
        """Show nothing, until there are tokens again."""
        self._tokens.clear()
        self.cursor = 0
        self._begin_anew()

    def render_line(self, y: int) -> Strip:
        """One line of tokens."""
        width = self.scrollable_content_region.width
        at = y + self.scroll_offset.y
        usual = self.get_visual_style("token--text").rich_style
        if at >= len(self._lines) or not self._tokens:
            return Strip.blank(width, usual)
        line = self._lines[at]
        segments = [
            Segment(text, self.get_visual_style(*self._styles(number)).rich_style)
            for number, text in zip(line.numbers, line.texts, strict=True)
        ]
        return Strip(segments, line.width).adjust_cell_length(width, usual)

    def _styles(self, number: int) -> tuple[str, ...]:
        token = self._tokens[number]
        control = ("token--control",) if token.control else ()
        cursor = ("token--cursor",) if number == self.cursor else ()
        return ("token--text", *control, f"token--{shade_of(token.chosen.probability)}", *cursor)

    # Moving

    def action_move(self, by: int) -> None:
        """To the token before or after."""
        self._go_to(self.cursor + by)

    def action_line(self, by: int) -> None:
        """To the token above or below."""
        if not self._tokens:
            return
        at = self._line_of[self.cursor]
        column = self._lines[at].starts[self._lines[at].numbers.index(self.cursor)]
        at += by
        while 0 <= at < len(self._lines):
            if here := [number for number in self._lines[at].numbers if self._line_of[number] == at]:
                beside = self._lines[at].numbers[self._piece_at(at, column)]
                self._go_to(min(max(beside, here[0]), here[-1]))
                return
            at += by

    def action_page(self, by: int) -> None:
        """To the token a page up or down."""
        for _ in range(max(1, self.scrollable_content_region.height - 1)):
            self.action_line(by)

    def action_doubt(self, by: int) -> None:
        """To the next doubtful token, or the one before."""
        at = self.cursor + by
        while 0 <= at < len(self._tokens):
            if self._tokens[at].chosen.probability < DOUBTFUL:
                self._go_to(at)
                return
            at += by
        self.app.bell()

    def action_first(self) -> None:
        """To the first token."""
        self._go_to(0)

    def action_last(self) -> None:
        """To the last token."""
        self._go_to(len(self._tokens) - 1)

    def on_click(self, event: Click) -> None:
        """Look at the token below the mouse."""
        at = event.get_content_offset(self)
        if at is None:
            return
        number = at.y + self.scroll_offset.y
        if number < len(self._lines) and self._lines[number].numbers:
            self._go_to(self._lines[number].numbers[self._piece_at(number, at.x)])

    def on_resize(self, event: Resize) -> None:
        """The lines are as wide as the view, and the cursor stays in view."""
        if self._width != self.scrollable_content_region.width:
            self._begin_anew()
        self._show_cursor()

    def watch_cursor(self) -> None:
        """Keep the cursor in view."""
        self._show_cursor()
        self.post_message(self.Moved())

    def _go_to(self, number: int) -> None:
        if self._tokens:
            self.cursor = min(max(0, number), len(self._tokens) - 1)

    def _show_cursor(self) -> None:
        if self.cursor < len(self._line_of):
            line = self._line_of[self.cursor]
            self.scroll_to_region(Region(0, line, 1, 1), animate=False, force=True, immediate=True)

    def _piece_at(self, line: int, column: int) -> int:
        return max(0, bisect_right(self._lines[line].starts, column) - 1)

    # Laying out

    def _begin_anew(self) -> None:
        self._laid_out, self._lines, self._line_of = 0, [_Line()], []
        self._lay_out()

    def _lay_out(self) -> None:
        """Put the tokens that came since the last time into lines."""
        self._width = width = self.scrollable_content_region.width
        if width <= 0:
            return
        for number in range(self._laid_out, len(self._tokens)):
            self._put(number, _shown(self._tokens[number]), width)
        self._laid_out = len(self._tokens)
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()

    def _put(self, number: int, text: str, width: int) -> None:
        """Append one token: on a new line, but for its blank, if it does not fit."""
        pieces = text.split("\n")
        if self._lines[-1].width and self._lines[-1].width + cell_len(pieces[0]) > width:
            if pieces[0][0] == " " != pieces[0] and self._lines[-1].width < width:
                self._lines[-1].add(number, " ")
                self._lines.append(_Line())
                pieces[0] = pieces[0][1:]
            else:
                self._break(pieces[0])
        for at, piece in enumerate(pieces):
            if at:
                self._lines.append(_Line())
            for part in chop_cells(piece, max(2, width)) if cell_len(piece) > width else [piece]:
                if self._lines[-1].width + cell_len(part) > width and self._lines[-1].width:
                    self._lines.append(_Line())
                if part:
                    self._lines[-1].add(number, part)
                if number == len(self._line_of):
                    self._line_of.append(len(self._lines) - 1)

    def _break(self, text: str) -> None:
        """Begin a line, and take along the word of which the next token is a part, unless that fills half a line."""
        line, fresh = self._lines[-1], _Line()
        at = len(line.texts)
        if not text[:1].isspace():
            while at > 1 and not line.texts[at - 1][:1].isspace() and line.numbers[at - 1] != line.numbers[at - 2]:
                at -= 1
            whole = at > 1 and line.texts[at - 1][:1].isspace() and line.width - line.starts[at - 1] < self._width // 2
            at = at - 1 if whole else len(line.texts)
        for moved, piece in zip(line.numbers[at:], line.texts[at:], strict=True):
            self._line_of[moved] = len(self._lines)
            fresh.add(moved, piece)
        line.width = line.starts[at] if at < len(line.starts) else line.width
        del line.numbers[at:], line.texts[at:], line.starts[at:]
        self._lines.append(fresh)


def _shown(token: ScoredToken) -> str:
    """A token as it stands in the text: line breaks and tabs visible, never nothing."""
    text = safe(token.text).replace("\t", "⇥   ").replace("\n", "↵\n")
    return text if cell_len(text.replace("\n", "")) else _PART
