"""The saved conversations, newest first, to go on with."""

import time
from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from qwenchat.chat.text import safe_line
from qwenchat.library.library import Summary


def ago(seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


class Sidebar(Vertical):
    """A list of conversations; hidden until `show`."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close the list", show=False)]

    class Chosen(Message):
        """A conversation was chosen to go on with."""

        def __init__(self, conversation: str) -> None:
            super().__init__()
            self.conversation = conversation

    class Left(Message):
        """The list was closed without a choice."""

    def __init__(self) -> None:
        super().__init__(id="sidebar")
        self.display = False

    def compose(self) -> ComposeResult:
        """A title above the list."""
        yield Static("Conversations", classes="title")
        yield OptionList(markup=False)
        yield Static("Nothing saved yet", classes="empty")

    def show(self, conversations: Iterable[Summary], current: str | None) -> None:
        """List `conversations`, with the one that is open highlighted."""
        options = self.query_one(OptionList)
        options.clear_options()
        now = time.time()
        for summary in conversations:
            title = safe_line(summary.title) or "Untitled"
            count = f"{summary.messages} message{'s' * (summary.messages != 1)}"
            about = f"{ago(now - summary.updated)} · {count}"
            prompt = Content.assemble((title, "bold" if summary.id == current else ""), "\n", (about, "dim"))
            options.add_option(Option(prompt, id=summary.id))
        self.query_one(".empty").display = options.option_count == 0
        options.display = options.option_count > 0
        ids = [option.id for option in options.options]
        options.highlighted = ids.index(current) if current in ids else (0 if ids else None)
        self.display = True
        options.focus()

    def action_leave(self) -> None:
        """Back to the conversation."""
        self.post_message(self.Left())

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id is not None:
            self.post_message(self.Chosen(event.option_id))
