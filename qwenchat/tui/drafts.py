"""The draft of each conversation, kept on disk while it is written."""

import time
from collections.abc import Callable

from qwenchat.chat.errors import LibraryError
from qwenchat.library.library import Library
from qwenchat.tui.widgets.composer import Composer

SAVED_AFTER_S = 0.5


class Drafts:
    """Saves what stands in the composer and brings it back; `say` is told what went wrong, or "" when it works again.

    A conversation that has not begun is None.
    """

    def __init__(self, library: Library, composer: Composer, say: Callable[[str], None]) -> None:
        self._library = library
        self._composer = composer
        self._say = say
        self._saved = ""
        self._changed_at: float | None = None

    def changed(self) -> None:
        """Something was written; it is saved a moment later."""
        self._changed_at = time.monotonic()

    def keep_if_due(self, conversation: str | None) -> None:
        """Save the draft if it has not been for a while; called often."""
        if self._changed_at is not None and time.monotonic() - self._changed_at >= SAVED_AFTER_S:
            self.keep(conversation)

    def keep(self, conversation: str | None) -> None:
        """Save the draft as it stands."""
        self._save(conversation, self._composer.text)

    def sent(self, conversation: str | None) -> None:
        """The draft that was begun in `conversation` has become a message."""
        self._composer.write("")
        self._save(conversation, "")

    def bring_back(self, conversation: str | None, *, replace: bool) -> None:
        """Put the draft of `conversation` into the composer; without `replace` only if that is empty."""
        try:
            saved = self._library.draft(conversation)
        except LibraryError as error:
            self._say(str(error))
            return
        self._saved = saved
        if replace or not self._composer.text:
            self._composer.write(saved)

    def _save(self, conversation: str | None, text: str) -> None:
        self._changed_at = None
        if text == self._saved:
            return
        try:
            self._library.save_draft(conversation, text)
        except LibraryError as error:
            self._say(f"The draft could not be saved. {error}")
        else:
            self._saved = text
            self._say("")
