"""Search in every word of every conversation, or of the open one, as one types."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, Static

from qwenchat.chat.errors import LibraryError
from qwenchat.chat.messages import Role
from qwenchat.chat.text import safe, safe_line
from qwenchat.i18n.texts import count, later, say
from qwenchat.library.library import ExcerptPart, Hit, Library, Summary
from qwenchat.library.search import TITLE
from qwenchat.tui.keys.bindings import fitting, key_shown
from qwenchat.tui.text.dates import moment
from qwenchat.tui.transcript.long_list import ListRow, LongList
from qwenchat.tui.widgets.line import LineField

PAUSE_S = 0.08
"""How long one must not type until what is typed is searched."""
LOOK_AGAIN_S = 0.5
"""Between two looks at whether the index is complete."""
SHOWN = 50
"""How many hits are listed."""
_WHO: dict[str, str] = {
    TITLE: later("Title"),
    Role.USER: later("You"), Role.ASSISTANT: later("Model"), Role.SYSTEM: later("System"), Role.TOOL: later("Tool"),
}  # fmt: skip

GAP = " · "


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The conversation to open, at a message of it or at its end."""

    conversation: str
    message: str | None
    words: str = ""
    """What was searched for."""
    thoughts: bool = False
    """Whether in thoughts too."""


@dataclass(frozen=True, slots=True)
class HitRow:
    """A message in which the words were found: its conversation and date, then the words between others."""

    hit: Hit
    now: float
    chosen: SearchResult
    """What it stands for."""
    here: bool = False
    """Whether it is of the conversation that is searched alone, which need not be named."""

    @property
    def key(self) -> str:
        """The message's id."""
        return self.hit.message

    @property
    def height(self) -> int:
        """Two lines, or the words alone."""
        return 1 if self.here else 2

    def line(self, number: int, width: int) -> Content:
        """The conversation, or the excerpt."""
        if number == 0 and not self.here:
            return _first_line(self.hit.title, moment(self.hit.created, self.now), width)
        who = f"{'' if self.here else '  '}{say(_WHO.get(self.hit.role, later('Message')))}: "
        return Content.assemble((who, "$quiet"), excerpt(self.hit.excerpt, width - len(who)))


@dataclass(frozen=True, slots=True)
class RecentRow:
    """A conversation, listed while nothing is searched."""

    summary: Summary
    now: float

    @property
    def key(self) -> str:
        """The conversation's id."""
        return self.summary.id

    @property
    def height(self) -> int:
        """One line."""
        return 1

    @property
    def chosen(self) -> SearchResult:
        """What it stands for."""
        return SearchResult(self.summary.id, None)

    def line(self, number: int, width: int) -> Content:
        """Its title and date."""
        return _first_line(self.summary.title, moment(self.summary.updated, self.now), width)


def _first_line(title: str, date: str, width: int) -> Content:
    """A title, and a date at the right."""
    name = Content.styled(safe_line(title) or say("Untitled"), "bold")
    room = max(0, width - cell_len(date) - 2)
    return Content.assemble(name.truncate(room, ellipsis=True, pad=True), "  ", (date, "$quiet"))


def excerpt(pieces: Sequence[ExcerptPart], width: int) -> Content:
    """An excerpt on one line, its hits marked; cut at the left where the first hit would be out of view."""
    parts = [(re.sub(r"\s+", " ", safe(piece.text)), "bold $accent" if piece.hit else "") for piece in pieces]
    content = Content.assemble(*parts)
    first = next((span for span in content.spans if span.style), None)
    if first is None:
        return content
    before = content[: first.start]
    room = max(width // 3, width - content[first.start :].cell_length)
    if before.cell_length <= room:
        return content
    kept = len(before)
    while kept and before[len(before) - kept :].cell_length >= room:
        kept -= 1
    return Content.assemble(("…", "$quiet"), before[len(before) - kept :], content[first.start :])


class SearchScreen(ModalScreen[SearchResult | None]):
    """A field and what was found, over the chat; gives back what was chosen, or None when it was left."""

    CSS_PATH = "search.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open the conversation at the hit", show=False, id="search.choose"),
        Binding("up", "move(-1)", "To the hit above", show=False, id="search.above"),
        Binding("down", "move(1)", "To the hit below", show=False, id="search.below"),
        Binding("pageup", "page(-1)", "A page up", show=False, id="search.page_up"),
        Binding("pagedown", "page(1)", "A page down", show=False, id="search.page_down"),
        Binding("alt+t", "thoughts", "Search in thoughts too, or no more", show=False, id="search.thoughts"),
        Binding("f8", "here", "Search in this conversation alone, or in all", show=False, id="search.here"),
        Binding("escape", "dismiss", "Back, with nothing changed", show=False, id="search.leave"),
        Binding("ctrl+f", "dismiss", show=False, priority=True, id="search.leave"),
    ]

    def __init__(self, library: Library, words: str = "", here: str | None = None, *, here_only: bool = False) -> None:
        """`words` are typed already; `here` is the open conversation."""
        super().__init__()
        self._library = library
        self._here = here
        self._here_only = here_only
        self._field = LineField("", id="words")
        self._field.value = words
        self._hits = LongList()
        self._thoughts = False
        self._due: Timer | None = None
        self._shown: tuple[str, bool, bool] | None = None
        self._indexing = library.indexing
        self._found_last = words, 0
        """What was searched for last, and how many hits there were."""

    def compose(self) -> ComposeResult:
        """The field, the hits, and how many they are."""
        with Vertical(id="panel"):
            yield self._field
            yield self._hits
            yield Static(id="about")

    def on_mount(self) -> None:
        """The recent conversations, until something is typed."""
        self._field.focus()
        self._name_field()
        self._search()
        if self._indexing:
            self.set_interval(LOOK_AGAIN_S, self._look_again)

    def action_move(self, step: int) -> None:
        """Up or down in the hits."""
        self._hits.action_move(step)

    def action_page(self, step: int) -> None:
        """A page up or down in the hits."""
        self._hits.action_page(step)

    def action_choose(self) -> None:
        """Open what is highlighted."""
        self._hits.action_choose()

    def action_thoughts(self) -> None:
        """Search in thoughts too, or in what was said alone."""
        self._thoughts = not self._thoughts
        self._search()

    def action_here(self) -> None:
        """Search in the open conversation alone, or in all."""
        if self._here is not None:
            self._here_only = not self._here_only
            self._name_field()
            self._search()

    def _name_field(self) -> None:
        everywhere = say("Search every word of every conversation")
        self._field.placeholder = say("Find in this conversation") if self._here_only else everywhere

    @on(Input.Changed)
    def _typed(self) -> None:
        if self._due is not None:
            self._due.stop()
        self._due = self.set_timer(PAUSE_S, self._search)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        """Enter means what is typed, also before it was searched."""
        self._search()
        self._hits.action_choose()

    @on(LongList.Selected)
    def _choose(self) -> None:
        row = self._hits.highlighted_row
        if isinstance(row, HitRow | RecentRow):
            self.dismiss(row.chosen)

    def _look_again(self) -> None:
        """Search once more when everything is in the index."""
        if self._indexing and not self._library.indexing:
            self._indexing = False
            self._shown = None
            self._search()

    def _search(self) -> None:
        """Put what is found now in place of what was found before."""
        words = self._field.value.strip()
        if self._shown == (words, self._thoughts, self._here_only):
            return
        self._shown = words, self._thoughts, self._here_only
        try:
            rows = self._found(words)
        except LibraryError as error:
            self._hits.show(())
            self.query_one("#about", Static).update(Content(safe_line(str(error), 1000)))
            return
        self._hits.show(rows, 0)
        self._found_last = words, len(rows)
        self._say_about()

    def on_resize(self) -> None:
        """Say as much of the keys as there is room for now."""
        self.call_after_refresh(self._say_about)

    def _say_about(self) -> None:
        self.query_one("#about", Static).update(self._about(*self._found_last))

    def _found(self, words: str) -> list[ListRow]:
        now = time.time()
        if not words and self._here_only:
            return []
        if not words:
            return [RecentRow(summary, now) for summary in self._library.conversations(limit=SHOWN)]
        here = self._here if self._here_only else None
        hits = self._library.search(words, thoughts=self._thoughts, limit=SHOWN, conversation=here)
        return [
            HitRow(hit, now, SearchResult(hit.conversation, hit.message, words, self._thoughts), self._here_only)
            for hit in hits
        ]

    def _about(self, words: str, found: int) -> Content:
        if not words and self._here_only:
            said = say("In this conversation")
        elif not words:
            said = say("Recent conversations") if found else say("Nothing saved yet")
        elif found < SHOWN:
            said = count("{number} hit", "{number} hits", found) if found else say("Nothing found")
        else:
            said = say("The {number} best hits", number=SHOWN)
        if words and self._indexing:
            said += say(", older messages are still being indexed")
        thoughts = say("Alt+T thoughts on") if self._thoughts else say("Alt+T thoughts off")
        hints = [thoughts, say("Enter opens"), say("Esc leaves")]
        if self._here is not None:
            key = key_shown(self, "search.here", "f8")
            where = say("{key} in all", key=key) if self._here_only else say("{key} in this one alone", key=key)
            hints.insert(0, where)
        room = self.query_one("#about").size.width - cell_len(said) - len(GAP)
        return Content.assemble(said, (GAP + fitting(hints, room, GAP)[0], "$quiet"))
