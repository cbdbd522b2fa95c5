"""A long text to be read, which is too long for the draft."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Log, Static

from qwenchat.chat.text import safe, safe_line
from qwenchat.i18n.texts import say


class ViewerScreen(ModalScreen[None]):
    """A panel over the chat with a text line by line; Esc closes it."""

    CSS_PATH = "viewer.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", show=False, id="viewer.close"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = safe_line(title)
        self._text = safe(text).replace("\t", "    ")

    def compose(self) -> ComposeResult:
        """What it is, and the text."""
        with Vertical(id="panel"):
            heading = Content.assemble((self._title, "bold $primary"), (f"   {say('Esc closes')}", "$quiet"))
            yield Static(heading)
            yield Log(id="lines", auto_scroll=False)

    def on_mount(self) -> None:
        """Let the arrow keys scroll, from the beginning."""
        lines = self.query_one(Log)
        lines.write(self._text)
        lines.focus()
