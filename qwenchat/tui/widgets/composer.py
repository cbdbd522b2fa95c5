"""Where messages are written: several lines, a draft that is kept, Enter sends."""

import time
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.document._document import Selection
from textual.events import Blur, Click, Key, Paste
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from qwenchat.chat.draft import Draft, PastedBlock
from qwenchat.chat.text import safe, safe_line
from qwenchat.chat.timeline import Tick, Typing
from qwenchat.i18n.texts import say
from qwenchat.session import attachments
from qwenchat.tui.text import graphemes
from qwenchat.tui.text.completion import CompletionItem
from qwenchat.tui.text.pasted import PastedBlocks, is_long
from qwenchat.tui.widgets.completer import Completer
from qwenchat.tui.widgets.dropdown import Dropdown

Location = tuple[int, int]
HELD_S = 1.0
"""A key that is still held down when nothing is left to delete does not quit."""
LONGEST_OPENED = 100_000
"""Characters of a paste that can be made text again; a longer one is shown in a screen of its own."""


class Composer(TextArea):
    """The draft of the next message. It can always be written in; whether it can be sent is the screen's business."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"composer--label"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send the message", show=False, id="composer.send"),
        Binding("ctrl+j,alt+enter,shift+enter", "break_line", "Break the line", show=False, id="composer.break_line"),
        Binding("alt+e", "open", "Open the paste at the cursor", show=False, id="composer.open"),
        Binding(
            "ctrl+d",
            "delete_or_quit",
            "Delete the character after; from an empty draft, quit",
            show=False,
            id="composer.quit",
        ),
        Binding("alt+d", "delete_word_right", "Delete the word after", show=False, id="composer.delete_word"),
        Binding("ctrl+underscore,super+z", "undo", "Undo", show=False, id="composer.undo"),
        Binding("ctrl+shift+z,super+y", "redo", "Redo", show=False, id="composer.redo"),
        Binding("up", "up", "Bring back your messages, from an empty draft on", show=False, id="composer.up"),
        Binding("down", "down", "After Up: forward again, to the draft", show=False, id="composer.down"),
        Binding("pageup", "page('up')", "Read further up", show=False, id="composer.page_up"),
        Binding("pagedown", "page('down')", "Read further down", show=False, id="composer.page_down"),
    ]

    class Viewed(Message):
        """The user wants to read a paste that is too long to be text in the draft."""

        def __init__(self, block: PastedBlock) -> None:
            super().__init__()
            self.block = block

    class Paged(Message):
        """The user wants to read on, `up` or down."""

        def __init__(self, up: bool) -> None:
            super().__init__()
            self.up = up

    def __init__(self) -> None:
        self._pasted = PastedBlocks()
        self._attached: tuple[tuple[str, str], ...] = ()
        """The words that name attached files, each with what it costs."""
        self._missing: tuple[str, ...] = ()
        """Words that look like paths and name no file."""
        self._covered = False
        self._wrapped_for: tuple[object, int, int] | None = None
        """The text, its width and that of its tabs, when it was last wrapped as a whole."""
        super().__init__(
            id="composer", soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False, tab_behavior="focus",
            placeholder=say("Write a message"),
        )  # fmt: skip
        self._hint = ""
        self._typing = Typing()
        self.dropdown = Dropdown()
        self._deleted_at = 0.0
        """When Ctrl+D was pressed last and deleted something."""
        self.recall: Callable[[int], bool] = lambda by: False
        """Brings an earlier (-1) or later (1) message back; False when the cursor is to move."""
        self.soft_switches = True
        """Whether the model handles Qwen's soft switches, so that they are offered."""
        self._completer = Completer(self, self.dropdown)

    def undo(self) -> None:
        """Take the latest edits back; what is written next is undone by itself."""
        super().undo()
        self.history.checkpoint()

    @property
    def hint_room(self) -> int:
        """How many columns of the lower edge a hint may take, between corners and blanks."""
        return self.outer_size.width - 4

    def hint(self, text: str) -> None:
        """What the lower edge says; drawn only when it changes."""
        if text != self._hint:
            self._hint = text
            self.border_subtitle = text

    def show_as_editing(self, on: bool) -> None:
        """Say whether what is written stands for a message that was sent already."""
        self.set_class(on, "-editing")
        self._show_above()

    def show_attached(self, costs: tuple[tuple[str, str], ...], missing: tuple[str, ...] = ()) -> None:
        """Mark words that name attached files; above the draft, say what each costs, and which are `missing`."""
        if (costs, missing) != (self._attached, self._missing):
            self._attached, self._missing = costs, missing
            self._line_cache.clear()
            self.refresh()
            self._show_above()

    def cover(self, on: bool) -> None:
        """Draw nothing of it, while something is shown over it that leaves a part of it free; it keeps the keys."""
        self._covered = on
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Its text and its edge, or nothing."""
        if self._covered:
            return [Strip.blank(crop.width, self.rich_style)] * crop.height
        return super().render_lines(crop)

    def _show_above(self) -> None:
        words = [say("changing your message: Enter sends, Esc leaves")] if self.has_class("-editing") else []
        words += [f"{safe_line(word)} {cost}" for word, cost in self._attached]
        words += [say("{word}: no such file", word=safe_line(word)) for word in self._missing]
        self.border_title = Content(" · ".join(words))

    def _labels(self, row: int) -> tuple[graphemes.Span, ...]:
        """Where in a line of the draft the labels of pastes and the names of attached files stand."""
        line, attached = self.document[row], {word for word, _ in self._attached}
        named = attachments.words(line) if attached else ()
        return (*self._pasted.spans(line), *((at, at + len(word)) for at, word in named if word in attached))

    def typed(self, whole: str) -> tuple[Tick, ...]:
        """How a message came to be what it is, for replay; asked for when it is sent."""
        self._typing.changed(whole)
        return self._typing.ticks()

    @property
    def draft(self) -> Draft:
        """What is written and pasted."""
        return self._pasted.draft(self.text)

    def _on_text_area_changed(self) -> None:
        """A character more or less."""
        self._typing.changed(self.draft.whole)

    async def action_send(self) -> None:
        """Send what is written; with the cursor on a paste open that."""
        if not self._open(self._label(self.cursor_location)):
            await self.run_action("screen.send")

    async def action_delete_or_quit(self) -> None:
        """Delete the character after the cursor; with an empty draft quit, as shells do."""
        now = time.monotonic()
        if self.text:
            self.action_delete_right()
            self._deleted_at = now
        elif now - self._deleted_at < HELD_S:
            self._deleted_at = now
        else:
            await self.run_action("app.quit")

    def action_open(self) -> None:
        """Make the paste at the cursor, or before it, text again."""
        row, column = self.cursor_location
        if not self._open(self._label((row, column)) or self._label((row, max(0, column - 1)))):
            self.notify(say("There is no paste at the cursor."), markup=False)

    def on_click(self, event: Click) -> None:
        """A click on a paste opens it."""
        self._open(self._label(self.get_target_document_location(event)))

    def action_break_line(self) -> None:
        """A new line at the cursor."""
        self.put("\n")

    def action_up(self) -> None:
        """One line up, or a message further back."""
        if not self.recall(-1):
            self.action_cursor_up()

    def action_down(self) -> None:
        """One line down, or a message further on."""
        if not self.recall(1):
            self.action_cursor_down()

    def action_page(self, way: str) -> None:
        """Scroll what is being read; the composer itself is short."""
        self.post_message(self.Paged(way == "up"))

    def write(self, draft: Draft | str) -> None:
        """Replace the draft, with the cursor at its end."""
        draft = Draft(draft) if isinstance(draft, str) else draft
        self._pasted.begin(draft)
        self.load_text(safe(draft.text))
        self.move_cursor(self.document.end)
        self._completer.close()

    def put(self, text: str) -> None:
        """Insert `text` at the cursor, in place of what is selected."""
        start, end = self.selection
        self.move_cursor(self.replace(text, start, end, maintain_selection_offset=False).end_location)

    def complete(self, choice: CompletionItem) -> None:
        """Write `choice` in place of the word at the cursor."""
        self._completer.accept(choice)

    # Keys and pastes, in the order in which they came

    async def _on_key(self, event: Key) -> None:
        """Do at once what the key is for: one that bubbled up would wait for all that is drawn in between.

        Alt with a letter that is for nothing writes nothing.
        """
        if await self._reads_switches(event) or event.key.startswith("alt+"):
            event.stop()
            event.prevent_default()

    async def _reads_switches(self, event: Key) -> bool:
        """Whether the key is bound to something, which is done then."""
        if await self._completer.reads_switches(event):
            return True
        bound = self.app._check_bindings
        typed = event.is_printable and "+" not in event.key  # Alt with a letter has a character, too
        return await bound(event.key, priority=True) or (not typed and await bound(event.key))

    def _watch_selection(self, previous_selection: Selection, selection: Selection) -> None:
        super()._watch_selection(previous_selection, selection)
        if self.is_mounted:
            self._completer.look()

    def _on_blur(self, event: Blur) -> None:
        """What is offered goes with the focus."""
        self._completer.close()

    def before_cursor(self) -> str | None:
        """The cursor's line as far as the cursor; None while something is selected."""
        row, column = self.cursor_location
        return self.document[row][:column] if self.selection.is_empty else None

    def put_over(self, start: Location, text: str) -> None:
        """Write `text` in place of what stands from `start` to the cursor."""
        self.replace(text, start, self.cursor_location, maintain_selection_offset=False)

    async def _on_paste(self, event: Paste) -> None:
        """Pasted text goes into the draft without control sequences, and is never sent by itself."""
        event.stop()
        event.prevent_default()
        text = safe(event.text)
        self.put(self._pasted.take(text).label if is_long(text) else text)
        self.focus()

    def _label(self, at: Location) -> tuple[Location, Location] | None:
        """From where to where the label stands that is at that place."""
        row, column = at
        if not self.selection.is_empty:
            return None
        spans = self._labels(row)
        return next((((row, start), (row, end)) for start, end in spans if start <= column < end), None)

    def _open(self, label: tuple[Location, Location] | None) -> bool:
        """Put what was pasted in place of its label, or show it where it is too long for that."""
        block = self._pasted.block(self.get_text_range(*label)) if label else None
        if label is None or block is None:
            return False
        if len(block.text) > LONGEST_OPENED:
            self.post_message(self.Viewed(block))
        else:
            self.replace(block.text, *label, maintain_selection_offset=False)
            self.move_cursor(label[0])
        return True

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As high as its text, up to a third of the screen.

        Said here, since a box that is as high as its content is measured without regard for a `max-height` in `vh`.
        """
        return min(super().get_content_height(container, viewport, width), viewport.height // 3 - self.gutter.height)

    # Whole characters

    def get_cursor_left_location(self) -> Location:
        """One character to the left, as people see characters."""
        row, column = self.cursor_location
        if column == 0:
            return super().get_cursor_left_location()
        return row, graphemes.before(self.document[row], column, self._labels(row))

    def get_cursor_right_location(self) -> Location:
        """One character to the right, as people see characters."""
        row, column = self.cursor_location
        if column >= len(self.document[row]):
            return super().get_cursor_right_location()
        return row, graphemes.around(self.document[row], column, self._labels(row))[1]

    def _validate_selection(self, selection: Selection) -> Selection:
        """No end of a selection is inside a character."""
        start, end = super()._validate_selection(selection)
        return Selection(self._snapped(start), self._snapped(end))

    def _snapped(self, location: Location) -> Location:
        row, column = location
        return row, graphemes.snapped(self.document[row], column, self._labels(row))

    @property
    def _draw_cursor(self) -> bool:
        """Whether TextArea is to mark the cursor, which it does on a single code point."""
        return super()._draw_cursor and self._under_cursor is None

    @property
    def _under_cursor(self) -> graphemes.Span | None:
        """The columns of the character at the cursor if it has more than one code point."""
        row, column = self.cursor_location
        start, end = graphemes.around(self.document[row], column, self._labels(row))
        return (start, end) if end - start > 1 else None

    def get_line(self, line_index: int) -> Text:
        """A line of the draft, with the cursor on the whole of a character that has several code points."""
        line = super().get_line(line_index)
        for start, end in self._labels(line_index):
            line.stylize(self.get_component_rich_style("composer--label"), start, end)
        marked = self._under_cursor
        if marked is not None and line_index == self.cursor_location[0] and super()._draw_cursor and self._theme:
            line.stylize(self._theme.cursor_style or "", *marked)
        return line

    def _rewrap_and_refresh_virtual_size(self) -> None:
        """Wrap again only for a new width: a pasted book would be wrapped once more for each new height."""
        wrapped_for = self.wrapped_document, self.wrap_width, self.indent_width
        if wrapped_for == self._wrapped_for:
            self._refresh_size()
        else:
            self._wrapped_for = wrapped_for
            super()._rewrap_and_refresh_virtual_size()
