"""What made a message: every figure and setting, with its tokens and its time as bars."""

from collections.abc import Iterable
from itertools import accumulate
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from qwenchat.i18n.texts import say
from qwenchat.reports.message_details import BarShare, DetailGroup, details_as_text
from qwenchat.tui.keys.bindings import key_shown

FILLS = (("▒", "$quiet"), ("▓", "$quiet"), ("▚", "$accent"), ("█", "$primary"))
"""How the parts of a bar are told apart, without colours too."""


class Bar(Static):
    """Parts of a whole, as wide as the screen allows, and what they are."""

    def __init__(self, shares: Iterable[BarShare]) -> None:
        super().__init__(classes="bar")
        given = tuple(shares)
        fills = FILLS[-len(given) :]
        self._parts = [(share, fill) for share, fill in zip(given, fills, strict=True) if share.amount > 0]

    def render(self) -> Content:
        """The bar, and below it what each part is."""
        width = max(1, self.size.width)
        whole = sum(share.amount for share, _ in self._parts)
        ends = [round(width * at / whole) for at in accumulate(share.amount for share, _ in self._parts)]
        starts = (0, *ends)
        bar = [(fill[0] * (end - at), fill[1])
               for at, end, (_, fill) in zip(starts, ends, self._parts, strict=False)]  # fmt: skip
        legend = [piece for share, fill in self._parts for piece in (fill, (f" {share.name}   ", "$quiet"))]
        return Content.assemble(*bar, "\n", *legend)


class InspectScreen(ModalScreen[None]):
    """A panel over the chat with the details of one message; Esc closes it."""

    CSS_PATH = "inspect.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-middle")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy it all as text", show=False, id="inspect.copy"),
        Binding("escape,q,f4,i", "dismiss", "Close", show=False, id="inspect.close"),
    ]

    def __init__(self, account: tuple[DetailGroup, ...]) -> None:
        super().__init__()
        self._details = account

    def compose(self) -> ComposeResult:
        """A table for each side of the message."""
        with Vertical(id="panel"):
            copy, close = key_shown(self, "inspect.copy", "y"), key_shown(self, "inspect.close", "escape")
            keys = say("{copy} copies it   {close} closes", copy=copy, close=close)
            heading = Content.assemble((say("What made it"), "bold $primary"), (f"   {keys}", "$quiet"))
            yield Static(heading, id="title")
            with VerticalScroll(id="rows"):
                for facts in self._details:
                    yield from self._table(facts)

    def on_mount(self) -> None:
        """Let the arrow keys scroll."""
        self.query_one("#rows").focus()

    def action_copy(self) -> None:
        """Copy the account as text."""
        self.app.copy_to_clipboard(details_as_text(self._details))

    def _table(self, facts: DetailGroup) -> ComposeResult:
        yield Static(Content(facts.title), classes="group")
        for fact in facts.facts:
            with Horizontal(classes="row"):
                yield Static(Content(fact.name), classes="name")
                value = (f"{fact.value} ●" if fact.marked else fact.value, "bold $accent" if fact.marked else "")
                note = f"  {fact.note}" if fact.note else ""
                yield Static(Content.assemble(value, (note, "$quiet")), classes="value")
        if sum(share.amount > 0 for share in facts.shares) > 1:
            yield Bar(facts.shares)
