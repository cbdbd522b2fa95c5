"""The way from words to the place where they were said: the search, and the hits it leaves marked."""

from collections.abc import Awaitable, Callable

from qwenchat.i18n.texts import say
from qwenchat.session.session import Session
from qwenchat.tui.chat.navigation import Opening
from qwenchat.tui.chat.search_marks import Marks
from qwenchat.tui.screens.search import Chosen, SearchScreen


class Finding:
    """Opens the search, and what is chosen in it; `push` shows a screen and gives on what that gives back."""

    def __init__(
        self, session: Session, marks: Marks, opening: Opening, tell: Callable[[str], None],
        push: Callable[[SearchScreen, Callable[[Chosen | None], Awaitable[None]]], object],
    ) -> None:  # fmt: skip
        self._session = session
        self._marks = marks
        self._opening = opening
        self._tell = tell
        self._push = push

    def search(self, words: str) -> None:
        """Search in every word of every conversation, at first for `words`."""
        self._push(SearchScreen(self._session.library, words, self._session.conversation.id), self._open)

    async def find(self, words: str) -> None:
        """Search in the open conversation; without words, while hits are marked in it, come to the next."""
        if self._marks.on and not words:
            await self.walk(1)
        elif self._session.conversation.id is None:
            self._tell(say("There is nothing in this conversation yet."))
        else:
            here = self._session.conversation.id
            self._push(SearchScreen(self._session.library, words, here, here_only=True), self._open)

    async def walk(self, by: int) -> None:
        """Come to the next marked hit (1) or the one before (-1)."""
        if told := await self._marks.walk(by):
            self._tell(told)

    async def _open(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        if not chosen.words or chosen.message is None:
            self._opening.open(chosen.conversation, chosen.message)
        elif self._opening.turn_to(chosen.conversation, chosen.message):
            await self._marks.begin(chosen.words, chosen.message, thoughts=chosen.thoughts)
