"""Who is to answer side by side: a list to tick."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say
from qwenchat.session.session import Session
from qwenchat.system.paths import Paths
from qwenchat.tui.models.compared_models import ComparedModels, place_of, title_of
from qwenchat.tui.models.servers import ServerListing, ServerListings
from qwenchat.tui.transcript.long_list import LongList

NAME_WIDTH = 36


@dataclass(frozen=True, slots=True)
class _ComparedModelRow:
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


class CompareModelsScreen(ModalScreen[tuple[LoadModel, ...] | None]):
    """Models and servers over the chat; gives back those that are ticked, or None when it was left."""

    CSS_PATH = "compare_models_screen.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "To the one above", id="compared.up", show=False),
        Binding("down", "move(1)", "To the one below", id="compared.down", show=False),
        Binding("space", "tick", "Let it answer, or not", id="compared.tick", show=False),
        Binding("enter", "begin", "Compare those that are ticked", id="compared.begin", show=False),
        Binding("f3", "models", "Choose or fetch another model", id="compared.models", show=False),
        Binding("escape,f7", "dismiss", "Back, with nothing asked", id="compared.leave", show=False),
    ]

    def __init__(
        self, session: Session, compared_models: ComparedModels, ticked: Sequence[LoadModel], paths: Paths
    ) -> None:
        """`ticked` are at first; without any, the model that is loaded."""
        super().__init__()
        self._session = session
        self._compared_models = compared_models
        self._paths = paths
        self._list = LongList()
        self._list.can_focus = False
        current = (session.model.command,) if session.model.command is not None else ()
        self._ticked = list(dict.fromkeys(ticked or current))
        self._here = current
        self._looked = False
        """Whether it is known what is on this machine."""
        self._rows: tuple[LoadModel, ...] = ()
        self._servers = ServerListings(compared_models.servers.values(), self._show)

    def compose(self) -> ComposeResult:
        """The list, and the keys."""
        with Vertical(id="panel"):
            yield Static(Content.styled(say("Compare two or more models"), "bold $primary"), id="title")
            yield self._list
            yield Static(id="about")

    def on_mount(self) -> None:
        """What is here, and what servers have, is found beside the interface."""
        self._show()
        self.run_worker(self._look())
        self.run_worker(self._servers.ask())

    def on_unmount(self) -> None:
        """Wait for no server any more."""
        self._servers.stop()

    def action_move(self, step: int) -> None:
        """Up or down in the list."""
        self._list.action_move(step)

    def action_tick(self) -> None:
        """Let what is highlighted answer, or not."""
        self._list.action_choose()

    def action_begin(self) -> None:
        """Ask those that are ticked, in the order of the list."""
        chosen = tuple(command for command in self._rows if command in self._ticked)
        if len(chosen) > 1:
            self.dismiss(chosen)
        else:
            self._describe(say("Tick two or more with Space.") if len(self._rows) > 1 else self._lonely())

    def action_models(self) -> None:
        """Leave for the list of all models."""
        self.dismiss(None)
        self.app.call_later(self.app.run_action, "screen.control('models')")

    async def _look(self) -> None:
        found = await asyncio.to_thread(lambda: tuple(self._compared_models.here(self._paths)))
        self._here = (*self._here, *found)
        self._looked = True
        self._show()

    @on(LongList.Selected)
    def _tick(self, event: LongList.Selected) -> None:
        command = self._rows[int(event.key)]
        if command in self._ticked:
            self._ticked.remove(command)
        else:
            self._ticked.append(command)
        self._show()

    def _show(self) -> None:
        """List what is known by now, with the highlight on what it was on."""
        before = self._rows[self._list.highlighted] if self._list.highlighted is not None else None
        notes: dict[LoadModel, str] = {}
        for listing in self._servers.listings:
            for command in self._compared_models.served(listing):
                notes[command] = safe_line(listing.problem) if listing.asked else say("asking it")
            self._settle(listing)
        self._rows = tuple(dict.fromkeys((*self._here, *notes, *self._ticked)))
        rows = [self._row(number, command, notes.get(command, "")) for number, command in enumerate(self._rows)]
        at = self._rows.index(before) if before in self._rows else 0
        self._list.show(rows, at, say("Looking at what is here"))
        keys = say("Space ticks · Enter compares · /compare NAME NAME takes any other · Esc leaves")
        self._describe(self._lonely() if self._looked and len(rows) < 2 else keys)

    def _lonely(self) -> str:
        """What can be done where there is nothing to compare with."""
        return say("There is only one model here. F3 gets others · /compare NAME NAME takes any other · Esc leaves")

    def _settle(self, listing: ServerListing) -> None:
        """Of a server that was ticked before it said what it has, its usual model is ticked then."""
        first, *_ = self._compared_models.served(listing)
        usual = replace(first, name=listing.server.model or first.name)
        self._ticked = [
            usual if command.server == listing.server and command.name is None and listing.offers else command
            for command in self._ticked
        ]

    def _row(self, number: int, command: LoadModel, note: str) -> _ComparedModelRow:
        info = self._session.model.info if command == self._session.model.command else None
        place = " · ".join(filter(None, (place_of(command, info), note)))
        return _ComparedModelRow(number, title_of(command, info), place, command in self._ticked)

    def _describe(self, text: str) -> None:
        self.query_one("#about", Static).update(Content.styled(text, "$quiet"))
