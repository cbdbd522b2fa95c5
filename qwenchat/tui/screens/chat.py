"""The chat: hands the user's keys to the session and the session's events to the widgets."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Markdown, TextArea

from qwenchat.chat.commands import LoadModel
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.messages import Role, Status
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.text import is_web_link, safe, safe_line
from qwenchat.chat.thinking import budget_in_words, budget_of
from qwenchat.replay import Replay, timelines_of
from qwenchat.session import Session
from qwenchat.tui.drafts import Drafts
from qwenchat.tui.feed import Feed
from qwenchat.tui.screens.replay import ReplayScreen
from qwenchat.tui.screens.search import Chosen, SearchScreen
from qwenchat.tui.slash import COMMANDS, command_of
from qwenchat.tui.widgets.composer import Composer
from qwenchat.tui.widgets.notices import Notices
from qwenchat.tui.widgets.sidebar import Sidebar
from qwenchat.tui.widgets.status import StatusLine
from qwenchat.tui.widgets.transcript import Transcript
from qwenchat.turn import Phase

DRAWS_PER_S = 20
QUIT_AGAIN_WITHIN_S = 3.0


class ChatScreen(Screen[None]):
    """One conversation, the list of the others, and the draft of the next message."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-wide")]  # noqa: RUF012  (Textual declares them so)
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-middle"), (32, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "thinking", "Thinking on or off", priority=True),
        Binding("ctrl+o", "reasoning", "Open or fold the latest reasoning", priority=True),
        Binding("ctrl+g", "answer", "Answer now, from what was thought so far", priority=True),
        Binding("escape", "stop", "Stop the reply, or put notices away"),
        Binding("ctrl+r", "retry", "Ask again for the last reply", priority=True),
        Binding("ctrl+n", "new", "New conversation", priority=True),
        Binding("ctrl+b", "sidebar", "Saved conversations", priority=True),
        Binding("ctrl+f", "search", "Search in all conversations", priority=True),
        Binding("f6", "replay", "Play this conversation back", priority=True),
        Binding("ctrl+y", "copy_reply", "Copy the last reply", priority=True),
        Binding("ctrl+end", "follow", "Go to the end and follow it", priority=True),
        Binding("ctrl+home", "top", "Go to the beginning; again for earlier messages", priority=True),
        Binding("ctrl+c,super+c", "copy_text", "Copy the selection; else stop, clear the draft, or quit"),
    ]

    def __init__(self, session: Session, load: LoadModel, resume: str | None, notices: Iterable[str] = ()) -> None:
        super().__init__()
        self.session = session
        self._load = load
        self._resume = resume
        self._told = tuple(notices)
        self._composer = Composer()
        self._transcript = Transcript()
        self._notices = Notices()
        self._sidebar = Sidebar(session.library)
        self._status = StatusLine()
        self._drafts = Drafts(session.library, self._composer, lambda text: self._notices.say("draft", text))
        self.feed = Feed(session, self._transcript, self._notices, self._status)
        self._asked_to_quit_at = 0.0
        self._begun = False

    def compose(self) -> ComposeResult:
        """The sidebar beside the conversation, the draft and the status."""
        yield self._sidebar
        with Vertical(id="main"):
            yield self._notices
            yield self._transcript
            with Vertical(id="foot"):
                yield self._composer
                yield self._status

    def on_mount(self) -> None:
        """Begin once the first frame is on the screen, since loading a model takes the processor."""
        self._composer.focus()
        self.call_after_refresh(self.set_timer, 0.02, self._begin)

    def _tell(self, text: str, severity: Literal["information", "warning"] = "information") -> None:
        self.notify(safe(text), severity=severity, markup=False)

    # From the session

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        self.session.load(self._load)
        self._notices.say("library", self.session.library.notice)
        for number, text in enumerate(self._told):
            self._notices.say(f"start {number}", text)
        if self._resume is None or not self._open(self._resume, keep_written=True):
            self._enter(keep_written=True)
        self.set_interval(1 / DRAWS_PER_S, self._draw)

    def _draw(self) -> None:
        """Show what has happened since the last time."""
        self.feed.draw()
        self._composer.hint(self._hint())
        self._drafts.keep_if_due(self.session.conversation)

    def _hint(self) -> str:
        if not self._transcript.following:
            return "Ctrl+End follows"
        if self.session.busy:
            return "Ctrl+G answers now, Esc stops" if self.session.phase is Phase.THINKING else "Esc stops"
        return "F1 help"

    # From the user

    @on(Composer.Sent)
    def _send(self) -> None:
        self._begin()
        text = self._composer.text
        if not text.strip():
            return
        try:
            if command := command_of(text):
                self._composer.write("")
                self._heed(*command)
                return
            if self.session.busy:
                self._tell("The model is still answering; the draft is kept. Esc stops the reply.")
                return
            before = self.session.conversation
            self.session.send(text, self._composer.typed())
        except QwenchatError as error:
            self._tell(str(error), "warning")
            return
        self._drafts.sent(before)
        self._sidebar.mark(self.session.conversation)
        self.feed.show_path()
        self._transcript.follow()

    def _heed(self, command: str, rest: str) -> None:
        if command == "model":
            self._load_model(rest)
        elif command == "budget":
            self._set_budget(rest)
        else:
            self.call_later(self.run_action, COMMANDS[command][0])

    def _load_model(self, name: str) -> None:
        """Load another model, or the last one again; the conversation goes on with it."""
        if not name and self.session.model is not None:
            self._tell(f"{self.session.model.name} answers. /model NAME loads another.")
            return
        self._load = replace(self._load, name=name or self._load.name)
        self._notices.say("load", "")
        self.session.load(self._load)

    def _set_budget(self, typed: str) -> None:
        """Say how long thoughts may be, or change that for this conversation."""
        try:
            if typed:
                self.session.thinking_budget = budget_of(typed)
        except QwenchatError as error:
            self._tell(str(error), "warning")
            return
        self._tell(budget_in_words(self.session.thinking_budget))

    @on(Composer.Recalled)
    def _recall(self) -> None:
        said = [message.text for message in self.session.path if message.role is Role.USER]
        if said:
            self._composer.write(said[-1])

    @on(Composer.Paged)
    def _page(self, event: Composer.Paged) -> None:
        if event.up:
            self._transcript.scroll_page_up()
        else:
            self._transcript.scroll_page_down()

    @on(TextArea.Changed, "#composer")
    def _draft_changed(self) -> None:
        self._drafts.changed()

    @on(Markdown.LinkClicked)
    def _follow_link(self, event: Markdown.LinkClicked) -> None:
        event.stop()
        if is_web_link(event.href):
            self.app.open_url(event.href)
        else:
            self._tell(f"Only web links are opened, not {safe_line(event.href)}")

    def action_thinking(self) -> None:
        """Turn thinking on or off for the next message."""
        match self.session.support:
            case ThinkingSupport.NONE:
                self._tell("This model does not think before it answers.")
            case ThinkingSupport.ALWAYS:
                self._tell("This model always thinks; it has no switch.")
            case _:
                self.session.toggle_thinking()

    def action_reasoning(self) -> None:
        """Open or fold the latest thought there is."""
        thoughts = [reply.reasoning for reply in self._transcript.replies if reply.reasoning.display]
        if thoughts:
            thoughts[-1].toggle()

    def action_stop(self) -> None:
        """Stop the reply; with none, put the notices away."""
        if self.session.busy:
            self.session.stop()
        else:
            self._notices.put_away()

    def action_retry(self) -> None:
        """Ask again; the old reply stays as a branch."""
        self._begin_turn(self.session.retry)

    def action_answer(self) -> None:
        """End the thought that is running and answer, or go on with a reply that broke off inside its thought."""
        if self.session.busy:
            self._try(self.session.answer_now)
        else:
            self._begin_turn(self.session.answer_now)

    def _begin_turn(self, begin: Callable[[], None]) -> None:
        if self._try(begin):
            self.feed.show_path()
            self._transcript.follow()

    def _try(self, what: Callable[[], None]) -> bool:
        try:
            what()
        except QwenchatError as error:
            self._tell(str(error), "warning")
            return False
        return True

    def action_new(self) -> None:
        """Leave this conversation, saved with its draft, for an empty one."""
        self.keep_draft()
        self.session.new()
        self._enter()
        self._composer.focus()

    def action_copy_reply(self) -> None:
        """Copy the last reply, as the model wrote it."""
        said = [message.text for message in self.session.path if message.role is Role.ASSISTANT and message.text]
        if said:
            self.app.copy_to_clipboard(said[-1])
        else:
            self._tell("There is no reply to copy yet.")

    def action_follow(self) -> None:
        """To the end, and on with it as text comes."""
        self._transcript.follow()

    async def action_top(self) -> None:
        """To the first message that is shown; from there, to earlier ones."""
        if self._transcript.scroll_offset.y <= 0:
            await self._transcript.show_earlier()
        else:
            self._transcript.scroll_home(animate=False)

    def action_copy_text(self) -> None:
        """Ctrl+C: copy a selection, else stop the reply, else clear the draft, else ask once more to quit."""
        if selected := self.get_selected_text():
            self.app.copy_to_clipboard(selected)
            self.clear_selection()
        elif self.session.busy:
            self.session.stop()
        elif self._composer.text:
            self._composer.clear()
        elif time.monotonic() - self._asked_to_quit_at < QUIT_AGAIN_WITHIN_S:
            self.call_later(self.run_action, "app.quit")
        else:
            self._asked_to_quit_at = time.monotonic()
            self._tell("Press Ctrl+C again to quit.")

    # Saved conversations and drafts

    def action_sidebar(self) -> None:
        """Show or hide the saved conversations."""
        if self._sidebar.display:
            self._close_sidebar()
        else:
            self._sidebar.open(self.session.conversation)

    @on(Sidebar.Left)
    def _close_sidebar(self) -> None:
        self._sidebar.display = False
        self._composer.focus()

    @on(Sidebar.Chosen)
    def _choose(self, event: Sidebar.Chosen) -> None:
        self._close_sidebar()
        if event.conversation != self.session.conversation:
            self.keep_draft()
            self._open(event.conversation)

    @on(Sidebar.Deleted)
    def _leave_deleted(self, event: Sidebar.Deleted) -> None:
        if event.conversation == self.session.conversation:
            self.keep_draft()
            self.session.new()
            self._enter()

    @on(Sidebar.Restored)
    def _back_to_restored(self, event: Sidebar.Restored) -> None:
        if event.was_open and self.session.conversation is None:
            self.keep_draft()
            self._open(event.conversation)

    def action_replay(self) -> None:
        """Play back what has been said and answered so far."""
        path = [message for message in self.session.path if message.status is not Status.STREAMING]
        if path:
            self.app.push_screen(ReplayScreen(Replay(path, timelines_of(self.session.library, path))))
        else:
            self._tell("There is nothing to play yet.")

    def action_search(self) -> None:
        """Search in every word of every conversation."""
        self.app.push_screen(SearchScreen(self.session.library), self._open_at)

    def _open_at(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        if chosen.conversation != self.session.conversation:
            self.keep_draft()
            self._open(chosen.conversation)

    def _open(self, conversation: str, *, keep_written: bool = False) -> bool:
        """Go on with a saved conversation; says whether that was possible."""
        try:
            self.session.resume(conversation)
        except QwenchatError as error:
            self._tell(str(error), "warning")
            return False
        self._enter(keep_written=keep_written)
        return True

    def _enter(self, *, keep_written: bool = False) -> None:
        """Show the conversation that the session has turned to, from its end; its draft, too, or what is written."""
        self._notices.say("trimmed", "")
        self.feed.show_path()
        self._transcript.follow()
        self._drafts.bring_back(self.session.conversation, replace=not keep_written)
        self._sidebar.mark(self.session.conversation)

    def keep_draft(self) -> None:
        """Save the draft as it stands."""
        self._drafts.keep(self.session.conversation)
