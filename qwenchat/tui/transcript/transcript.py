"""The conversation on screen: its latest messages, following the end while the reader is there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import AwaitMount, Widget

from qwenchat.chat import messages
from qwenchat.i18n.texts import count
from qwenchat.tui.transcript.edge import Edge
from qwenchat.tui.transcript.message import AssistantMessage, widget_of
from qwenchat.tui.transcript.message_base import MessageWidget
from qwenchat.tui.transcript.prompt import FoldedText
from qwenchat.tui.transcript.reasoning import Reasoning
from qwenchat.tui.transcript.tool_block import ToolBlock
from qwenchat.tui.transcript.viewed import FollowingPane
from qwenchat.tui.transcript.welcome import Welcome

WINDOW = 50
"""How many messages are mounted at first."""
MOST = 100
"""How many are mounted at most while one reads."""
STEP = 20
"""How many come when an edge is near."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What stands at the top of the view: a message, and how much of it is above, in shares of its height."""

    said: MessageWidget
    share: float


class Transcript(FollowingPane, can_focus=False):
    """The messages being read; the keys stay with the composer, until a message is chosen.

    Of a long conversation only a window is mounted, which moves with the reader and otherwise follows the end.
    """

    def __init__(self, *, choosable: bool = False) -> None:
        super().__init__(id="transcript")
        self._choosable = choosable
        self._path: list[messages.Message] = []
        self._widgets: dict[str, MessageWidget] = {}
        self._start = self._stop = 0
        """The window: the mounted part of the path."""
        self._earlier, self._later = Edge(), Edge()
        self.welcome = Welcome()
        """What an empty conversation shows."""
        self._siblings: Callable[[str], Sequence[str]] = lambda message_id: ()
        self._results: dict[str, messages.ToolResultPart] = {}
        """What calls of tools in the path gave, by their ids."""
        self._place: _Place | None = None
        self._moving = False

    class Reached(Message):
        """The window has come to the end, where a reply may be growing that it does not show yet."""

    def compose(self) -> ComposeResult:
        """The welcome, until there is a message."""
        yield self._earlier
        yield self.welcome
        yield self._later

    def on_mount(self) -> None:
        """Follow the end from the start."""
        self.anchor()

    @property
    def replies(self) -> list[AssistantMessage]:
        """The mounted replies, oldest first."""
        return [widget for widget in self._widgets.values() if isinstance(widget, AssistantMessage)]

    @property
    def chosen(self) -> MessageWidget | None:
        """The message that takes the keys."""
        focused = self.screen.focused
        return focused if isinstance(focused, MessageWidget) else None

    def call(self, call_id: str) -> ToolBlock | None:
        """The mounted call of a tool with that id, the latest one."""
        return next((reply.calls[call_id] for reply in reversed(self.replies) if call_id in reply.calls), None)

    def said(self, message_id: str) -> MessageWidget | None:
        """The mounted message with that id."""
        return self._widgets.get(message_id)

    def reply(self, message_id: str | None) -> AssistantMessage | None:
        """The mounted reply with that id."""
        widget = self._widgets.get(message_id or "")
        return widget if isinstance(widget, AssistantMessage) else None

    def follow(self) -> None:
        """Go to the end and stay there as text comes."""
        if self._stop < len(self._path):
            self._set_window(max(0, len(self._path) - WINDOW), len(self._path))
            self.post_message(self.Reached())
        self.anchor()

    async def go_to_top(self) -> None:
        """Go to the first message."""
        self.release_anchor()
        await self._move(0, min(WINDOW, len(self._path)), jump=True)
        self.scroll_home(animate=False, immediate=True)

    def show(self, path: Sequence[messages.Message], siblings: Callable[[str], Sequence[str]] | None = None) -> None:
        """Show the messages of `path`: those no longer in it go, new ones come to their places, the others stay.

        `siblings` gives the ids of all versions of a message.
        """
        self._siblings = siblings or self._siblings
        at_end = self._stop == len(self._path)
        self._path = list(path)
        self._results = {
            part.call_id: part
            for message in path
            if message.role is messages.Role.TOOL
            for part in message.parts
            if isinstance(part, messages.ToolResultPart)
        }
        there = [at for at, message in enumerate(path) if message.id in self._widgets]
        stop = len(path) if at_end or not there else there[-1] + 1
        start = there[0] if there else max(0, len(path) - WINDOW)
        if (self._start == 0 and there) or stop <= WINDOW:
            start = 0
        if stop - start > MOST and self.following:
            start = stop - WINDOW
        self._set_window(start, stop)
        for message in self._path[start:stop]:
            if (widget := self._widgets.get(message.id)) is not None:
                widget.show_versions(self._siblings(message.id))
                if (
                    isinstance(widget, AssistantMessage)
                    and not widget.ended
                    and message.status is not messages.Status.STREAMING
                ):
                    widget.finish(message)
        for reply in self.replies:
            reply.show_results(self._results)
        self.welcome.display = not self._widgets

    def _set_window(self, start: int, stop: int, *, hidden: bool = False) -> tuple[AwaitMount, ...]:
        """Mount what is missing of that part of the path, and take away what is not in it; if `hidden`, unseen."""
        wanted = {message.id for message in self._path[start:stop]}
        for message_id in [key for key in self._widgets if key not in wanted]:
            gone = self._widgets.pop(message_id)
            if hidden:
                gone.display = False
            gone.remove()
        there, self._widgets = self._widgets, {}
        mounting: list[AwaitMount] = []
        missing: list[messages.Message] = []
        for message in self._path[start:stop]:
            if message.id not in there:
                missing.append(message)
                continue
            mounting += self._mount_before(there[message.id], missing, hidden)
            missing = []
            self._widgets[message.id] = there[message.id]
        mounting += self._mount_before(self._later, missing, hidden)
        self._start, self._stop = start, stop
        self._count_beyond()
        return tuple(mounting)

    def _mount_before(self, place: Widget, some: Sequence[messages.Message], hidden: bool) -> Iterator[AwaitMount]:
        made: list[MessageWidget] = [widget for widget in map(widget_of, some) if widget is not None]
        for widget in made:
            widget.choosable = self._choosable
            widget.display = not hidden
            widget.show_versions(self._siblings(widget.message_id))
            if isinstance(widget, AssistantMessage):
                widget.show_results(self._results)
            self._widgets[widget.message_id] = widget
        if made:
            yield self.mount_all(made, before=place)

    async def _move(self, start: int, stop: int, *, jump: bool = False) -> None:
        """Move the window; what stands at the top of the view stays there, unless the reader wants to go elsewhere."""
        if (start, stop) == (self._start, self._stop) or self._moving:
            return
        self._moving = True
        place = self._place
        try:
            for mounting in self._set_window(start, stop, hidden=True):
                await mounting
            with self.app.batch_update():
                for widget in self._widgets.values():
                    widget.display = True
                self.screen._refresh_layout()
                if jump:
                    self.scroll_home(animate=False, immediate=True)
                else:
                    self._return_to(place)
        finally:
            self._moving = False
        if stop == len(self._path):
            self.post_message(self.Reached())

    async def go_to(self, message_id: str) -> None:
        """Choose that message and bring it into view, wherever it is; another is passed over."""
        if await self.reach(message_id):
            self.call_after_refresh(self.choose, message_id)

    async def reach(self, message_id: str) -> bool:
        """Mount that message, wherever it is; says whether it is in the conversation."""
        at = next((at for at, message in enumerate(self._path) if message.id == message_id), None)
        if at is None:
            return False
        if not self._start <= at < self._stop:
            self.release_anchor()
            await self._move(max(0, at - WINDOW // 2), min(len(self._path), at + WINDOW // 2), jump=True)
        return True

    def bring_row_into_view(self, row: int) -> None:
        """Scroll to a row unless it is in view, with some of what comes before it."""
        self.release_anchor()
        if not self.scroll_y <= row < self.scroll_y + self.size.height - 1:
            self.scroll_to(y=row - self.size.height // 3, animate=False, immediate=True)
        self._follow_if_at_end()

    def choose(self, message_id: str) -> None:
        """Let a mounted message take the keys, in view."""
        widget = self._widgets.get(message_id)
        if widget is None:
            return
        widget.choose()
        self.call_after_refresh(self._bring_into_view, widget)

    def _bring_into_view(self, widget: MessageWidget) -> None:
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
        beyond = self._start - 1 if at < 0 else self._stop if at >= len(shown) else -1
        if 0 <= beyond < len(self._path):
            self.call_later(self.go_to, self._path[beyond].id)
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

    @on(FoldedText.Toggled)
    def _pasted_toggled(self, event: FoldedText.Toggled) -> None:
        """Likewise for what was pasted or attached."""
        event.stop()
        self._toggled(event.folded, event.folded.opened)

    @on(ToolBlock.Toggled)
    def _call_toggled(self, event: ToolBlock.Toggled) -> None:
        """Likewise for a call of a tool."""
        event.stop()
        self._toggled(event.block, event.block.opened)

    def _toggled(self, what: Widget, opened: bool) -> None:
        if opened:
            VerticalScroll.release_anchor(self)
            if not what.region:
                self.scroll_to_widget(
                    next(node for node in what.ancestors if isinstance(node, MessageWidget)), animate=False
                )
            self.call_after_refresh(self.scroll_to_widget, what, animate=False)
            self.call_after_refresh(self._follow_if_at_end)
        else:
            self.call_after_refresh(self._follow_if_at_end)

    def _follow_if_at_end(self) -> None:
        if self.is_vertical_scroll_end or self.max_scroll_y <= 0:
            self.follow()

    @on(Edge.Wanted)
    async def _wanted(self, event: Edge.Wanted) -> None:
        """A click on one of the lines at the edges."""
        event.stop()
        await (self._show_earlier() if event.edge is self._earlier else self._show_later())

    async def _show_earlier(self) -> None:
        """Let the window reach further up; what is far below goes."""
        start = max(0, self._start - STEP)
        self.release_anchor()
        await self._move(start, self._stop if self.following else min(self._stop, start + MOST))

    async def _show_later(self) -> None:
        """Let the window reach further down; what is far above goes."""
        stop = min(len(self._path), self._stop + STEP)
        await self._move(max(self._start, stop - MOST), stop)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Keep what stands at the top in mind, and bring more when an edge comes near."""
        super().watch_scroll_y(old_value, new_value)
        if self._moving or self.following or not self.is_attached:
            return
        self._place = self._at_top()
        near = self.size.height
        if new_value < min(near, old_value) and self._start > 0:
            self.call_later(self._show_earlier)
        elif new_value > max(old_value, self.max_scroll_y - near) and self._stop < len(self._path):
            self.call_later(self._show_later)

    def on_resize(self) -> None:
        """Another width wraps the text otherwise: the message that was being read stays where it was."""
        if not self.following:
            self.call_after_refresh(self._return_to, self._place)
            # Another height may call for other styles, and they for another layout.
            self.call_after_refresh(self.call_after_refresh, self._return_to, self._place)

    def _at_top(self) -> _Place | None:
        for widget in self._widgets.values():
            region = widget.virtual_region
            if region.height and region.bottom > self.scroll_y:
                return _Place(widget, (self.scroll_y - region.y) / region.height)
        return None

    def _return_to(self, place: _Place | None) -> None:
        """Scroll so that what stood at the top stands there again."""
        if place is not None and place.said.is_attached and place.said.display and not self.following:
            region = place.said.virtual_region
            self.scroll_to(y=region.y + place.share * region.height, animate=False, immediate=True)

    def _count_beyond(self) -> None:
        above, below = self._start, len(self._path) - self._stop
        self._earlier.count(count("↑ one earlier message", "↑ {number} earlier messages", above), above)
        self._later.count(count("↓ one later message", "↓ {number} later messages", below), below)
