"""Replies on their way to the disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from qwenchat.chat.errors import LibraryError
from qwenchat.chat.messages import Message
from qwenchat.chat.timeline import Tick
from qwenchat.library.library import Library

RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Entry:
    conversation: str
    reply: Message
    ticks: tuple[Tick, ...]


class UnsavedReplies:
    """The latest versions of replies that are not on disk yet, in the order in which they began."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._entries: dict[str, _Entry] = {}
        self.failing = False
        """Whether the latest attempt to write failed."""
        self._tried_at = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, conversation: str, reply: Message, ticks: Sequence[Tick]) -> None:
        """Take in a reply, in place of its earlier version."""
        self._entries[reply.id] = _Entry(conversation, reply, tuple(ticks))

    def retry_is_due(self, now: float) -> bool:
        """Whether something waits, and the last attempt to write it is a while ago."""
        return bool(self._entries) and now - self._tried_at >= RETRY_S

    def write(self, now: float) -> LibraryError | None:
        """Write all of them; what fails stays here, to be tried again, and the error is returned."""
        self._tried_at = now
        try:
            for id_, entry in list(self._entries.items()):
                self._library.save(entry.conversation, entry.reply, entry.ticks)
                del self._entries[id_]
        except LibraryError as error:
            self.failing = True
            return error
        self.failing = False
        return None
