"""Where the mounted part of a conversation ends and more of it lies beyond."""

from textual.content import Content
from textual.message import Message
from textual.widgets import Static


class Edge(Static):
    """The line beside the first or the last mounted message that brings those beyond it."""

    class Wanted(Message):
        """The reader wants the messages beyond this edge."""

        def __init__(self, edge: "Edge") -> None:
            super().__init__()
            self.edge = edge

    def on_mount(self) -> None:
        """Nothing is beyond yet."""
        self.display = False

    def on_click(self) -> None:
        """A click anywhere on the line."""
        self.post_message(self.Wanted(self))

    def count(self, text: str, hidden: int) -> None:
        """Say how many messages there are beyond; nothing when there are none."""
        self.display = hidden > 0
        self.update(Content(text))
