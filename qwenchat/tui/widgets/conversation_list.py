"""The saved conversations as a list: read page by page, narrowed by words, pinned ones first."""

from collections.abc import Callable

from textual.timer import Timer

from qwenchat.chat.errors import LibraryError
from qwenchat.i18n.texts import say
from qwenchat.library.library import Library, Summary
from qwenchat.tui.transcript.long_list import LongList
from qwenchat.tui.widgets.conversation_row import ConversationRow, grouped

FIRST, PAGE = 100, 1000
"""How many conversations are read from the library before the list is drawn, and at a time afterwards."""
PAUSE_S = 0.03
"""Before each of these, so that keys are handled meanwhile."""


class ConversationList(LongList):
    """The conversations, or those that are archived; `notify_user` is given what goes wrong."""

    def __init__(self, library: Library, notify_user: Callable[[str], None]) -> None:
        super().__init__()
        self.summaries: dict[str, Summary] = {}
        """What was read so far, by id."""
        self.current: str | None = None
        """The conversation that is open."""
        self.archived = False
        """Whether the archived ones are listed in place of the others."""
        self._library = library
        self._notify_user = notify_user
        self._words = ""
        self._more: Timer | None = None
        """What reads the next page."""

    @property
    def complete(self) -> bool:
        """Whether all pages were read."""
        return self._more is None

    @property
    def summary(self) -> Summary | None:
        """The highlighted conversation."""
        row = self.highlighted_row
        return row.summary if isinstance(row, ConversationRow) else None

    def load(self, highlight: str | None) -> None:
        """Read the list anew: what fills the screen at once, the rest between the keys."""
        if self._more is not None:
            self._more.stop()
        self.summaries = {}
        self._load_page()
        self._relist(highlight)

    def turn_to(self, *, archived: bool, highlight: str | None) -> None:
        """The archived ones in place of the others, or the other way round."""
        self.archived = archived
        self.show(())
        self.load(highlight)

    def narrow(self, words: str) -> None:
        """Show those whose titles have all of these words."""
        self._words = words
        self._relist()

    def put(self, summary: Summary) -> None:
        """Show what has changed of a conversation, or one that is back."""
        self.summaries[summary.id] = summary
        self._relist(summary.id)

    def remove_one(self, summary: Summary) -> None:
        """Show a conversation no more."""
        del self.summaries[summary.id]
        self._relist()

    def _load_page(self) -> None:
        before = len(self.summaries)
        limit = PAGE if before else FIRST
        self._more = None
        try:
            page = self._library.conversations(limit, before, archived=self.archived)
        except LibraryError as error:
            self._notify_user(str(error))
            return
        self.summaries.update((summary.id, summary) for summary in page)
        if len(self.summaries) > before and len(page) == limit:
            self._more = self.set_timer(PAUSE_S, self._load_next)

    def _load_next(self) -> None:
        row = self.highlighted_row
        self._load_page()
        self._relist(row.key if row else None)

    def _relist(self, highlight: str | None = None) -> None:
        """Show what is to be seen of the conversations; the highlight goes to that one or stays where it is."""
        rows = list(grouped(self._found(), self.current))
        at = next((number for number, row in enumerate(rows) if highlight and row.key == highlight), None)
        nothing = say("Nothing archived") if self.archived else say("Nothing saved yet")
        empty = say("No such title") if self.summaries else nothing
        self.show(rows, self.highlighted or 0 if at is None else at, empty)

    def _found(self) -> list[Summary]:
        words = self._words.casefold().split()
        found = (s for s in self.summaries.values() if all(word in s.title.casefold() for word in words))
        return sorted(found, key=lambda summary: (not summary.pinned, -summary.updated))
