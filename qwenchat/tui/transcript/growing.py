"""Plain text that grows, at a cost that does not."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

LONGEST_TAIL = 2000
"""Characters that are drawn anew with each change; when there are more, half are split off at a line end and settle."""


class GrowingText(Vertical):
    """Text as it is, never parsed as markup; `show` is given all of it each time."""

    def __init__(self, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._settled = ""
        self._tail = Static(classes="text")

    def compose(self) -> ComposeResult:
        """The part that still changes; what is settled comes before it."""
        yield self._tail

    def show(self, text: str) -> None:
        """Show `text` in place of what it usually continues."""
        if not text.startswith(self._settled):
            self._settled = ""
            self.remove_children("Static.settled")
        start = len(self._settled)
        cut = text.rfind("\n", start, len(text) - LONGEST_TAIL // 2) if len(text) - start > LONGEST_TAIL else -1
        if cut > start and self._tail.is_attached:
            self.mount(Static(Content(text[start:cut]), classes="text settled"), before=self._tail)
            self._settled = text[: cut + 1]
            start = cut + 1
        self._tail.update(Content(text[start:].strip("\n")))
