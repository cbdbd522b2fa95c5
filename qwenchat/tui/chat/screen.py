"""The chat: hands the user's keys to the session and the session's events to the widgets."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Markdown, TextArea

from qwenchat.chat.text import is_web_link, safe_line
from qwenchat.i18n.texts import say
from qwenchat.tui.chat.command_dispatch import CommandDispatcher
from qwenchat.tui.chat.comparison import ComparisonActions
from qwenchat.tui.chat.composing import Composing
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.conversation_switcher import ConversationSwitcher
from qwenchat.tui.chat.drafts import Drafts
from qwenchat.tui.chat.event_feed import EventFeed
from qwenchat.tui.chat.find import FindActions
from qwenchat.tui.chat.hints import Hints
from qwenchat.tui.chat.inspection import Inspection
from qwenchat.tui.chat.message_actions import MessageActions
from qwenchat.tui.chat.model_actions import ModelActions
from qwenchat.tui.chat.search_marks import SearchMarks
from qwenchat.tui.keys.bindings import bindings
from qwenchat.tui.keys.double_press import DoublePress
from qwenchat.tui.screens.viewer import ViewerScreen
from qwenchat.tui.transcript.message_base import MessageWidget
from qwenchat.tui.transcript.transcript import Transcript
from qwenchat.tui.widgets.composer import Composer
from qwenchat.tui.widgets.dropdown import Dropdown
from qwenchat.tui.widgets.sidebar import Sidebar

DRAWS_PER_S = 20


class ChatScreen(Screen[None]):
    """One conversation, the list of the others, and the draft of the next message."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-wide")]  # noqa: RUF012  (Textual declares them so)
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-middle"), (32, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = bindings("chat")

    class Begun(Message):
        """The conversation is open and the draft is there: keys have something to go to."""

    def __init__(self, context: ChatContext) -> None:
        super().__init__()
        self._chat = context
        self.session = context.session
        self._composer, self._transcript = context.composer, context.transcript
        self._notices = context.notices
        self._sidebar = Sidebar(self.session.library)
        self._drafts = Drafts(self.session.library, self._composer, lambda text: self._notices.say("draft", text))
        self._model_actions = ModelActions(context)
        self.feed = EventFeed(context, self._model_actions.ask_about)
        self._inspection = Inspection(context)
        self._message_actions = MessageActions(
            context, self._drafts, self.feed, self._model_actions.load, self._inspection
        )
        self._commands = CommandDispatcher(context, self._model_actions, self._run)
        self._composing = Composing(context, self._drafts, self._message_actions, self._commands)
        self._composer.recall = self._composing.recall
        self._comparison_actions = ComparisonActions(context, self._composing, self._message_actions, self._drafts)
        self.opening = ConversationSwitcher(context, self._drafts, self.feed, self._message_actions, self._sidebar)
        self._marks = SearchMarks(context)
        self._find_actions = FindActions(context, self._marks, self.opening)
        self._hints = Hints(context, self._marks, self._message_actions, self.feed, self._composing)
        self.quitting = DoublePress()
        self._begun = False
        self._due = ""
        """The action that a command in a message asks for."""

    def compose(self) -> ComposeResult:
        """The sidebar beside the conversation, the draft and the status."""
        yield self._sidebar
        with Vertical(id="main"):
            with Vertical(id="head"):
                yield self._notices
            yield self._transcript
            with Vertical(id="foot"):
                yield self._composing.queue.line
                yield self._composer.dropdown
                yield self._composer
                yield self._chat.status

    def on_mount(self) -> None:
        """Begin once the first frame is on the screen, since loading a model takes the processor."""
        self._composer.focus()
        self.call_after_refresh(self.set_timer, 0.02, self._begin)

    def on_screen_suspend(self) -> None:
        """What is shown over the chat covers the draft or a part of it: then none of it is drawn."""
        self._composer.cover(True)

    def on_screen_resume(self) -> None:
        """The draft is there again."""
        self._composer.cover(False)

    def _run(self, action: str) -> None:
        self._due = action

    # From the session

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        self._model_actions.load()
        if self._chat.tools:
            self.session.switch_tools(self._chat.tools)
        self._notices.say("library", self.session.library.notice)
        for number, text in enumerate(self._chat.problems):
            self._notices.say(f"start {number}", text)
        self.opening.begin(self._chat.resume)
        self.set_interval(1 / DRAWS_PER_S, self._draw)
        self.post_message(self.Begun())

    def _draw(self) -> None:
        """Show what has happened since the last time."""
        self.feed.draw()
        self._marks.draw()
        self._hints.draw()
        self._composing.draw()

    # From the user

    async def action_send(self) -> None:
        """Send what is written, or handle the command that it is, before the next key is."""
        self._begin()
        if await self._composing.send():
            self._marks.clear()
            self._sidebar.mark(self.session.conversation.id)
        action, self._due = self._due, ""
        if action:
            await self.run_action(action)

    @on(Composer.Paged)
    def _page(self, event: Composer.Paged) -> None:
        if event.up:
            self._transcript.scroll_page_up()
        else:
            self._transcript.scroll_page_down()

    @on(TextArea.Changed, "#composer")
    def _draft_changed(self) -> None:
        self._composing.changed()

    @on(Composer.Viewed)
    def _view(self, event: Composer.Viewed) -> None:

        self._chat.push(ViewerScreen(event.block.label, event.block.text))

    @on(Dropdown.Accepted)
    def _complete(self, event: Dropdown.Accepted) -> None:
        self._composer.complete(event.choice)

    @on(Markdown.LinkClicked)
    def _follow_link(self, event: Markdown.LinkClicked) -> None:
        event.stop()
        if is_web_link(event.href):
            self.app.open_url(event.href)
        else:
            self._chat.notify_user(say("Only web links are opened, not {href}", href=safe_line(event.href)))

    def action_control(self, name: str) -> None:
        """Do one of `ModelActions.acts`: change how the model answers."""
        self._model_actions.acts[name]()

    async def action_compare(self, typed: str = "") -> None:
        """Let several models answer, those that were typed or are chosen."""
        await self._comparison_actions.begin(typed)

    def action_inspect(self) -> None:
        """Show everything that made the latest reply, or the chosen message."""
        self._message_actions.act("inspect")

    def action_reasoning(self) -> None:
        """Open or fold the latest thought there is."""
        self._inspection.thought()

    def action_stop(self) -> None:
        """Leave a change, take marks away, stop the reply, or put the notices away: the first that there is."""
        if self._message_actions.editing is not None:
            self._message_actions.leave_edit()
        elif self._marks.on:
            self._marks.clear()
        elif self.session.busy:
            self.session.stop()
        else:
            self._notices.put_away()
        self.app.clear_notifications()

    def action_retry(self) -> None:
        """Ask again; the old reply stays as a branch."""
        self._message_actions.act("retry")

    def action_answer(self) -> None:
        """End the thought that is running and answer, or go on with an interrupted reply inside its thought."""
        self._message_actions.answer()

    def action_editor(self) -> None:
        """Go on writing in the user's editor."""
        self._composing.edit_elsewhere()

    def action_choose(self, by: int = -1) -> None:
        """Choose the message before or after the chosen one, or the last; after that one, write again."""
        if not self._transcript.choose_beside(by):
            if self._transcript.chosen is None:
                self._chat.notify_user(say("There is no message to choose yet."))
            self.set_focus(self._composer)

    def action_turn(self, by: int) -> None:
        """Read the version of the chosen message before or after this one."""
        if chosen := self._transcript.chosen:
            self._message_actions.turn(chosen, by)

    def action_write(self) -> None:
        """Back to the draft; hits are marked no more."""
        self._marks.clear()
        self.set_focus(self._composer)

    def action_act(self, name: str) -> None:
        """Do one of `ACTS` to the chosen message, or to the latest that it can be done to."""
        self._message_actions.act(name)

    @on(MessageWidget.Refused)
    def _say_why_not(self, event: MessageWidget.Refused) -> None:
        self._message_actions.act(event.name)

    @on(MessageWidget.Turned)
    def _turn(self, event: MessageWidget.Turned) -> None:
        self._message_actions.turn(event.said, event.by)

    @on(MessageWidget.Left)
    def _write_again(self, event: MessageWidget.Left) -> None:
        self.action_write()
        self._composer.insert(event.typed)

    def begin_command(self, command: str) -> None:
        """Put a command into the composer, to be completed there."""
        self._composing.begin_command(command)

    def action_new(self) -> None:
        """Leave this conversation, saved with its draft, for an empty one."""
        self.opening.new()
        self._composer.focus()

    def action_statistics(self) -> None:
        """Show tokens, time and speed, by day and by model."""
        self._inspection.statistics()

    def action_copy_reply(self) -> None:
        """Copy the last reply, as the model wrote it."""
        self._message_actions.copy_reply()

    def action_follow(self) -> None:
        """To the end, and on with it as text comes."""
        self._transcript.follow()

    async def action_top(self) -> None:
        """To the first message."""
        await self._transcript.go_to_top()

    @on(Transcript.Reached)
    def _catch_up(self) -> None:
        self.feed.show_path()

    def action_copy_text(self) -> None:
        """Ctrl+C: copy a selection, else stop the reply, else clear the draft, else ask once more to quit."""
        if selected := self.get_selected_text():
            self.app.copy_to_clipboard(selected)
            self.clear_selection()
        elif self.session.busy:
            self.session.stop()
        elif self._composer.text:
            self._composer.clear()
        elif self.quitting.is_second():
            self.call_later(self.run_action, "app.quit")
        else:
            self._chat.notify_user(say("Press Ctrl+C again to quit."))

    # Saved conversations and drafts

    def action_sidebar(self) -> None:
        """Show or hide the saved conversations."""
        if self._sidebar.display:
            self._close_sidebar()
        else:
            self._sidebar.open(self.session.conversation.id)

    @on(Sidebar.Left)
    def _close_sidebar(self) -> None:
        self._sidebar.display = False
        self._composer.focus()

    @on(Sidebar.Chosen)
    def _choose(self, event: Sidebar.Chosen) -> None:
        self._close_sidebar()
        self.opening.open(event.conversation)

    @on(Sidebar.Deleted)
    def _leave_deleted(self, event: Sidebar.Deleted) -> None:
        self.opening.leave_deleted(event.conversation)

    @on(Sidebar.Restored)
    def _back_to_restored(self, event: Sidebar.Restored) -> None:
        self.opening.back_to_restored(event.conversation, event.was_open)

    def action_replay(self) -> None:
        """Play back what has been said and answered so far."""
        self._inspection.replay()

    def action_search(self, words: str = "") -> None:
        """Search in every word of every conversation, at first for `words`."""
        self._find_actions.search(words)

    async def action_find(self, words: str = "") -> None:
        """Find words in this conversation; while hits are marked, come to the next."""
        await self._find_actions.find(words)

    async def action_walk(self, by: int) -> None:
        """Come to the next marked hit, or the one before."""
        await self._find_actions.walk(by)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that walk along hits, or do what cannot be done to the chosen message, are letters to write with."""
        if action == "act":
            return self._message_actions.can(str(parameters[0]))
        return action != "walk" or self._marks.on

    def keep_draft(self) -> None:
        """Save the draft as it stands."""
        self._drafts.keep()

    @property
    def lost(self) -> tuple[str, ...]:
        """What was being written and could not be kept, in words."""
        text = "" if self.session.private else self._drafts.lost
        return (say("The draft could not be saved: “{text}”", text=safe_line(text)),) if text else ()
