"""All keys and commands, read from the program itself."""

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widgets import Static

from qwenchat.tui.slash import COMMANDS, SOFT_SWITCHES, usage
from qwenchat.tui.widgets.composer import Composer

_KEYS = {
    "escape": "Esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "underscore": "_",
    "delete": "Del",
    "slash": "/",
    "plus": "+",
    "minus": "-",
}


def key_name(keys: str) -> str:
    """A binding's keys for people: "ctrl+j,alt+enter" is "Ctrl+J, Alt+Enter"."""
    alternatives = (key.strip() for key in keys.split(","))
    spelled = (f"shift+{key}" if len(key) == 1 and key.isupper() else key for key in alternatives)
    return ", ".join("+".join(_KEYS.get(part, part.capitalize()) for part in key.split("+")) for key in spelled)


def bindings_of(cls: type[DOMNode]) -> dict[str, Binding]:
    """Keys to binding, of the class and those of ours that it inherits from, as one row for each action."""
    return _rows(base for base in cls.__mro__ if base.__module__.startswith("qwenchat."))


def inherited_bindings_of(cls: type[DOMNode], taken: Iterable[type[DOMNode]]) -> dict[str, Binding]:
    """Keys to binding that the class has from Textual, without those that mean something of ours in `taken`."""
    ours = {key for place in taken for keys in bindings_of(place) for key in keys.split(",")}
    rows = _rows(base for base in cls.__mro__ if not base.__module__.startswith("qwenchat."))
    left = {",".join(key for key in keys.split(",") if key not in ours): binding for keys, binding in rows.items()}
    return {keys: binding for keys, binding in left.items() if keys}


def _rows(classes: Iterable[type]) -> dict[str, Binding]:
    rows: dict[str, Binding] = {}
    for base in classes:
        for binding in Binding.make_bindings(vars(base).get("BINDINGS", ())):
            rows.setdefault(binding.key, binding)
    merged: dict[str, Binding] = {}
    for key, binding in rows.items():
        same = next((k for k, b in merged.items() if b.action == binding.action), None)
        merged[key if same is None else f"{same},{key}"] = binding if same is None else merged.pop(same)
    return {key: binding for key, binding in merged.items() if binding.description}


class HelpScreen(ModalScreen[None]):
    """A panel over the chat; Esc closes it."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss", "Close", show=False)]

    def __init__(
        self, groups: Iterable[tuple[str, type[DOMNode]]], elsewhere: Iterable[tuple[str, type[DOMNode]]] = ()
    ) -> None:
        super().__init__()
        self._groups = tuple(groups)
        self._elsewhere = tuple(elsewhere)
        """Places with keys of their own, which do not count while one writes."""

    def compose(self) -> ComposeResult:
        """One table for each part of the program."""
        with Vertical(id="panel"):
            heading = Content.assemble(("Keys and commands", "bold $primary"), ("   Esc closes", "$foreground 65%"))
            yield Static(heading)
            with VerticalScroll(id="rows"):
                yield from self._tables(self._groups)
                rows = [(usage(name), command.description) for name, command in COMMANDS.items()]
                rows += [(f"/{name}", description) for name, description in SOFT_SWITCHES.items()]
                yield from self._table("Commands, as a message", rows)
                yield from self._tables(self._elsewhere)
                inherited = inherited_bindings_of(Composer, (place for _, place in self._groups))
                rows = [(key_name(key), binding.description) for key, binding in inherited.items()]
                yield from self._table("Editing", rows)

    def on_mount(self) -> None:
        """Let the arrow keys scroll."""
        self.query_one("#rows").focus()

    def _tables(self, groups: Iterable[tuple[str, type[DOMNode]]]) -> ComposeResult:
        for title, cls in groups:
            rows = [(key_name(key), binding.description) for key, binding in bindings_of(cls).items()]
            yield from self._table(title, rows)

    def _table(self, title: str, rows: list[tuple[str, str]]) -> ComposeResult:
        yield Static(Content(title), classes="group")
        for keys, description in rows:
            with Vertical(classes="row"):
                yield Static(Content(keys), classes="keys")
                yield Static(Content(description), classes="what")
