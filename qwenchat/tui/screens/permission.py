"""May a tool run? The call with all its arguments, and the four answers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Static

from qwenchat.chat.messages import ToolCallPart
from qwenchat.console.permission import arguments_shown, name_shown
from qwenchat.i18n.texts import say
from qwenchat.session.tool_calls import Permission
from qwenchat.tui.transcript.long_list import LongList

PAUSE_S = 0.7
"""The question may come while one writes: keys count only once there was so long none."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """One answer."""

    permission: Permission
    letter: str
    text: str

    @property
    def key(self) -> str:
        """What is given back."""
        return self.permission

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """The letter and what it means."""
        return Content.assemble((f"{self.letter}  ", "$primary"), self.text)


def _choices() -> tuple[_Choice, ...]:
    return (
        _Choice(Permission.REFUSE, "N", say("no: the model is told so, and goes on")),
        _Choice(Permission.ONCE, "Y", say("yes, this once")),
        _Choice(Permission.CHAT, "C", say("yes, in this chat")),
        _Choice(Permission.ALWAYS, "A", say("always, in every chat")),
    )


class PermissionScreen(ModalScreen[Permission]):
    """Gives back what the user says about a call."""

    CSS_PATH = "permission.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer('once')", "Let it run this once", id="permission.once", show=False),
        Binding("c", "answer('chat')", "Let it run, now and later in this chat", id="permission.chat", show=False),
        Binding("a", "answer('always')", "Let it run, now and in every chat", id="permission.always", show=False),
        Binding("n", "answer('refuse')", "Do not let it run", id="permission.refuse", show=False),
        Binding("escape", "refuse", "Do not let it run, at once", id="permission.leave", show=False),
        Binding("up", "move(-1)", "The answer above", id="permission.up", show=False),
        Binding("down", "move(1)", "The answer below", id="permission.down", show=False),
        Binding("enter", "choose", "Give the highlighted answer", id="permission.choose", show=False),
        Binding("pageup", "scroll(-1)", "Earlier arguments", id="permission.page_up", show=False),
        Binding("pagedown", "scroll(1)", "Later arguments", id="permission.page_down", show=False),
    ]

    def __init__(self, call: ToolCallPart, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._call = call
        self._clock = clock
        self._last_key = clock()
        self._attended = False
        """Whether the keys are meant for this question."""
        self._list = LongList()
        self._list.can_focus = False  # the keys stay with the screen, which looks at when they come

    def compose(self) -> ComposeResult:
        """The name, the arguments, which scroll, and the answers."""
        name = name_shown(self._call)
        with Vertical(id="panel"):
            yield Static(Content.assemble(say("The model wants to call "), (name, "bold")), id="title")
            with VerticalScroll(id="arguments", can_focus=False):
                yield Static(self._arguments())
            yield self._list

    def on_mount(self) -> None:
        """The highlight begins on no."""
        self._list.show(_choices(), 0)

    def on_key(self, event: Key) -> None:
        """Every key comes here before what it is bound to is done."""
        before, self._last_key = self._last_key, self._clock()
        self._attended |= self._last_key - before >= PAUSE_S

    def action_answer(self, permission: str) -> None:
        """Give an answer by its letter."""
        if self._attended:
            self.dismiss(Permission(permission))

    def action_choose(self) -> None:
        """Give the highlighted answer."""
        if self._attended:
            self._list.action_choose()

    def action_refuse(self) -> None:
        """Say no, however soon."""
        self.dismiss(Permission.REFUSE)

    def action_move(self, by: int) -> None:
        """Highlight another answer."""
        self._list.action_move(by)

    def action_scroll(self, by: int) -> None:
        """Read on in the arguments."""
        place = self.query_one("#arguments", VerticalScroll)
        place.scroll_relative(y=by * max(1, place.size.height - 1), animate=False)

    @on(LongList.Selected)
    def _selected(self, event: LongList.Selected) -> None:
        self.dismiss(Permission(event.key))

    def _arguments(self) -> Content:
        rows = arguments_shown(self._call)
        if not rows:
            return Content.styled(say("without arguments"), "$quiet")
        return Content("\n").join(
            Content.assemble((f"{name}: " if name else "", "$primary"), value) for name, value in rows
        )
