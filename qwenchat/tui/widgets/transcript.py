"""The conversation on screen: its latest messages, following the end while the reader is there."""

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from qwenchat.chat import messages
from qwenchat.tui.widgets.message import Prompt, Reply, widget_of
from qwenchat.tui.widgets.reasoning import Reasoning

WINDOW = 50
"""How many messages are mounted at first, and how many more each time the reader asks for earlier ones."""


class Welcome(Vertical):
    """What an empty conversation shows."""

    KEYS = (
        ("Enter", "send the message"),
        ("Ctrl+J", "break the line"),
        ("Ctrl+T", "thinking on or off"),
        ("Ctrl+B", "saved conversations"),
        ("Ctrl+P", "all commands"),
        ("F1", "help"),
    )

    def compose(self) -> ComposeResult:
        """The name, and the keys to begin with."""
        yield Static(Content.styled("qwenchat", "bold $primary"))
        yield Static(Content("A private conversation, on your own machine."))
        rows = [Content.assemble((f"{key:<9}", "$primary"), (what, "$foreground 65%")) for key, what in self.KEYS]
        yield Static(Content("\n").join(rows), classes="keys")


class Earlier(Static):
    """The line above the first mounted message that brings the ones before it."""

    class Wanted(Message):
        """The reader wants the earlier messages."""

    def on_click(self) -> None:
        """A click anywhere on the line."""
        self.post_message(self.Wanted())


class Transcript(VerticalScroll, can_focus=False):
    """The messages being read; the keys stay with the composer, also after a click here."""

    def __init__(self) -> None:
        super().__init__(id="transcript")
        self._path: list[messages.Message] = []
        self._widgets: dict[str, Prompt | Reply] = {}

    def compose(self) -> ComposeResult:
        """The welcome, until there is a message."""
        yield Earlier()
        yield Welcome()

    def on_mount(self) -> None:
        """Follow the end from the start."""
        self.query_one(Earlier).display = False
        self.anchor()

    @property
    def following(self) -> bool:
        """Whether the reader is at the end, so that the view moves with new text."""
        return self._anchored and not self._anchor_released

    @property
    def replies(self) -> list[Reply]:
        """The mounted replies, oldest first."""
        return [widget for widget in self._widgets.values() if isinstance(widget, Reply)]

    def reply(self, message_id: str | None) -> Reply | None:
        """The mounted reply with that id."""
        widget = self._widgets.get(message_id or "")
        return widget if isinstance(widget, Reply) else None

    def release_anchor(self) -> None:
        """Let go of the end, unless all there is can be seen: then there is nothing to scroll away to."""
        if self.max_scroll_y > 0:
            super().release_anchor()

    def follow(self) -> None:
        """Go to the end and stay there as text comes."""
        self.anchor()

    def show(self, path: Sequence[messages.Message]) -> None:
        """Show the messages of `path`: those no longer in it go, new ones come at the end, the others stay."""
        self._path = list(path)
        wanted = {message.id for message in path}
        for message_id in [key for key in self._widgets if key not in wanted]:
            self._widgets.pop(message_id).remove()
        at = next((i for i in reversed(range(len(self._path))) if self._path[i].id in self._widgets), None)
        missing = self._path[-WINDOW:] if at is None else self._path[at + 1 :]
        self.mount_all(self._made(missing))
        if len(self._widgets) > 2 * WINDOW and self.following:
            for message_id in list(self._widgets)[:-WINDOW]:
                self._widgets.pop(message_id).remove()
        self.query_one(Welcome).display = not self._widgets
        self._count_earlier()

    @on(Reasoning.Toggled)
    def _thought_toggled(self, event: Reasoning.Toggled) -> None:
        """Keep the heading of an opened thought in view; follow on when folding brings the end back."""
        event.stop()
        thought = event.reasoning
        if thought.live:
            return
        if thought.opened:
            super().release_anchor()
            self.call_after_refresh(self.scroll_to_widget, thought, animate=False)
        else:
            self.call_after_refresh(self._follow_if_at_end)

    def _follow_if_at_end(self) -> None:
        if self.is_vertical_scroll_end:
            self.follow()

    @on(Earlier.Wanted)
    async def show_earlier(self) -> None:
        """Mount the messages before the first mounted one; what is being read keeps its place."""
        first = self._first()
        if first == 0:
            return
        older = self._path[max(0, first - WINDOW) : first]
        later = self._widgets
        self._widgets = {}
        widgets = self._made(older)
        self._widgets.update(later)
        for widget in widgets:
            widget.display = False
        await self.mount_all(widgets, after=self.query_one(Earlier))
        below = self.max_scroll_y - self.scroll_y
        self.release_anchor()
        for widget in widgets:
            widget.display = True
        self._count_earlier()
        self.call_after_refresh(lambda: self.scroll_to(y=self.max_scroll_y - below, animate=False))

    def _made(self, some: Sequence[messages.Message]) -> list[Prompt | Reply]:
        made = [widget for message in some if (widget := widget_of(message)) is not None]
        self._widgets.update((widget.message_id, widget) for widget in made)
        return made

    def _first(self) -> int:
        """Where in the path the first mounted message stands."""
        return next((i for i, message in enumerate(self._path) if message.id in self._widgets), 0)

    def _count_earlier(self) -> None:
        line, hidden = self.query_one(Earlier), self._first()
        line.display = hidden > 0
        line.update(Content(f"↑ show {min(hidden, WINDOW)} of {hidden} earlier messages"))
