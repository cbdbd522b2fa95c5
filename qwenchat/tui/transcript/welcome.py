"""What an empty conversation shows."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from qwenchat.i18n.texts import say
from qwenchat.tui.keys.bindings import shown


class Welcome(Vertical):
    """The name of the program, and the keys to begin with."""

    def compose(self) -> ComposeResult:
        """The name, and the keys to begin with."""
        yield Static(Content.styled("qwenchat", "bold $primary"))
        yield Static(Content(say("A private conversation, on your own machine.")))
        rows = [
            Content.assemble((f"{shown(self, id_, key):<9}", "$primary"), (what, "$quiet"))
            for id_, key, what in self._keys()
        ]
        yield Static(Content("\n").join(rows), classes="keys")

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
