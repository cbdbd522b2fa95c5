"""The messages that wait for the end of a reply, above the draft."""

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import count
from qwenchat.tui.keys.bindings import key_shown

LONGEST_LINE = 200
"""Characters of a message; the rest is cut off, as is what does not fit on the line."""


class QueuedLine(Static):
    """Says that messages wait, and what each begins with."""

    def __init__(self) -> None:
        super().__init__(id="queued")
        self._messages: tuple[str, ...] = ()
        self.display = False

    def show(self, messages: Sequence[str]) -> None:
        """Show these in place of those that waited before."""
        if tuple(messages) == self._messages:
            return
        self._messages = tuple(messages)
        what = count(
            "Sent when this reply ends; {key} takes it back",
            "{number} messages are sent when this reply ends; {key} takes the last one back",
            len(messages),
            key=key_shown(self, "composer.up", "up"),
        )
        lines = (Content(safe_line(message, LONGEST_LINE)) for message in messages)
        self.update(Content("\n").join((Content.styled(what, "$quiet"), *lines)))
        self.display = bool(messages)
