"""A call of a tool: a line with its name, its arguments and what came of it, which opens and folds."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from qwenchat.chat.messages import ToolCallPart, ToolResultPart
from qwenchat.chat.text import safe_line
from qwenchat.console.permission import arguments_shown, name_shown
from qwenchat.i18n.texts import say
from qwenchat.tui.transcript.prompt import prompt_shown
from qwenchat.tui.transcript.reasoning import ReasoningHeading

LONGEST_ARGUMENT = 40
LONGEST_RESULT = 80


class ToolBlock(Vertical):
    """One call; its text is untrusted and shown as the text it is."""

    class Toggled(Message):
        """The reader opened or folded it."""

        def __init__(self, block: "ToolBlock") -> None:
            super().__init__()
            self.block = block

    def __init__(self, call: ToolCallPart) -> None:
        super().__init__()
        self.call = call
        self._result: ToolResultPart | None = None
        self._state = ""
        self._heading = ReasoningHeading(classes="heading")
        self._body = Static(classes="body")
        self._body.display = False
        self._draw()

    def compose(self) -> ComposeResult:
        """The line, and below it arguments and result."""
        yield self._heading
        yield self._body

    @property
    def text(self) -> str:
        """Arguments and result, open or folded."""
        return self._whole().plain

    @property
    def opened(self) -> bool:
        """Whether arguments and result are shown in full."""
        return self._body.display

    @opened.setter
    def opened(self, opened: bool) -> None:
        self._body.display = opened
        self._draw()

    def turn(self, on: bool) -> None:
        """Open or fold it, as the reader wants."""
        self.opened = on
        self.post_message(self.Toggled(self))

    def say(self, state: str) -> None:
        """Tell what is going on with a call that has no result yet."""
        if state != self._state:
            self._state = state
            self._draw()

    def settle(self, result: ToolResultPart) -> None:
        """Show what came of it."""
        if result != self._result:
            self._result = result
            self._draw()

    @on(ReasoningHeading.Clicked)
    def _toggle(self, event: ReasoningHeading.Clicked) -> None:
        event.stop()
        self.turn(not self.opened)

    def _draw(self) -> None:
        self._heading.update(self._line())
        if self.opened:
            self._body.update(self._whole())

    def _line(self) -> Content:
        arguments = ", ".join(safe_line(value, LONGEST_ARGUMENT) for _, value in arguments_shown(self.call))
        name = safe_line(name_shown(self.call), 64) or say("something that is no call")
        mark = "▾" if self.opened else "▸"
        return Content.assemble(f"{mark} {name}({arguments}) ", *self._outcome())

    def _outcome(self) -> tuple[tuple[str, str], ...]:
        if self._result is None:
            return ((self._state, "$primary"),)
        text = safe_line(self._result.text, LONGEST_RESULT)
        if self._result.failed:
            return ((say("failed: {text}", text=text), "$warning"),)
        return (("→ ", "$primary"), (text, "$foreground 85%"))

    def _whole(self) -> Content:
        lines = [Content(f"{name}: {value}" if name else value) for name, value in arguments_shown(self.call)]
        if self._result is not None:
            lines += [Content(""), prompt_shown(self._result.text)]
        return Content("\n").join(lines)
