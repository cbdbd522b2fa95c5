"""All keys and commands, read from the program itself, and found as one types."""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from qwenchat.console.commands import SOFT_SWITCHES, WRITTEN
from qwenchat.i18n.texts import say
from qwenchat.tui.keys.bindings import KeyScope, bindings_of, key_name, key_shown
from qwenchat.tui.keys.text_area_keys import editing_keys
from qwenchat.tui.widgets.composer import Composer
from qwenchat.tui.widgets.key_table import KeyEntry, KeyGroup, KeyTable
from qwenchat.tui.widgets.line import LineField


class HelpScreen(ModalScreen[None]):
    """A panel over the chat; Esc closes it."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_table('up')", "A line up", show=False, id="help.up"),
        Binding("down", "scroll_table('down')", "A line down", show=False, id="help.down"),
        Binding("pageup", "scroll_table('page_up')", "A page up", show=False, id="help.page_up"),
        Binding("pagedown", "scroll_table('page_down')", "A page down", show=False, id="help.page_down"),
        Binding("home", "scroll_table('home')", "To the beginning", show=False, priority=True, id="help.first"),
        Binding("end", "scroll_table('end')", "To the end", show=False, priority=True, id="help.last"),
        Binding("escape", "leave", "Clear what is typed, then close", show=False, id="help.close"),
    ]

    def __init__(
        self, groups: Iterable[KeyScope], elsewhere: Iterable[KeyScope] = (), keymap: Mapping[str, str] = {}
    ) -> None:
        """`elsewhere` are places with keys of their own, which do not count while one writes."""
        super().__init__()
        self._keymap = keymap
        self._field = LineField(say("Type a key or a word to find it"), id="words")
        self._title = Static(self._heading(), id="title")
        self._table = KeyTable(self._groups(tuple(groups), elsewhere))
        self._rows = VerticalScroll(id="rows", can_focus=False)

    def compose(self) -> ComposeResult:
        """One table for all parts of the program, below what is searched in it."""
        with Vertical(id="panel"):
            yield self._title
            yield self._field
            with self._rows:
                yield self._table

    def on_mount(self) -> None:
        """Let one type at once: the next key may be waiting already."""
        self.set_focus(self._field)

    def action_scroll_table(self, where: str) -> None:
        """Scroll up, down, page_up, page_down, home or end."""
        getattr(self._rows, f"scroll_{where}")(animate=False)

    def action_leave(self) -> None:
        """Show everything again, or close."""
        if self._field.value:
            self._field.value = ""
        else:
            self.dismiss(None)

    @on(Input.Changed)
    def _typed(self) -> None:
        self._table.find(self._field.value)
        self._rows.scroll_home(animate=False)
        self._title.update(self._heading())

    def _heading(self) -> Content:
        """The name of the screen, and the way out."""
        close = key_shown(self, "help.close", "escape")
        way = say("{key} shows all", key=close) if self._field.value else say("{key} closes", key=close)
        return Content.assemble((say("Keys and commands"), "bold $primary"), (f"   {way}", "$quiet"))

    def _groups(self, places: tuple[KeyScope, ...], elsewhere: Iterable[KeyScope]) -> Iterator[KeyGroup]:
        """What counts while one writes, and then the rest."""
        yield from map(self._group, places)
        commands = [KeyEntry(command.usage, say(command.title)) for command in WRITTEN.values()]
        commands += [KeyEntry(f"/{name}", say(description)) for name, description in SOFT_SWITCHES.items()]
        yield KeyGroup(say("Commands, as a message"), commands)
        yield from map(self._group, elsewhere)
        taken = tuple(place.node for place in places)
        yield KeyGroup(say("Editing"), [KeyEntry(*keys) for keys in editing_keys(Composer, taken)])

    def _group(self, place: KeyScope) -> KeyGroup:
        """The keys of a place as they are now, with the names that config.toml has for them."""
        entries = [
            KeyEntry(
                key_name(self._keymap.get(binding.id or "", keys)) or "-", say(binding.description), binding.id or ""
            )
            for keys, binding in bindings_of(place.node).items()
        ]
        return KeyGroup(place.title, entries)
