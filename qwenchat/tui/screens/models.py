"""The models that can answer: what each takes, what of it is here, and which one is loaded."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from qwenchat.chat.text import safe_line
from qwenchat.paths import Paths
from qwenchat.session import Session
from qwenchat.texts import say
from qwenchat.tui.widgets.line import Line
from qwenchat.tui.widgets.long_list import LongList, Row
from qwenchat.tui.widgets.status import Pace, size

if TYPE_CHECKING:
    from qwenchat.engine.local.offers import Offer, Way

LOOK_S = 0.5
"""Between two looks at how far a model is that is being loaded."""
COLUMN = 11
NAME_WIDTH = 18
"""What names have at least."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The model to load, and in which number format; "auto" for the usual one."""

    name: str
    quantization: str


@dataclass(frozen=True, slots=True)
class Title:
    """The heading of the models of a place, with the names of the columns."""

    text: str

    @property
    def key(self) -> None:
        """It cannot be chosen."""
        return

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """The place, and what stands below at the right."""
        columns = (say("parameters"), say("download"), say("memory"), "")
        return _columns(Content.styled(self.text, "$primary"), [(column, "$quiet") for column in columns], width)


@dataclass(frozen=True, slots=True)
class OfferRow:
    """A model, with a dot before the one that answers."""

    offer: "Offer"
    way: "Way"
    """The number format that is chosen for it."""
    loaded: bool

    @property
    def key(self) -> str:
        """What to ask for."""
        return self.offer.name

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """Its name, parameters, what is to be fetched, the memory it needs, and whether that is there."""
        name = Content.assemble(("● " if self.loaded else "  ", "$primary"), (safe_line(self.offer.title), "bold"))
        parameters = f"{self.offer.parameters / 1e9:.1f} B" if self.offer.parameters else ""
        fetched = say("is here") if self.offer.here else size(self.offer.size) if self.offer.size else ""
        fits = (say("fits"), "$success") if self.way.fits else (say("too large"), "$warning")
        cells = [(parameters, ""), (fetched, "$success" if self.offer.here else ""), (_memory(self.way), "")]
        return _columns(name, [*cells, fits if self.way.needs else ("", "")], width)


def _columns(name: Content, cells: Sequence[tuple[str, str]], width: int) -> Content:
    """A name and what is known of it; the last columns are left out where there is no room."""
    room = max(NAME_WIDTH, width - COLUMN * len(cells))
    shown = cells[: max(0, (width - room) // COLUMN)]
    padded = [Content.styled(text, style).truncate(COLUMN, pad=True) for text, style in shown]
    return Content.assemble(name.truncate(max(1, room - 2), ellipsis=True, pad=True), "  ", *padded)


def _memory(way: "Way") -> str:
    return size(way.needs) if way.needs else ""


class ModelsScreen(ModalScreen[Wanted | None]):
    """A field and the models, over the chat; gives back the one to load, or None when it was left."""

    CSS_PATH = "models.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Load the model; the conversation goes on with it", id="models.choose", show=False),
        Binding("up", "move(-1)", "To the model above", id="models.up", show=False),
        Binding("down", "move(1)", "To the model below", id="models.down", show=False),
        Binding("tab", "format(1)", "The next number format for it", id="models.next", show=False, priority=True),
        Binding("shift+tab", "format(-1)", "The format before", id="models.before", show=False, priority=True),
        Binding("escape,f3", "dismiss", "Back, with nothing changed", id="models.leave", show=False),
    ]

    def __init__(self, session: Session, paths: Paths) -> None:
        super().__init__()
        self._session = session
        self._paths = paths
        self._field = Line(say("A part of a name, or a path to a folder or GGUF file"), id="typed")
        self._list = LongList(clicks=2)
        self._pace = Pace(time.monotonic)
        self._known: tuple[Offer, ...] | None = None
        self._found: tuple[Offer, ...] = ()
        """What is at the path that is typed."""
        self._formats: dict[str, int] = {}
        """Which of its formats is chosen for a model."""

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
        self.set_interval(LOOK_S, self._hint)
        self._hint()

    def action_move(self, step: int) -> None:
        """Up or down in the models."""
        self._list.action_move(step)

    def action_choose(self) -> None:
        """Load what is highlighted."""
        self._list.action_choose()

    def action_format(self, step: int) -> None:
        """Another number format for what is highlighted."""
        row = self._list.highlighted_row
        if isinstance(row, OfferRow):
            self._formats[row.key] = (self._format_of(row.offer) + step) % len(row.offer.ways)
            self._show(row.key)

    async def _look(self) -> None:
        from qwenchat.engine.local import offers

        self._known = await asyncio.to_thread(offers.known, self._paths, self._session.model)
        self._show(self._loaded_name())

    @on(Input.Changed)
    def _typed(self) -> None:
        self.run_worker(self._look_at(self._field.value.strip()), group="path", exclusive=True)

    async def _look_at(self, typed: str) -> None:
        from qwenchat.engine.local import offers

        self._found = await asyncio.to_thread(offers.named, typed) if typed else ()
        row = self._list.highlighted_row
        self._show(row.key if row else None)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self._list.action_choose()

    @on(LongList.Selected)
    def _choose(self) -> None:
        row = self._list.highlighted_row
        if isinstance(row, OfferRow):
            usual = row.way == row.offer.ways[0]
            self.dismiss(Wanted(row.offer.name, "auto" if usual else row.way.quantization))

    def _format_of(self, offer: "Offer") -> int:
        """Which of its formats is chosen: at first the one that the model before was asked for in."""
        asked = self._session.load_command.quantization if self._session.load_command else "auto"
        at_first = next((at for at, way in enumerate(offer.ways) if way.quantization == asked), 0)
        return self._formats.get(offer.name, at_first)

    def _loaded_name(self) -> str | None:
        answering = self._session.model.name if self._session.model else None
        return next((offer.name for offer in self._known or () if offer.answers_as == answering), None)

    def _show(self, highlighted: str | None) -> None:
        """List what the field leaves of the models, with the highlight where it was."""
        typed = self._field.value.strip().lower()
        known = [offer for offer in self._known or () if typed in f"{offer.name} {offer.answers_as}".lower()]
        names = {offer.answers_as for offer in known}
        offers = [*known, *(offer for offer in self._found if offer.answers_as not in names or offer.here)]
        if self._known is None and not offers:
            return
        answering = self._session.model.name if self._session.model else None
        rows: list[Row] = [
            OfferRow(offer, offer.ways[self._format_of(offer)], offer.answers_as == answering) for offer in offers
        ]
        if rows:
            rows.insert(0, Title(say("On this machine")))
        self._list.show(rows, None, say("No model is called so, and none lies there."))
        at = self._list.index_of(highlighted)
        self._list.show(rows, at or 0, say("No model is called so, and none lies there."))
        self._describe()

    def _describe(self) -> None:
        """The number formats of the highlighted model."""
        row = self._list.highlighted_row
        content = Content()
        if isinstance(row, OfferRow):
            pieces = [
                Content.styled(
                    " ".join(filter(None, (way.quantization, _memory(way)))),
                    "bold $primary" if way == row.way else "$quiet",
                )
                for way in row.offer.ways
            ]
            content = Content("   ").join([Content(safe_line(row.offer.answers_as)), *pieces])
        self.query_one("#formats", Static).update(content)

    def _hint(self) -> None:
        """The keys, or how far a model is that is being loaded."""
        load = self._session.loading
        text = say("Enter loads it · Tab number format · Esc leaves")
        if load is not None:
            text = " ".join(filter(None, (safe_line(load.step), self._pace.words(load))))
        self.query_one("#about", Static).update(Content.styled(text, "$quiet"))
