"""Where messages are written: several lines, a draft that is kept, Enter sends."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Paste
from textual.message import Message
from textual.widgets import TextArea

from qwenchat.chat.text import safe
from qwenchat.chat.timeline import Tick, Typing


class Composer(TextArea):
    """The draft of the next message. It can always be written in; whether it can be sent is the screen's business."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send the message", show=False, priority=True),
        Binding("ctrl+j,alt+enter,shift+enter", "break_line", "Break the line", show=False, priority=True),
        Binding("ctrl+underscore,super+z", "undo", "Undo", show=False),
        Binding("ctrl+shift+z,super+y", "redo", "Redo", show=False),
        Binding("up", "up", "Bring back the last message, when empty", show=False),
        Binding("pageup", "page('up')", "Read further up", show=False),
        Binding("pagedown", "page('down')", "Read further down", show=False),
    ]

    class Sent(Message):
        """The user wants the draft sent."""

    class Recalled(Message):
        """The user wants the last message back in the empty composer."""

    class Paged(Message):
        """The user wants to read on, `up` or down."""

        def __init__(self, up: bool) -> None:
            super().__init__()
            self.up = up

    def __init__(self) -> None:
        self._wrapped_for: tuple[object, int, int] | None = None
        """The text, its width and that of its tabs, when it was last wrapped as a whole."""
        super().__init__(
            id="composer", soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False, tab_behavior="focus",
            placeholder="Write a message",
        )  # fmt: skip
        self._hint = ""
        self._typing = Typing()

    def hint(self, text: str) -> None:
        """What the lower edge says; drawn only when it changes."""
        if text != self._hint:
            self._hint = text
            self.border_subtitle = text

    def show_as_editing(self, on: bool) -> None:
        """Say whether what is written stands for a message that was sent already."""
        self.set_class(on, "-editing")
        self.border_title = "changing your message: Enter sends, Esc leaves" if on else ""

    def typed(self) -> tuple[Tick, ...]:
        """How the draft was written, for replay; asked for when it is sent."""
        self._typing.changed(self.text)
        return self._typing.ticks()

    def _on_text_area_changed(self) -> None:
        """A character more or less."""
        self._typing.changed(self.text)

    def action_send(self) -> None:
        """Enter."""
        self.post_message(self.Sent())

    def action_break_line(self) -> None:
        """A new line at the cursor."""
        self._insert("\n")

    def action_up(self) -> None:
        """One line up, or the last message when nothing is written."""
        if self.text:
            self.action_cursor_up()
        else:
            self.post_message(self.Recalled())

    def action_page(self, way: str) -> None:
        """Scroll what is being read; the composer itself is short."""
        self.post_message(self.Paged(way == "up"))

    def write(self, text: str) -> None:
        """Replace the draft, with the cursor at its end."""
        self.load_text(safe(text))
        self.move_cursor(self.document.end)

    async def _on_paste(self, event: Paste) -> None:
        """Pasted text goes into the draft without control sequences, and is never sent by itself."""
        event.stop()
        event.prevent_default()
        self._insert(safe(event.text.replace("\r\n", "\n").replace("\r", "\n")))
        self.focus()

    def _rewrap_and_refresh_virtual_size(self) -> None:
        """Wrap again only for a new width: a pasted book would be wrapped once more for each new height."""
        wrapped_for = self.wrapped_document, self.wrap_width, self.indent_width
        if wrapped_for == self._wrapped_for:
            self._refresh_size()
        else:
            self._wrapped_for = wrapped_for
            super()._rewrap_and_refresh_virtual_size()

    def _insert(self, text: str) -> None:
        start, end = self.selection
        self.move_cursor(self.replace(text, start, end, maintain_selection_offset=False).end_location)
