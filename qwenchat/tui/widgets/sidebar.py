"""The saved conversations: found, opened, kept at hand, put away, renamed and deleted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import DescendantBlur, Resize
from textual.message import Message
from textual.widgets import Input, Static

from qwenchat.chat.errors import LibraryError
from qwenchat.chat.text import safe, safe_line
from qwenchat.i18n.texts import say
from qwenchat.library.library import Library, Summary
from qwenchat.tui.transcript.long_list import LongList
from qwenchat.tui.widgets.conversation_list import ConversationList
from qwenchat.tui.widgets.conversation_row import GUTTER, title_of
from qwenchat.tui.widgets.line import LineField


@dataclass(frozen=True, slots=True)
class _Deleted:
    summary: Summary
    was_open: bool


class Sidebar(Vertical):
    """The list of conversations; hidden until `open`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open the conversation", show=False, id="sidebar.choose"),
        Binding("slash", "filter", "Find one by its title", show=False, key_display="/", id="sidebar.filter"),
        Binding("p", "pin", "Pin it above the others, or no more", show=False, id="sidebar.pin"),
        Binding("a", "archive", "Archive it, or bring it back", show=False, id="sidebar.archive"),
        Binding("v", "archived", "Show the archived ones, or the others again", show=False, id="sidebar.archived"),
        Binding(
            "r", "rename", "Rename it: Enter keeps the new title, Esc the old one", show=False, id="sidebar.rename"
        ),
        Binding("d,delete", "delete", "Delete it", show=False, id="sidebar.delete"),
        Binding("u", "undo", "Bring back what was deleted last", show=False, id="sidebar.undo"),
        Binding("down", "into_list", show=False, id="sidebar.into_list"),
        Binding("escape", "leave", "Leave the field, the archive, then the list", show=False, id="sidebar.leave"),
    ]

    class Chosen(Message):
        """A conversation was chosen to go on with."""

        def __init__(self, conversation: str) -> None:
            super().__init__()
            self.conversation = conversation

    class Left(Message):
        """The list was closed without a choice."""

    class Deleted(Message):
        """A conversation was deleted; it may be the one that is open."""

        def __init__(self, conversation: str) -> None:
            super().__init__()
            self.conversation = conversation

    class Restored(Message):
        """A deleted conversation is back; `was_open` if it was open when it was deleted."""

        def __init__(self, conversation: str, was_open: bool) -> None:
            super().__init__()
            self.conversation = conversation
            self.was_open = was_open

    def __init__(self, library: Library) -> None:
        super().__init__(id="sidebar")
        self.display = False
        self._library = library
        self._list = ConversationList(library, self._notify_user)
        self._filter = LineField(say("part of a title"), id="filter")
        self._rename = LineField(id="rename")
        self._filter.display = self._rename.display = False
        self._renaming: Summary | None = None
        self._deleted: list[_Deleted] = []

    def compose(self) -> ComposeResult:
        """A title, the field for a part of one, the list, and what the keys do."""
        yield Static(classes="title")
        yield self._filter
        yield self._list
        yield Static(classes="hints")
        yield self._rename

    def open(self, current: str | None) -> None:
        """List the conversations, with the one that is open marked and highlighted."""
        self._list.current = current
        self._close_fields()
        self.display = True
        self._list.turn_to(archived=False, highlight=current)
        self._list.focus()
        self._hint()

    def mark(self, current: str | None) -> None:
        """Another conversation is open now, or the one that is has changed."""
        self._list.current = current
        if self.display:
            row = self._list.highlighted_row
            self._list.load(row.key if row else current)

    # The keys

    def action_choose(self) -> None:
        """Open the highlighted conversation."""
        self._list.action_choose()

    def action_into_list(self) -> None:
        """Let the keys of the list count again."""
        self._list.focus()

    def action_leave(self) -> None:
        """One step back: from renaming, from what is filtered, from the archive, from the list."""
        if self._renaming:
            self._close_rename()
            self._list.focus()
        elif self._filter.display:
            self._close_fields()
            self._list.focus()
            self._hint()
        elif self._list.archived:
            self.action_archived()
        else:
            self.post_message(self.Left())

    def action_filter(self) -> None:
        """Type a part of a title."""
        self._filter.display = True
        self.screen.set_focus(self._filter)
        self._hint()

    def action_archived(self) -> None:
        """The archived conversations in place of the others, or the other way round."""
        archived = not self._list.archived
        self._list.turn_to(archived=archived, highlight=None if archived else self._list.current)
        self._hint()

    def action_pin(self) -> None:
        """Above the others with it, or back to its day."""
        if summary := self._list.summary:
            on = not summary.pinned
            if self._try(lambda: self._library.pin(summary.id, on)):
                self._list.put(replace(summary, pinned=on))

    def action_archive(self) -> None:
        """Out of the way with it, or back."""
        if summary := self._list.summary:
            on = not summary.archived
            if self._try(lambda: self._library.archive(summary.id, on)):
                self._list.remove_one(summary)
                title = safe_line(title_of(summary), 40)
                archived = say("“{title}” is archived; v shows the archive.", title=title)
                self._notify_user(archived if on else say("“{title}” is back among the others.", title=title))

    def action_delete(self) -> None:
        """Away with it, until u brings it back."""
        if summary := self._list.summary:
            if not self._try(lambda: self._library.delete(summary.id)):
                return
            self._deleted.append(_Deleted(summary, summary.id == self._list.current))
            self._list.remove_one(summary)
            self.post_message(self.Deleted(summary.id))
            self._notify_user(
                say(
                    "“{title}” is deleted.\nu in this list brings it back.",
                    title=safe_line(title_of(summary), 40),
                )
            )

    def action_undo(self) -> None:
        """Bring back what was deleted last."""
        if not self._deleted:
            self._notify_user(say("Nothing was deleted since the program began."))
            return
        deleted = self._deleted[-1]
        if self._try(lambda: self._library.undelete(deleted.summary.id)):
            self._deleted.pop()
            self.app.clear_notifications()
            self._close_fields()
            if deleted.summary.archived == self._list.archived:
                self._list.put(deleted.summary)
            else:
                self._list.turn_to(archived=not self._list.archived, highlight=deleted.summary.id)
                self._hint()
            self.post_message(self.Restored(deleted.summary.id, deleted.was_open))

    def action_rename(self) -> None:
        """Type another title where the old one stands."""
        summary, number = self._list.summary, self._list.highlighted
        if summary and number is not None:
            self._list.watch_highlighted(number)
            self._renaming = summary
            self._rename.value = safe_line(summary.title, 400)
            self._rename.cursor_position = len(self._rename.value)
            self._rename.styles.width = max(1, self.size.width - GUTTER - 3)
            self._rename.styles.offset = (
                2 + GUTTER,
                self._list.region.y - self.content_region.y + self._list.top_of(number),
            )
            self._rename.display = True
            self._rename.focus()
            self._hint()

    # What the fields say

    @on(LongList.Selected)
    def _choose(self, event: LongList.Selected) -> None:
        event.stop()
        self.post_message(self.Chosen(event.key))

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._list.narrow(self._filter.value)

    @on(Input.Submitted, "#filter")
    def _filter_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._list.action_choose()

    @on(Input.Submitted, "#rename")
    def _renamed(self, event: Input.Submitted) -> None:
        event.stop()
        self._keep_new_title()
        self._list.focus()

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        """The one who goes on elsewhere has chosen the title that stands there."""
        if event.widget is self._rename and self.app.app_focus:
            self._keep_new_title()

    def on_resize(self, event: Resize) -> None:
        """The row that is renamed is somewhere else now."""
        self._keep_new_title()

    def on_mount(self) -> None:
        """The row that is renamed does not scroll."""
        self.watch(self._list, "scroll_y", self._keep_new_title, init=False)

    def _keep_new_title(self) -> None:
        if not (summary := self._renaming):
            return
        title = " ".join(self._rename.value.split())
        self._close_rename()
        changed = title != safe_line(summary.title, 400)
        if changed and self._try(lambda: self._library.rename(summary.id, title)):
            if title:
                self._list.put(replace(summary, title=title))
            else:
                self._list.load(summary.id)

    def _close_rename(self) -> None:
        self._renaming = None
        self._rename.display = False
        self._hint()

    def _close_fields(self) -> None:
        self._close_rename()
        with self.prevent(Input.Changed):
            self._filter.value = ""
        self._list.narrow("")
        self._filter.display = False

    def _hint(self) -> None:
        """Say what is listed, and what the keys do now."""
        if self._renaming:
            said = say("Enter keeps the title   Esc the old one")
        elif self._filter.has_focus:
            said = say("Enter opens   ↓ to the list   Esc leaves")
        elif self._list.archived:
            said = say("Enter opens   / finds   r renames\na brings back   d deletes   v leaves")
        else:
            said = say(
                "Enter opens   / finds   r renames\np pins   a archives   d deletes\nv shows the archive   u undeletes"
            )
        title = say("Archived") if self._list.archived else say("Conversations")
        self.query_one(".title", Static).update(Content(title))
        self.query_one(".hints", Static).update(Content(said))

    def _try(self, what: Callable[[], object]) -> bool:
        try:
            what()
        except LibraryError as error:
            self._notify_user(str(error))
            return False
        return True

    def _notify_user(self, text: str) -> None:
        self.notify(safe(text), markup=False)
