"""The list of what could be meant by the word that is being written; the composer keeps the keys."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from qwenchat.chat.text import safe_line
from qwenchat.tui.text.completion import Completion, CompletionItem

ROWS = 8
"""How many choices are in view at most."""


class Dropdown(Widget):
    """Choices above the composer, of which one may be highlighted. It lies over the conversation and moves nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "accept", "Write what is highlighted, or the first", id="dropdown.accept"),
        Binding("enter", "accept_or_send", "Write what is highlighted; send what is complete", id="dropdown.enter"),
        Binding("up", "above", "To the choice above", id="dropdown.above"),
        Binding("down", "below", "To the choice below", id="dropdown.below"),
        Binding("escape", "close", "Close the list", id="dropdown.close"),
    ]
    ALLOW_SELECT = False

    class Accepted(Message):
        """A choice was clicked."""

        def __init__(self, choice: CompletionItem) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self) -> None:
        super().__init__(id="dropdown")
        self.display = False
        self.offer: Completion | None = None
        self.highlighted: int | None = None
        self._top = 0

    @property
    def choice(self) -> CompletionItem | None:
        """The highlighted choice."""
        return self.offer.choices[self.highlighted] if self.offer and self.highlighted is not None else None

    def show(self, offer: Completion | None) -> None:
        """List these choices, or nothing."""
        if offer == self.offer:
            return
        self.offer, self._top = offer, 0
        self.highlighted = 0 if offer is not None and offer.wanted else None
        self.display = offer is not None
        if offer is not None:
            rows = min(ROWS, len(offer.choices))
            self.styles.height = rows
            self.styles.offset = (0, -rows)
            self.refresh(layout=True)

    def act_of(self, key: str) -> str | None:
        """What the key is for while the list is open; None for a key that is not one of the list's."""
        bindings = self._bindings.copy()
        bindings.apply_keymap(self.app._keymap)
        bound = bindings.key_to_bindings.get(key)
        return bound[0].action if bound else None

    def move(self, by: int) -> None:
        """Highlight the choice above or below; after the last comes the first."""
        if self.offer is None:
            return
        many = len(self.offer.choices)
        self.highlighted = (0 if by > 0 else many - 1) if self.highlighted is None else (self.highlighted + by) % many
        self._top = min(max(self._top, self.highlighted - ROWS + 1), self.highlighted)
        self.refresh()

    def render(self) -> Content:
        """The choices in view, one a line, what they are beside them."""
        if self.offer is None:
            return Content()
        shown = self.offer.choices[self._top : self._top + ROWS]
        width = max(len(choice.title) for choice in shown)
        return Content("\n").join([self._row(at, choice, width) for at, choice in enumerate(shown, self._top)])

    def _row(self, at: int, choice: CompletionItem, width: int) -> Content:
        row = Content.assemble(" ", safe_line(choice.title).ljust(width), "  ", (safe_line(choice.detail), "$quiet"))
        more = self._more(at)
        row = row.truncate(max(1, self.size.width - len(more)), ellipsis=True, pad=True)
        row = Content.assemble(row, (more, "$quiet"))
        return row.stylize("$background on $primary") if at == self.highlighted else row

    def _more(self, at: int) -> str:
        """How many choices are out of view beyond the first or the last row."""
        above, below = self._top, len(self.offer.choices if self.offer else ()) - self._top - ROWS
        if at == self._top + ROWS - 1 and below > 0:
            return f" ↓ {below} "
        return f" ↑ {above} " if at == self._top and above else ""

    def on_click(self, event: Click) -> None:
        """Take the choice that was clicked."""
        event.stop()
        at = self._top + event.y
        if self.offer is not None and at < len(self.offer.choices):
            self.post_message(self.Accepted(self.offer.choices[at]))
