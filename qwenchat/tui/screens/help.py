"""All keys and commands, read from the program itself."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from qwenchat.texts import say
from qwenchat.tui.editing import editing_keys
from qwenchat.tui.keys import Place, bindings_of, key_name
from qwenchat.tui.slash import COMMANDS, SOFT_SWITCHES, usage
from qwenchat.tui.widgets.composer import Composer


class HelpScreen(ModalScreen[None]):
    """A panel over the chat; Esc closes it."""

    CSS_PATH = "help.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-middle"), (136, "-wide")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss", "Close", show=False, id="help.close")]

    def __init__(
        self, groups: Iterable[Place], elsewhere: Iterable[Place] = (), keymap: Mapping[str, str] = {}
    ) -> None:
        """`elsewhere` are places with keys of their own, which do not count while one writes."""
        super().__init__()
        self._groups, self._elsewhere, self._keymap = tuple(groups), tuple(elsewhere), keymap

    def compose(self) -> ComposeResult:
        """One table for each part of the program."""
        with Vertical(id="panel"):
            heading = Content.assemble(
                (say("Keys and commands"), "bold $primary"), (f"   {say('Esc closes')}", "$quiet")
            )
            yield Static(heading)
            with VerticalScroll(id="rows"):
                yield from self._tables(self._groups)
                rows = [(usage(name), say(command.description)) for name, command in COMMANDS.items()]
                rows += [(f"/{name}", say(description)) for name, description in SOFT_SWITCHES.items()]
                yield from self._table(say("Commands, as a message"), rows)
                yield from self._tables(self._elsewhere)
                taken = tuple(place.node for place in self._groups)
                yield from self._table(say("Editing"), editing_keys(Composer, taken))

    def on_mount(self) -> None:
        """Let the arrow keys scroll."""
        self.query_one("#rows").focus()

    def _tables(self, places: Iterable[Place]) -> ComposeResult:
        for place in places:
            rows = [
                (key_name(self._keymap.get(binding.id or "", keys)) or "-", say(binding.description), binding.id or "")
                for keys, binding in bindings_of(place.node).items()
            ]
            yield from self._table(place.title, rows)

    def _table(self, title: str, rows: Iterable[tuple[str, ...]]) -> ComposeResult:
        """Rows of keys, what they do, and the name that config.toml has for it."""
        yield Static(Content(title), classes="group")
        for keys, description, *name in rows:
            with Vertical(classes="row"):
                yield Static(Content(keys), classes="keys")
                yield Static(Content(description), classes="what")
                yield Static(Content("".join(name)), classes="id")
