"""Who is to answer side by side: a list to tick."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from qwenchat.chat.commands import LoadModel
from qwenchat.paths import Paths
from qwenchat.session import Session
from qwenchat.texts import say
from qwenchat.tui.rivals import Rivals, place_of, title_of
from qwenchat.tui.widgets.long_list import LongList

NAME_WIDTH = 36


@dataclass(frozen=True, slots=True)
class _RivalRow:
    """A model or a server, with a tick before one that is to answer."""

    number: int
    title: str
    place: str
    ticked: bool

    @property
    def key(self) -> str:
        """Its place in the list."""
        return str(self.number)

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """Its name, and where it runs."""
        mark = Content.styled("✓ " if self.ticked else "  ", "$primary")
        name = Content.styled(self.title, "bold").truncate(min(NAME_WIDTH, width - 2), ellipsis=True, pad=True)
        return Content.assemble(mark, name, " ", (self.place, "$quiet"))


class RivalsScreen(ModalScreen[tuple[LoadModel, ...] | None]):
    """Models and servers over the chat; gives back those that are ticked, or None when it was left."""

    CSS_PATH = "rivals.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "To the one above", id="rivals.up", show=False),
        Binding("down", "move(1)", "To the one below", id="rivals.down", show=False),
        Binding("space", "tick", "Let it answer, or not", id="rivals.tick", show=False),
        Binding("enter", "begin", "Compare those that are ticked", id="rivals.begin", show=False),
        Binding("escape,f7", "dismiss", "Back, with nothing asked", id="rivals.leave", show=False),
    ]

    def __init__(self, session: Session, rivals: Rivals, ticked: Sequence[LoadModel], paths: Paths) -> None:
        """`ticked` are at first; without any, the model that is loaded."""
        super().__init__()
        self._session = session
        self._rivals = rivals
        self._paths = paths
        self._list = LongList()
        self._list.can_focus = False
        current = session.load_command
        self._ticked = list(dict.fromkeys(ticked)) or ([current] if current is not None else [])
        self._known = list(self._ticked)

    def compose(self) -> ComposeResult:
        """The list, and the keys."""
        with Vertical(id="panel"):
            yield Static(Content.styled(say("Compare"), "bold $primary"), id="title")
            yield self._list
            yield Static(id="about")

    def on_mount(self) -> None:
        """What is here is found beside the interface."""
        self._show(0)
        self.run_worker(self._look())

    def action_move(self, step: int) -> None:
        """Up or down in the list."""
        self._list.action_move(step)

    def action_tick(self) -> None:
        """Let what is highlighted answer, or not."""
        self._list.action_choose()

    def action_begin(self) -> None:
        """Ask those that are ticked, in the order of the list."""
        chosen = tuple(command for command in self._known if command in self._ticked)
        if len(chosen) > 1:
            self.dismiss(chosen)
        else:
            self._describe(say("Tick two or more with Space."))

    async def _look(self) -> None:
        found = await asyncio.to_thread(lambda: list(self._rivals.known(self._paths)))
        self._known = list(dict.fromkeys((*found, *self._known)))
        row = self._list.highlighted_row
        self._show(int(row.key) if row is not None and row.key is not None else 0)

    @on(LongList.Selected)
    def _tick(self, event: LongList.Selected) -> None:
        command = self._known[int(event.key)]
        if command in self._ticked:
            self._ticked.remove(command)
        else:
            self._ticked.append(command)
        self._show(int(event.key))

    def _show(self, highlighted: int) -> None:
        loaded, model = self._session.load_command, self._session.model
        rows = []
        for number, command in enumerate(self._known):
            info = model if command == loaded else None
            rows.append(_RivalRow(number, title_of(command, info), place_of(command, info), command in self._ticked))
        self._list.show(rows, highlighted, say("Looking at what is here"))
        self._describe(say("Space ticks · Enter compares · /compare NAME NAME takes any other · Esc leaves"))

    def _describe(self, text: str) -> None:
        self.query_one("#about", Static).update(Content.styled(text, "$quiet"))
