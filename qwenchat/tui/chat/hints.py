"""What keys do just now, said on the composer's edge, and of a chosen message below it, too."""

from qwenchat.tui.chat.composing import Composing
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.event_feed import EventFeed
from qwenchat.tui.chat.message_actions import MessageActions
from qwenchat.tui.chat.search_marks import SearchMarks
from qwenchat.tui.keys.bindings import fitting


class Hints:
    """Asks each part of the screen what its keys do, and says as much of it as there is room for."""

    def __init__(
        self, context: ChatContext, marks: SearchMarks, branches: MessageActions, feed: EventFeed, writing: Composing
    ) -> None:
        self._transcript, self._composer, self._status = context.transcript, context.composer, context.status
        self._marks = marks
        self._message_actions = branches
        self._feed = feed
        self._composing = writing

    def draw(self) -> None:
        """Say what keys do now."""
        room = self._composer.hint_room
        chosen = self._transcript.chosen if self._transcript.screen.is_active else None
        keys = chosen.hints(self._message_actions.impossible(chosen.message_id)) if chosen else ()
        hits = self._marks.hint(room)
        first, others = fitting(keys, 0 if hits else room)
        self._status.say(others)
        self._composer.hint(self._composing.hint(hits or first or self._feed.hint()))
