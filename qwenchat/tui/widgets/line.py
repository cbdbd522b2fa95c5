"""One line to type in."""

from textual.events import Paste
from textual.widgets import Input

from qwenchat.chat.text import safe_line


class LineField(Input):
    """A field without a frame; what is pasted becomes one line of safe text."""

    def __init__(self, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, id=id, compact=True, select_on_focus=False)

    def _on_paste(self, event: Paste) -> None:
        event.stop()
        event.prevent_default()
        if text := safe_line(event.text, 1000):
            start, end = sorted((self.selection.start, self.selection.end))
            self.replace(text, start, end)
