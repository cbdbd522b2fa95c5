"""The conversation on screen: its latest messages, following the end while the reader is there."""

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from qwenchat.chat import messages
from qwenchat.texts import say
from qwenchat.tui.keys import shown
from qwenchat.tui.widgets.message import Reply, widget_of
from qwenchat.tui.widgets.prompt import Folded
from qwenchat.tui.widgets.reasoning import Reasoning
from qwenchat.tui.widgets.said import Said

WINDOW = 50
"""How many messages are mounted at first, and how many more each time the reader asks for earlier ones."""


class Welcome(Vertical):
    """What an empty conversation shows."""

    def compose(self) -> ComposeResult:
        """The name, and the keys to begin with."""
        yield Static(Content.styled("qwenchat", "bold $primary"))
        yield Static(Content(say("A private conversation, on your own machine.")))
        rows = [
            Content.assemble((f"{shown(self, id_, key):<9}", "$primary"), (what, "$foreground 65%"))
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


class Earlier(Static):
    """The line above the first mounted message that brings the ones before it."""

    class Wanted(Message):
        """The reader wants the earlier messages."""

    def on_click(self) -> None:
        """A click anywhere on the line."""
        self.post_message(self.Wanted())


class Transcript(VerticalScroll, can_focus=False):
    """The messages being read; the keys stay with the composer, until a message is chosen."""

    def __init__(self, *, choosable: bool = False) -> None:
        super().__init__(id="transcript")
        self._choosable = choosable
        self._path: list[messages.Message] = []
        self._widgets: dict[str, Said] = {}
        self._siblings: Callable[[str], Sequence[str]] = lambda message_id: ()

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

    @property
    def chosen(self) -> Said | None:
        """The message that takes the keys."""
        focused = self.screen.focused
        return focused if isinstance(focused, Said) else None

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

    def show(self, path: Sequence[messages.Message], siblings: Callable[[str], Sequence[str]] | None = None) -> None:
        """Show the messages of `path`: those no longer in it go, new ones come to their places, the others stay.

        `siblings` gives the ids of all versions of a message.
        """
        self._siblings = siblings or self._siblings
        from_start = self._first() == 0
        self._path = list(path)
        wanted = {message.id for message in path}
        for message_id in [key for key in self._widgets if key not in wanted]:
            self._widgets.pop(message_id).remove()
        first = self._first() if self._widgets else max(0, len(path) - WINDOW)
        self._fill(0 if from_start and len(path) <= 2 * WINDOW and self._widgets else first)
        if len(self._widgets) > 2 * WINDOW and self.following:
            for message_id in list(self._widgets)[:-WINDOW]:
                self._widgets.pop(message_id).remove()
        for message_id, widget in self._widgets.items():
            widget.show_versions(self._siblings(message_id))
        self.query_one(Welcome).display = not self._widgets
        self._count_earlier()

    def _fill(self, start: int) -> None:
        """Mount what is missing of the path from `start` on, each before the next message that is there."""
        there = self._widgets
        self._widgets = {}
        missing: list[messages.Message] = []
        for message in self._path[start:]:
            if message.id not in there:
                missing.append(message)
                continue
            if missing:
                self.mount_all(self._made(missing), before=there[message.id])
                missing = []
            self._widgets[message.id] = there[message.id]
        if missing:
            self.mount_all(self._made(missing))

    async def go_to(self, message_id: str) -> None:
        """Choose that message and bring it into view, from earlier ones if it must be; another is passed over."""
        if all(message.id != message_id for message in self._path):
            return
        while message_id not in self._widgets and self._first() > 0:
            await self.show_earlier()
        self.call_after_refresh(self.choose, message_id)

    def choose(self, message_id: str) -> None:
        """Let a mounted message take the keys, in view."""
        widget = self._widgets.get(message_id)
        if widget is None:
            return
        widget.choose()
        self.call_after_refresh(self._bring_into_view, widget)

    def _bring_into_view(self, widget: Said) -> None:
        if widget.is_attached:
            self.release_anchor()
            self.scroll_to_widget(widget, animate=False, origin_visible=True)
            self._follow_if_at_end()

    def choose_beside(self, by: int) -> bool:
        """Choose the message before (-1) or after (1) the chosen one, or the last; False where there is none after."""
        shown, chosen = list(self._widgets), self.chosen
        if not shown:
            return False
        at = shown.index(chosen.message_id) + by if chosen and chosen.message_id in shown else len(shown) - 1
        if at < 0 and self._first() > 0:
            self.call_later(self.go_to, self._path[self._first() - 1].id)
            return True
        if at >= len(shown):
            return False
        self.choose(shown[max(0, at)])
        return True

    @on(Reasoning.Toggled)
    def _thought_toggled(self, event: Reasoning.Toggled) -> None:
        """Keep the heading of an opened thought in view; follow on when folding brings the end back."""
        event.stop()
        if not event.reasoning.live:
            self._toggled(event.reasoning, event.reasoning.opened)

    @on(Folded.Toggled)
    def _pasted_toggled(self, event: Folded.Toggled) -> None:
        """Likewise for what was pasted or attached."""
        event.stop()
        self._toggled(event.folded, event.folded.is_open)

    def _toggled(self, what: Widget, opened: bool) -> None:
        if opened:
            super().release_anchor()
            self.call_after_refresh(self.scroll_to_widget, what, animate=False)
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

    def _made(self, some: Sequence[messages.Message]) -> list[Said]:
        made: list[Said] = [widget for widget in map(widget_of, some) if widget is not None]
        for widget in made:
            widget.choosable = self._choosable
            widget.show_versions(self._siblings(widget.message_id))
            self._widgets[widget.message_id] = widget
        return made

    def _first(self) -> int:
        """Where in the path the first mounted message stands."""
        return next((i for i, message in enumerate(self._path) if message.id in self._widgets), 0)

    def _count_earlier(self) -> None:
        line, hidden = self.query_one(Earlier), self._first()
        line.display = hidden > 0
        line.update(Content(f"↑ show {min(hidden, WINDOW)} of {hidden} earlier messages"))
