"""What stands in the composer, kept on disk while it is written."""

import time
from collections.abc import Callable

from qwenchat.chat.draft import NOTHING, Draft, QueuedMessage
from qwenchat.chat.errors import LibraryError
from qwenchat.i18n.texts import say
from qwenchat.library.library import Library
from qwenchat.tui.text.pasted import joined
from qwenchat.tui.widgets.composer import Composer

SAVED_AFTER_S = 0.3
"""How long what was written may be in memory alone, however fast the writing goes on."""


RESTS_AFTER_S = 0.6
"""How long nobody must have written for the draft to be at rest."""


class Drafts:
    """Saves the draft and brings it back; `say` is given what went wrong, or "" when it works again.

    A draft belongs to its place: a conversation, None for one that has not begun, or a message that is being changed.
    """

    def __init__(self, library: Library, composer: Composer, say: Callable[[str], None]) -> None:
        self._library = library
        self._composer = composer
        self._say = say
        self._place: str | None = None
        self._saved = NOTHING
        self._aside = NOTHING
        """What was being written before a command took its place."""
        self.queued: list[QueuedMessage] = []
        """Messages that wait for the end of a reply; on the disk they are the beginning of the draft."""
        self._unsaved_since: float | None = None
        self._changed_at: float | None = None
        """When something was written last; None once the draft is at rest."""

    def changed(self) -> None:
        """Something was written; it is saved a moment later."""
        self._changed_at = time.monotonic()
        if self._unsaved_since is None:
            self._unsaved_since = self._changed_at

    def comes_to_rest(self) -> bool:
        """Whether the writing has paused; says so once for each pause."""
        rests = self._changed_at is not None and time.monotonic() - self._changed_at >= RESTS_AFTER_S
        if rests:
            self._changed_at = None
        return rests

    def keep_if_due(self) -> None:
        """Save the draft if it has not been for a while; called often."""
        if self._unsaved_since is not None and time.monotonic() - self._unsaved_since >= SAVED_AFTER_S:
            self.keep()

    def keep(self) -> None:
        """Save the draft as it stands."""
        self._save(self._whole())

    def _whole(self) -> Draft:
        """What is being written, after what waits to be sent."""
        draft = self._aside if self._aside.text else self._composer.draft
        return joined((*(message.draft for message in self.queued), draft)) if self.queued else draft

    @property
    def lost(self) -> str:
        """What `keep` could not save, or only in memory."""
        draft = self._whole()
        return draft.whole if draft != self._saved or self._library.in_memory_only else ""

    def drop(self) -> None:
        """What stands in the composer is no draft any more: it was sent, or is not wanted."""
        self._composer.write("")
        self.bring_back()
        self._save(self._composer.draft)

    def set_aside(self, command: str) -> None:
        """Write a command in place of the draft, which is kept and comes back once the composer is empty."""
        if not self._composer.text.startswith("/"):
            self._aside = self._composer.draft
        self._composer.write("")
        self._composer.put(command)  # as if it were typed, so that what may follow is offered

    def bring_back(self) -> None:
        """Write what was set aside, if the composer is empty."""
        if self._aside.text and not self._composer.text:
            aside, self._aside = self._aside, NOTHING
            self._composer.write(aside)

    def enter(self, place: str | None, *, otherwise: Draft = NOTHING, keep_written: bool = False) -> None:
        """Turn to another place, whose draft comes into the composer, `otherwise` if there is none.

        With `keep_written` it only does so if the composer is empty. What waits for the end of a reply is left behind,
        as a draft of the old place.
        """
        try:
            saved = self._library.draft(place)
        except LibraryError as error:
            self._say(str(error))
            saved = NOTHING
        self._place, self._saved, self._aside = place, saved, NOTHING
        self.queued.clear()
        if not (keep_written and self._composer.text):
            self._composer.write(saved if saved.text else otherwise)

    def _save(self, draft: Draft) -> None:
        self._unsaved_since = None
        if draft == self._saved:
            return
        try:
            self._library.save_draft(self._place, draft)
        except LibraryError as error:
            self._say(say("The draft could not be saved. {error}", error=error))
        else:
            self._saved = draft
            self._say("")
