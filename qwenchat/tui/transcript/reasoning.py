"""The pane that shows what the model thinks: open and live while it does, one line afterwards."""

import time
from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from qwenchat.i18n.texts import count, say
from qwenchat.tui.transcript.growing import GrowingText


def duration(seconds: float) -> str:
    """Seconds in words: "12 s", "3 min 20 s"."""
    whole = round(seconds)
    if whole < 60:
        return say("{seconds} s", seconds=whole)
    return say("{minutes} min {seconds} s", minutes=whole // 60, seconds=whole % 60)


class ReasoningHeading(Static):
    """The line above a thought; a click on it opens and folds the thought."""

    class Clicked(Message):
        """The reader wants the thought opened or folded."""

    def on_click(self, event: Click) -> None:
        """A click anywhere on the line."""
        event.stop()
        self.post_message(self.Clicked())


class Reasoning(Vertical):
    """One thought: a heading that opens and folds it, and its text, never parsed as markup."""

    class Toggled(Message):
        """The reader opened or folded a thought."""

        def __init__(self, reasoning: "Reasoning") -> None:
            super().__init__()
            self.reasoning = reasoning

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.text = ""
        self.tokens = 0
        self.seconds = 0.0
        self.live = False
        self.finished = True
        """False for a thought that broke off."""
        self.clock = clock
        """The seconds that a live thought counts; in a replay they run otherwise."""
        self._started = 0.0
        self._grown = False
        self._titled: Content | None = None
        self._heading = ReasoningHeading(classes="heading")
        self._body = GrowingText("body")
        self._body.display = False
        self.display = False

    def compose(self) -> ComposeResult:
        """The heading above the text."""
        yield self._heading
        yield self._body

    @property
    def opened(self) -> bool:
        """Whether the text can be seen."""
        return self._body.display

    @opened.setter
    def opened(self, opened: bool) -> None:
        self._body.display = opened
        self._redraw()

    def toggle(self) -> None:
        """Open it if it is folded, fold it if it is open, as the reader wants."""
        self.opened = not self.opened
        self.post_message(self.Toggled(self))

    def begin(self) -> None:
        """The model begins to think, or thinks again in the same reply."""
        if self.live:
            return
        self.live = True
        self._started = self.clock() - self.seconds
        self.display = True
        self.opened = True

    def add(self, text: str, tokens: int = 0) -> None:
        """More of the thought, already safe to show; `tick` shows it."""
        if not self.live:
            self.begin()
        self.text += text
        self.tokens += tokens
        self._grown = True

    def end(self, *, finished: bool = True, fold: bool = True) -> None:
        """The model has stopped thinking; `finished` is False if it was cut short."""
        if self.live:
            self.seconds = self.clock() - self._started
            self.live = False
        self.finished = finished
        self.display = bool(self.text.strip())
        self.opened = self.opened and not fold

    def restore(self, text: str, tokens: int, seconds: float, finished: bool) -> None:
        """Take the final text and figures of the saved reply; whether it is open stays as it is."""
        self.live = False
        self.text, self.tokens, self.seconds, self.finished = text, tokens, seconds, finished
        self.display = bool(text.strip())
        self._redraw()

    def tick(self) -> None:
        """Show what was added and let the timer of a live thought run on."""
        if self.live:
            self.seconds = self.clock() - self._started
        if self._grown:
            self._redraw()
        elif self.live:
            self._head()

    @on(ReasoningHeading.Clicked)
    def _clicked(self, event: ReasoningHeading.Clicked) -> None:
        event.stop()
        self.toggle()

    def _head(self) -> None:
        self.set_class(self.live, "-live")
        title = self._title()
        if title != self._titled:
            self._titled = title
            self._heading.update(title)

    def _title(self) -> Content:
        mark = "▾" if self.opened else "▸"
        brief = not self.live and self.seconds < 1
        time_taken = say("{seconds:.1f} s", seconds=self.seconds) if brief else duration(self.seconds)
        said = [
            say("thinking for {time}", time=time_taken) if self.live else say("thought for {time}", time=time_taken)
        ]
        if self.tokens:
            said.append(count("{number:,} token", "{number:,} tokens", self.tokens))
        if not self.live and not self.finished:
            said.append(say("broken off"))
        return Content(f"{mark} {', '.join(said)}")

    def _redraw(self) -> None:
        self._head()
        if not self.opened:
            return
        self._grown = False
        self._body.show(self.text)
