"""What the user said before, brought back message by message."""

from qwenchat.chat.draft import Draft
from qwenchat.chat.errors import LibraryError
from qwenchat.library.library import Library
from qwenchat.tui.text.pasted import draft_of
from qwenchat.tui.widgets.composer import Composer


class PromptHistory:
    """Steps through all messages of the user, newest first and each text once, across conversations."""

    def __init__(self, library: Library, composer: Composer) -> None:
        self._library = library
        self._composer = composer
        self._shown: list[Draft] = []
        """What was brought back so far, newest first; at the front what was written before."""
        self._at = 0
        self._number: int | None = None
        """The number of the oldest message that was brought back."""

    def go(self, by: int) -> bool:
        """One message further back (-1) or forth (1); False when the key is to do what it does in a text."""
        if not self._inside():
            if by > 0 or self._composer.text:
                return False
            self._shown, self._at, self._number = [self._composer.draft], 0, None
        at = self._at - by
        if at == len(self._shown) and (older := self._older()) is not None:
            self._shown.append(older)
        if 0 <= at < len(self._shown):
            self._at = at
            self._composer.write(self._shown[at])
        return True

    def _inside(self) -> bool:
        """Whether what was brought back stands there untouched, with the cursor behind it."""
        return (
            self._at > 0
            and self._composer.draft == self._shown[self._at]
            and self._composer.cursor_location == self._composer.document.end
        )

    def _older(self) -> Draft | None:
        """The next older message that says something else than all that was brought back."""
        try:
            while (found := self._library.said_before(self._number)) is not None:
                self._number, message = found
                draft = draft_of(message)
                if draft.text.strip() and draft not in self._shown:
                    return draft
        except LibraryError:
            return None
        return None
