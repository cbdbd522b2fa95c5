"""The way from words to the place where they were said: the search, and the hits it leaves marked."""

from qwenchat.i18n.texts import say
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.conversation_switcher import ConversationSwitcher
from qwenchat.tui.chat.search_marks import SearchMarks
from qwenchat.tui.screens.search import SearchResult, SearchScreen


class FindActions:
    """Opens the search, and what is chosen in it."""

    def __init__(self, context: ChatContext, marks: SearchMarks, opening: ConversationSwitcher) -> None:
        self._session, self._notify_user, self._push = context.session, context.notify_user, context.push
        self._marks = marks
        self._navigation = opening

    def search(self, words: str) -> None:
        """Search in every word of every conversation, at first for `words`."""
        self._push(SearchScreen(self._session.library, words, self._session.conversation.id), self._open)

    async def find(self, words: str) -> None:
        """Search in the open conversation; without words, while hits are marked in it, come to the next."""
        if self._marks.on and not words:
            await self.walk(1)
        elif self._session.conversation.id is None:
            self._notify_user(say("There is nothing in this conversation yet."))
        else:
            here = self._session.conversation.id
            self._push(SearchScreen(self._session.library, words, here, here_only=True), self._open)

    async def walk(self, by: int) -> None:
        """Come to the next marked hit (1) or the one before (-1)."""
        if reported := await self._marks.walk(by):
            self._notify_user(reported)

    async def _open(self, chosen: SearchResult | None) -> None:
        if chosen is None:
            return
        if not chosen.words or chosen.message is None:
            self._navigation.open(chosen.conversation, chosen.message)
        elif self._navigation.turn_to(chosen.conversation, chosen.message):
            await self._marks.begin(chosen.words, chosen.message, thoughts=chosen.thoughts)
