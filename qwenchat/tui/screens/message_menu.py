"""Everything that can be done with a message, with the keys for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click, Key
from textual.screen import ModalScreen
from textual.widgets import Static

from qwenchat.i18n.texts import say
from qwenchat.tui.keys.bindings import key_name
from qwenchat.tui.transcript.long_list import LongList
from qwenchat.tui.transcript.message_base import ACTS

KEY_WIDTH = 9


@dataclass(frozen=True, slots=True)
class ActRow:
    """One thing to do, after its key."""

    key: str
    """Its name in `ACTS`."""
    keys: str
    """For people."""
    description: str

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """The key and what it does."""
        keys = Content.styled(self.keys, "$primary").truncate(KEY_WIDTH, pad=True)
        return Content.assemble(keys, " ", self.description).truncate(width, ellipsis=True)


class MessageMenu(ModalScreen[str | None]):
    """Gives back the name of what is to be done, or None when it was left."""

    CSS_PATH = "message_menu.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close the menu", show=False, id="menu.close"),
    ]

    def __init__(self, impossible: frozenset[str] = frozenset()) -> None:
        """`impossible` are the names of what cannot be done with this message."""
        super().__init__()
        self._impossible = impossible
        self._list = LongList()

    def compose(self) -> ComposeResult:
        """The list; its letters work here, too."""
        with Vertical(id="panel"):
            yield Static(Content.styled(say("This message"), "bold $primary"), id="title")
            yield self._list

    def on_mount(self) -> None:
        """The highlight begins on the first."""
        rows = [
            ActRow(name, key_name(keys.split(",")[0]), say(description)) for name, keys, description in self._acts()
        ]
        self._list.styles.height = len(rows)
        self._list.show(rows, 0)
        self._list.focus()

    def on_key(self, event: Key) -> None:
        """The key of an act chooses it."""
        for name, keys, _ in self._acts():
            if event.key in keys.split(","):
                event.stop()
                self.dismiss(name)
                return

    def on_click(self, event: Click) -> None:
        """A click beside the menu closes it."""
        if event.widget is self:
            self.dismiss()

    @on(LongList.Selected)
    def _choose(self, event: LongList.Selected) -> None:
        self.dismiss(event.key)

    def _acts(self) -> Iterator[tuple[str, str, str]]:
        """Names, keys as the user has them, descriptions."""
        keymap = getattr(self.app, "keymap", {})
        for name, (keys, description) in ACTS.items():
            if name != "menu" and name not in self._impossible:
                yield name, keymap.get(f"message.{name}", keys), description
