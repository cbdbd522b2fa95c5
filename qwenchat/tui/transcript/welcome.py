"""What an empty conversation shows."""

from collections.abc import Sequence

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say
from qwenchat.tui.keys.bindings import key_shown

GAP = 2
"""Columns between what counts and how it is."""


class Welcome(Vertical):
    """The name of the program, the keys to begin with, and what will count."""

    def __init__(self) -> None:
        super().__init__()
        self._settings: Sequence[tuple[str, str]] = ()

    def show(self, settings: Sequence[tuple[str, str]]) -> None:
        """Say how the first message will be answered: what counts for it, and how it is now."""
        if settings == self._settings or not self.is_attached:
            return
        self._settings = settings
        width = max((cell_len(name) for name, _ in settings), default=0) + GAP
        rows = (
            Content.assemble((name + " " * (width - cell_len(name)), "$primary"), (safe_line(value), "$quiet"))
            for name, value in settings
        )
        self.query_one(".settings", Static).update(Content("\n").join(rows))

    def compose(self) -> ComposeResult:
        """The name, and the keys to begin with."""
        yield Static(Content.styled("qwenchat", "bold $primary"))
        yield Static(Content(say("A private conversation, on your own machine.")))
        rows = [
            Content.assemble((f"{key_shown(self, id_, key):<9}", "$primary"), (what, "$quiet"))
            for id_, key, what in self._keys()
        ]
        yield Static(Content("\n").join(rows), classes="keys")
        yield Static(classes="settings")

    def _keys(self) -> tuple[tuple[str, str, str], ...]:
        return (
            ("composer.send", "enter", say("send the message")),
            ("composer.break_line", "ctrl+j", say("break the line")),
            ("chat.thinking", "ctrl+t", say("thinking on or off")),
            ("chat.sidebar", "ctrl+b", say("saved conversations")),
            ("chat.choose", "ctrl+up", say("choose a message")),
            ("app.palette", "ctrl+p", say("all commands")),
            ("app.help", "f1", say("help")),
        )
