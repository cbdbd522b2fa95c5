"""The lines of the list of models: those of this machine, and those of servers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.server_profile import Server
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say, size
from qwenchat.tui.models.servers import ServerListing

if TYPE_CHECKING:
    from qwenchat.engine.local.offers import AvailableModel, RunFormat
    from qwenchat.engine.remote.offer import ServedModel as Served

_ADDRESS = re.compile(r"https?://[^\s/]\S*")
COLUMN = 11
NAME_WIDTH = 18
"""What names have at least."""


@dataclass(frozen=True, slots=True)
class ModelWanted:
    """The model to load."""

    name: str | None
    """None for the first that a server has."""
    quantization: str = "auto"
    """The number format; "auto" for the usual one."""
    server: Server | None = None
    """Where it is; None for this machine."""


@dataclass(frozen=True, slots=True)
class ModelsHeading:
    """The heading of the models of a place, with the names of the columns, below an empty line unless it is first."""

    text: str
    columns: tuple[str, ...] = ()
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
        """The place, and what stands below at the right, in the last line."""
        if number < self.height - 1:
            return Content()
        return _columns(Content.styled(self.text, "$primary"), [(column, "$quiet") for column in self.columns], width)


@dataclass(frozen=True, slots=True)
class ServerNote:
    """What is to be said of a server instead of its models."""

    text: str
    style: str = "$quiet"

    @property
    def key(self) -> None:
        """It cannot be chosen."""
        return

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """The words, cut where the line ends."""
        return Content.styled(f"  {self.text}", self.style).truncate(max(1, width), ellipsis=True)


@dataclass(frozen=True, slots=True)
class LocalModelRow:
    """A model of this machine, with a dot before the one that answers."""

    offer: "AvailableModel"
    way: "RunFormat"
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

    @property
    def wanted(self) -> ModelWanted:
        """What choosing it asks for."""
        usual = self.way == self.offer.ways[0]
        return ModelWanted(self.offer.name, "auto" if usual else self.way.quantization)

    @property
    def about(self) -> Content:
        """Its number formats, and what each needs."""
        pieces = [
            Content.styled(
                " ".join(filter(None, (way.quantization, _memory(way)))),
                "bold $primary" if way == self.way else "$quiet",
            )
            for way in self.offer.ways
        ]
        return Content("   ").join([Content(safe_line(self.offer.answers_as)), *pieces])

    def line(self, number: int, width: int) -> Content:
        """Its name, parameters, the size of its files, the memory it needs, and whether that is there."""
        parameters = f"{self.offer.parameters / 1e9:.1f} B" if self.offer.parameters else ""
        files = size(self.offer.size) if self.offer.size else ""
        fits = (say("fits"), "$success") if self.way.fits else (say("too large"), "$warning")
        cells = [(parameters, ""), (files, ""), (_memory(self.way), "")]
        return _columns(_named(self.offer.title, self.loaded), [*cells, fits if self.way.needs else ("", "")], width)


@dataclass(frozen=True, slots=True)
class ServedModelRow:
    """A model of a server, with a dot before the one that answers; or, without a model, whatever the server has."""

    listing: ServerListing
    offer: "Served | None"
    loaded: bool = False

    @property
    def key(self) -> str:
        """The server and the model."""
        return f"{self.listing.server.address}\n{self.offer.name if self.offer else ''}"

    @property
    def height(self) -> int:
        """One line."""
        return 1

    @property
    def wanted(self) -> ModelWanted:
        """What choosing it asks for."""
        return ModelWanted(self.offer.name if self.offer else None, server=self.listing.server)

    @property
    def about(self) -> Content:
        """Where what one says goes then, and whether others can read it on the way."""
        where = say("asks {address}", address=safe_line(self.listing.server.address, 200))
        reported = [Content(where)]
        if not self.listing.private:
            reported.append(Content.styled(say("not encrypted on the way"), "$warning"))
        return Content("   ").join(reported)

    def line(self, number: int, width: int) -> Content:
        """Its name, and how much it reads if the server says so."""
        if self.offer is None:
            return _columns(_named(say("The server at {address}", address=self.listing.label), self.loaded), [], width)
        window = f"{self.offer.context_window:,}" if self.offer.context_window else ""
        return _columns(_named(self.offer.title, self.loaded), [(window, "")], width)


def rows_of(
    listing: ServerListing, typed: str, model: ModelInfo | None
) -> Iterator[ModelsHeading | ServerNote | ServedModelRow]:
    """The rows of a server below its heading, as far as they or the server are called as is typed."""
    label = safe_line(listing.label, 100)
    offers = [offer for offer in listing.offers if typed in f"{label} {offer.name}".lower()]
    if not offers and typed not in label.lower():
        return
    if listing.kind:
        title = say("{program}, found at {host}", program=listing.kind, host=label)
    else:
        title = f"{label} · {safe_line(listing.host, 100)}" if listing.host not in ("", label) else label
    yield ModelsHeading(title, (say("context"),) if any(offer.context_window for offer in offers) else ())
    if listing.problem:
        yield ServerNote(safe_line(listing.problem, 400), "$warning")
    elif not offers:
        yield ServerNote(say("it has no model") if listing.asked else say("asking it"))
    here = model is not None and model.server == listing.label
    for offer in offers:
        yield ServedModelRow(listing, offer, here and model is not None and offer.title == model.name)


def typed_address(typed: str) -> Iterator[ServedModelRow]:
    """The server whose address is typed; nothing is asked of it before it is chosen."""
    if _ADDRESS.fullmatch(typed):
        yield ServedModelRow(ServerListing(Server(typed), typed), None)


def _named(name: str, loaded: bool) -> Content:
    return Content.assemble(("● " if loaded else "  ", "$primary"), (safe_line(name, 200), "bold"))


def _columns(name: Content, cells: Sequence[tuple[str, str]], width: int) -> Content:
    """A name and what is known of it; the first columns are left out where there is no room."""
    room = max(NAME_WIDTH, width - COLUMN * len(cells))
    shown = cells[len(cells) - min(len(cells), (width - room) // COLUMN) :]
    padded = [Content.styled(text, style).truncate(COLUMN, pad=True) for text, style in shown]
    return Content.assemble(name.truncate(max(1, room - 2), ellipsis=True, pad=True), "  ", *padded)


def _memory(way: "RunFormat") -> str:
    return size(way.needs) if way.needs else ""
