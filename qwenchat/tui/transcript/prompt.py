"""What the user said, or the system prompt, with its code; what was pasted or attached is folded to a line."""

from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from qwenchat.chat import messages
from qwenchat.chat.draft import PASTED
from qwenchat.chat.messages import TextPart
from qwenchat.chat.text import safe, safe_line
from qwenchat.i18n.texts import say
from qwenchat.session.attachments import content_of
from qwenchat.tui.text.pasted import measure
from qwenchat.tui.transcript.markdown import RenderedMarkdown
from qwenchat.tui.transcript.message_base import MessageWidget
from qwenchat.tui.transcript.reasoning import ReasoningHeading

LONGEST_SHOWN = 20_000
"""Characters of one text that are drawn; a whole book would make every redraw slow."""

MOST_BLOCKS = 12
"""Blocks of code that are made of one text; each takes about 10 ms."""


def prompt_shown(text: str) -> Content:
    """A text as far as it is drawn, and how much more there is of it."""
    text = safe(text)
    if len(text) <= LONGEST_SHOWN:
        return Content(text)
    more = f"{len(text) - LONGEST_SHOWN:,}"
    rest = say("… and {more} more characters, which the model reads too", more=more)
    return Content.assemble(text[:LONGEST_SHOWN], "\n", (rest, "$quiet"))


def with_code(text: str) -> Iterator[Widget]:
    """A text as it was typed, with the code between fences in it as blocks of code, unless that would be slow."""
    lines = safe(text).replace("\r\n", "\n").split("\n")
    fences = tuple(_fences(lines)) if len(text) <= LONGEST_SHOWN else ()
    at = 0
    for fence in fences if len(fences) <= MOST_BLOCKS else ():
        if before := "\n".join(lines[at : fence.start]).strip("\n"):
            yield Static(Content(before))
        yield RenderedMarkdown("\n".join(lines[fence.start : fence.stop]))
        at = fence.stop
    if at == 0:
        yield Static(prompt_shown(text))
    elif after := "\n".join(lines[at:]).strip("\n"):
        yield Static(Content(after))


def _fences(lines: Sequence[str]) -> Iterator[range]:
    """The lines of each fence of code that is closed."""
    for token in MarkdownIt("zero").enable("fence").parse("\n".join(lines)):
        if token.type == "fence" and token.map is not None:
            start, stop = token.map
            if stop - start > 1 and not lines[stop - 1].strip().strip(token.markup[0]):
                yield range(start, stop)


class FoldedText(Vertical):
    """A text that was pasted or attached: a line that says what it is, and opens and folds by a click."""

    class Toggled(Message):
        """The reader opened or folded it."""

        def __init__(self, folded: "FoldedText") -> None:
            super().__init__()
            self.folded = folded

    def __init__(self, part: TextPart) -> None:
        super().__init__(classes="folded")
        self._part = part
        self._heading = ReasoningHeading(classes="heading")
        self._body = Static(classes="body")
        self._body.display = False
        self._say()

    def compose(self) -> ComposeResult:
        """The line, and below it the text."""
        yield self._heading
        yield self._body

    @property
    def text(self) -> str:
        """All of it, open or folded."""
        return safe(self._part.text)

    @property
    def opened(self) -> bool:
        """Whether the text is shown."""
        return self._body.display

    @opened.setter
    def opened(self, opened: bool) -> None:
        if opened and not self.opened:
            self._body.update(prompt_shown(self._part.text.strip("\n")))
        self._body.display = opened
        self._say()

    def turn(self, on: bool) -> None:
        """Open or fold it, as the reader wants."""
        self.opened = on
        self.post_message(self.Toggled(self))

    def _say(self) -> None:
        name = say("Pasted") if self._part.origin == PASTED else safe_line(self._part.origin)
        arrow = "▾" if self.opened else "▸"
        self._heading.update(Content(f"{arrow} {name}  {measure(content_of(self._part))}"))

    @on(ReasoningHeading.Clicked)
    def _toggle(self, event: ReasoningHeading.Clicked) -> None:
        event.stop()
        self.turn(not self.opened)


class UserMessage(MessageWidget):
    """What the user, or the system prompt, said."""

    def __init__(self, message: messages.Message) -> None:
        super().__init__(message.id, classes=message.role.value)
        parts = [part for part in message.parts if isinstance(part, TextPart)]
        self._pieces: list[Widget] = []
        for part in parts:
            if part.origin:
                self._pieces.append(FoldedText(part))
            elif part.text.strip() or len(parts) == 1:
                self._pieces += with_code(part.text.strip("\n") if len(parts) > 1 else part.text)

    def compose(self) -> ComposeResult:
        """The words, and which version of them this is."""
        if self.has_class("system"):
            yield Static(say("System prompt"), classes="label aside")
        for piece in self._pieces:
            piece.add_class("body")
            yield piece
        yield self.versions
        yield self.more

    def action_unfold(self) -> None:
        """Open all that is folded, or fold all."""
        folded = [piece for piece in self._pieces if isinstance(piece, FoldedText)]
        if not folded:
            self.notify(say("Nothing is folded in this message."), markup=False)
        on = not all(piece.opened for piece in folded)
        for piece in folded:
            piece.turn(on)
