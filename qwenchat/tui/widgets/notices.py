"""Things the reader should know, above the conversation, until they are no longer so or put away."""

from textual.content import Content
from textual.widgets import Static

from qwenchat.chat.text import safe


class Notices(Static):
    """One paragraph for each subject that has something to say."""

    def __init__(self) -> None:
        super().__init__(id="notices")
        self._said: dict[str, str] = {}
        self._put_away: dict[str, str] = {}
        """What was read and need not be said again, until there was something else, or nothing, to say of it."""
        self.display = False

    def say(self, subject: str, text: str) -> None:
        """Put `text` in place of what was said about that subject; an empty text takes it away."""
        if text and text == self._put_away.get(subject):
            return
        self._put_away.pop(subject, None)
        if text == self._said.get(subject, ""):
            return
        if text:
            self._said[subject] = text
        else:
            self._said.pop(subject, None)
        self._redraw()

    def put_away(self) -> bool:
        """Clear them all; says whether there were any."""
        had = bool(self._said)
        self._put_away |= self._said
        self._said.clear()
        self._redraw()
        return had

    def on_click(self) -> None:
        """A click puts them away."""
        self.put_away()

    def _redraw(self) -> None:
        self.update(Content("\n".join(safe(text) for text in self._said.values())))
        self.display = bool(self._said)
