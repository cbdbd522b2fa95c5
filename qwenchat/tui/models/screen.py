"""The models that can answer, here and on servers: what each takes, what of it is here, and which one is loaded."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from qwenchat.chat.server_profile import Server
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say
from qwenchat.session.session import Session
from qwenchat.system.paths import Paths
from qwenchat.tui.keys.bindings import fitting
from qwenchat.tui.models.rows import LocalModelRow, ModelsHeading, ModelWanted, ServedModelRow, rows_of, typed_address
from qwenchat.tui.models.servers import ServerListings
from qwenchat.tui.transcript.long_list import ListRow, LongList
from qwenchat.tui.widgets.line import LineField
from qwenchat.tui.widgets.status import ProgressRate

if TYPE_CHECKING:
    from qwenchat.engine.local.offers import AvailableModel

LOOK_S = 0.5
"""Between two looks at how far a model is that is being loaded."""


class ModelsScreen(ModalScreen[ModelWanted | None]):
    """A field and the models, over the chat; gives back the one to load, or None when it was left."""

    CSS_PATH = "screen.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Load the model; the conversation goes on with it", id="models.choose", show=False),
        Binding("up", "move(-1)", "To the model above", id="models.up", show=False),
        Binding("down", "move(1)", "To the model below", id="models.down", show=False),
        Binding("tab", "format(1)", "The next number format for it", id="models.next", show=False, priority=True),
        Binding("shift+tab", "format(-1)", "The format before", id="models.before", show=False, priority=True),
        Binding("escape,f3", "dismiss", "Back, with nothing changed", id="models.leave", show=False),
    ]

    def __init__(self, session: Session, paths: Paths, servers: Iterable[Server] = ()) -> None:
        """`servers` are those that the user named."""
        super().__init__()
        self._session = session
        self._paths = paths
        self._servers = ServerListings(servers, self._show)
        hint = say("Name, folder, GGUF file or address of a server")
        self._field = LineField(hint, id="typed")
        self._list = LongList(clicks=2)
        self._pace = ProgressRate(time.monotonic)
        self._known: tuple[AvailableModel, ...] | None = None
        self._found: tuple[AvailableModel, ...] = ()
        """What is at the path that is typed."""
        self._formats: dict[str, int] = {}
        """Which of its formats is chosen for a model."""
        self._highlit: str | None = None
        """What was highlighted here, not by the user."""

    def compose(self) -> ComposeResult:
        """The field, the models, and about the highlighted one."""
        with Vertical(id="panel"):
            yield self._field
            yield self._list
            yield Static(id="formats")
            yield Static(id="about")

    def on_mount(self) -> None:
        """Look for what is here, which takes a while, beside the interface."""
        self._field.focus()
        self.watch(self._list, "highlighted", self._describe, init=False)
        self._list.show((), empty=say("Looking at what is here"))
        self.run_worker(self._look(), group="known")
        self.run_worker(self._servers.ask(), group="servers")
        self.set_interval(LOOK_S, self._hint)
        self._hint()

    def on_unmount(self) -> None:
        """Wait for no server any more."""
        self._servers.stop()

    def action_move(self, step: int) -> None:
        """Up or down in the models."""
        self._list.action_move(step)

    def action_choose(self) -> None:
        """Load what is highlighted."""
        self._list.action_choose()

    def action_format(self, step: int) -> None:
        """Another number format for what is highlighted."""
        row = self._list.highlighted_row
        if isinstance(row, LocalModelRow):
            self._formats[row.key] = (self._format_of(row.offer) + step) % len(row.offer.ways)
            self._show()

    async def _look(self) -> None:
        from qwenchat.engine.local import offers  # noqa: PLC0415  (imports the Hub)

        self._known = await asyncio.to_thread(offers.known, self._paths, self._session.model.info)
        self._show()

    @on(Input.Changed)
    def _typed(self) -> None:
        self.run_worker(self._look_at(self._field.value.strip()), group="path", exclusive=True)

    async def _look_at(self, typed: str) -> None:
        from qwenchat.engine.local import offers  # noqa: PLC0415  (imports the Hub)

        self._found = await asyncio.to_thread(offers.named, typed) if typed else ()
        self._show()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self._list.action_choose()

    @on(LongList.Selected)
    def _choose(self) -> None:
        row = self._list.highlighted_row
        if isinstance(row, LocalModelRow | ServedModelRow):
            self.dismiss(row.wanted)

    def _format_of(self, offer: "AvailableModel") -> int:
        """Which of its formats is chosen: at first the one that the model before was asked for in."""
        asked = self._session.model.command.quantization if self._session.model.command else "auto"
        at_first = next((at for at, way in enumerate(offer.ways) if way.quantization == asked), 0)
        return self._formats.get(offer.name, at_first)

    def _highlighted_key(self) -> str | None:
        row = self._list.highlighted_row
        return row.key if row else None

    def _show(self) -> None:
        """List what the field leaves of the models, highlighting what the user chose, or else the one that answers."""
        highlighted = self._highlighted_key()
        typed = self._field.value.strip()
        rows = [*self._rows_here(typed.lower()), *self._rows_elsewhere(typed)]
        if self._known is None and not rows:
            return
        nothing = say("No model is called so, and none lies there.")
        self._list.show(rows, None, nothing)
        at = self._list.index_of(highlighted) if highlighted != self._highlit else None
        if at is None:
            at = next(
                (at for at, row in enumerate(rows) if isinstance(row, LocalModelRow | ServedModelRow) and row.loaded), 0
            )
            self._list.show(rows, at, nothing)
            self._highlit = self._highlighted_key()
        self._list.show(rows, at, nothing)
        self._describe()

    def _rows_here(self, typed: str) -> list[ListRow]:
        known = [offer for offer in self._known or () if typed in f"{offer.name} {offer.answers_as}".lower()]
        names = {offer.answers_as for offer in known}
        offers = [*known, *(offer for offer in self._found if offer.answers_as not in names or offer.here)]
        model = self._session.model.info
        answering = model.name if model and not model.server else None
        rows = [
            LocalModelRow(offer, offer.ways[self._format_of(offer)], offer.answers_as == answering) for offer in offers
        ]
        here = [row for row in rows if row.offer.here or row.loaded]
        away = [row for row in rows if row not in here]
        return [
            *_group(say("On this machine"), say("on disk"), here, first=True),
            *_group(say("To download"), say("download"), away, first=not here),
        ]

    def _rows_elsewhere(self, typed: str) -> list[ListRow]:
        rows: list[ListRow] = []
        for listing in self._servers.listings:
            rows += rows_of(listing, typed.lower(), self._session.model.info)
        return [*rows, *typed_address(typed)]

    def _describe(self) -> None:
        """About the highlighted model: its number formats, or where what one says goes."""
        row = self._list.highlighted_row
        about = row.about if isinstance(row, LocalModelRow | ServedModelRow) else Content()
        self.query_one("#formats", Static).update(about)

    def _hint(self) -> None:
        """The keys, or how far a model is that is being loaded."""
        load = self._session.model.progress
        about = self.query_one("#about", Static)
        if load is None:
            memory = say("memory is with 4,096 tokens of context")
            hints = say("Enter loads it"), say("Tab number format"), memory, say("Esc leaves")
            text = fitting(hints, about.size.width or self.app.size.width, " · ")[0]
        else:
            text = " ".join(filter(None, (safe_line(load.step), self._pace.words(load))))
        about.update(Content.styled(text, "$quiet"))


def _group(title: str, size: str, rows: Sequence[LocalModelRow], *, first: bool) -> Iterator[ListRow]:
    """The models of one kind below their heading; nothing where there is none."""
    if rows:
        yield ModelsHeading(title, (say("parameters"), size, say("memory"), ""), first=first)
        yield from rows
