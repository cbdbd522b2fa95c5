"""Turns the chat to another conversation: a new one, a saved one, or a message of it."""

from qwenchat.i18n.texts import say
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.drafts import Drafts
from qwenchat.tui.chat.event_feed import EventFeed
from qwenchat.tui.chat.message_actions import MessageActions
from qwenchat.tui.widgets.sidebar import Sidebar


class ConversationSwitcher:
    """Leaves a conversation, saved with its draft, and shows the next."""

    def __init__(
        self, context: ChatContext, drafts: Drafts, feed: EventFeed, branches: MessageActions, sidebar: Sidebar
    ) -> None:
        self._session, self._transcript, self._notices = context.session, context.transcript, context.notices
        self._drafts = drafts
        self._feed = feed
        self._message_actions = branches
        self._sidebar = sidebar

    def begin(self, resume: str | None) -> None:
        """The first conversation; what was written meanwhile stays in the composer."""
        if resume is not None:
            self._message_actions.attempt(lambda: self._session.resume(resume))
        self._enter(keep_written=True)

    def new(self) -> None:
        """An empty conversation."""
        self._drafts.keep()
        stopped = self._session.busy
        self._session.new()
        self._enter()
        self._say_of_left(stopped)

    def open(self, conversation: str, message: str | None = None) -> None:
        """A saved conversation, on the branch through `message`, which is brought into view and chosen."""
        if self.turn_to(conversation, message) and message is not None:
            self._transcript.call_later(self._transcript.go_to, message)

    def turn_to(self, conversation: str, message: str | None = None) -> bool:
        """A saved conversation, on the branch through `message`; says whether it is there."""
        there = conversation == self._session.conversation.id
        # What is being written or answered goes on, as long as the message can be shown without turning to it.
        if not there or (message is not None and not self._session.busy):
            self._drafts.keep()
            stopped = self._session.busy
            if not self._message_actions.attempt(lambda: self._session.resume(conversation, message)):
                return False
            self._enter()
            self._say_of_left(stopped)
        return True

    def _say_of_left(self, stopped: bool) -> None:
        """Say what became of a reply that was still being written."""
        self._notices.say(
            "left", say("The reply was stopped; what came is kept in its conversation.") if stopped else ""
        )

    def leave_deleted(self, conversation: str) -> None:
        """Leave the conversation that is open when it was deleted."""
        if conversation == self._session.conversation.id:
            self.new()

    def back_to_restored(self, conversation: str, was_open: bool) -> None:
        """Back to a conversation that is no longer deleted, if it was open and nothing else was begun."""
        if was_open and self._session.conversation.id is None:
            self.open(conversation)

    def _enter(self, *, keep_written: bool = False) -> None:
        """Show the conversation from its end; its draft, too, or what is written."""
        self._message_actions.forget_edit()
        self._notices.say("trimmed", "")
        self._feed.show_path()
        self._transcript.follow()
        self._drafts.enter(self._session.conversation.id, keep_written=keep_written)
        self._sidebar.mark(self._session.conversation.id)
