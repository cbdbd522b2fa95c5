"""The conversation that is open, in memory and on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qwenchat.chat.errors import LibraryError, QwenchatError
from qwenchat.chat.events import SaveFailed
from qwenchat.chat.messages import Message, new_id
from qwenchat.chat.timeline import Tick
from qwenchat.chat.tree import MessageTree
from qwenchat.i18n.texts import say
from qwenchat.library.library import Conversation, Library
from qwenchat.library.unsaved_replies import Pending


class NothingDeleted(QwenchatError):
    """No deletion can be undone."""


@dataclass(frozen=True, slots=True)
class _Deletion:
    conversation: str
    messages: tuple[str, ...]
    leaf: str | None
    """What was being read."""


class Record:
    """A tree of messages that is written down as it changes; what cannot be written is kept, and written later."""

    def __init__(self, library: Library, report: Callable[[SaveFailed], None]) -> None:
        """`report` is told, once, when writing begins to fail."""
        self.conversation: str | None = None
        """The id of the saved conversation; None until the first message."""
        self.tree = MessageTree()
        self._deleted: list[_Deletion] = []
        self._library = library
        self._unsaved = Pending(library)
        self.written = False
        """Whether anything was said here that the library has now."""
        self._report = report

    @property
    def unsaved(self) -> int:
        """How many replies could not be written yet and are only in memory."""
        return len(self._unsaved)

    def begin(self) -> None:
        """Turn to a conversation that has no message yet."""
        self.conversation = None
        self.tree = MessageTree()

    def open(self, stored: Conversation) -> None:
        """Turn to a saved conversation."""
        self.conversation = stored.id
        self.tree = MessageTree(stored.messages, stored.leaf, stored.hidden)

    def say(self, messages: Sequence[Message], now: float, typed: Sequence[Tick] = ()) -> None:
        """Add what was said, the last of it `typed` so, once it is on disk.

        Raises LibraryError when it cannot be, having added nothing.
        """
        if error := self.write(now):
            raise error
        conversation = self.conversation or new_id()
        self._library.save_all(conversation, messages, typed)
        self.written = True
        self.conversation = conversation
        for message in messages:
            self.tree.add(message)

    def keep(self, reply: Message, ticks: Sequence[Tick], now: float) -> None:
        """Write a reply as it stands, in place of its earlier version."""
        self.tree.replace(reply)
        if self.conversation is not None:
            self._unsaved.put(self.conversation, reply, ticks)
            self.write(now)

    def select(self, message_id: str) -> None:
        """Read the branch through `message_id`, also when the conversation is opened again."""
        self.tree.select(message_id)
        self._keep_leaf()

    def delete(self, message_ids: Sequence[str]) -> None:
        """Take messages away, until `undo_delete` or for good; raises LibraryError, having taken none."""
        if self.conversation is None:
            return
        # What was deleted before comes back only with that deletion.
        new = tuple(at for at in message_ids if at not in self.tree.hidden)
        self._library.hide(new)
        self._deleted.append(_Deletion(self.conversation, new, self.tree.leaf))
        self.tree.hide(new)
        self._keep_leaf()

    def undo_delete(self) -> None:
        """Bring back what was deleted last in this conversation; raises NothingDeleted, LibraryError."""
        last = next((each for each in reversed(self._deleted) if each.conversation == self.conversation), None)
        if last is None:
            raise NothingDeleted(say("There is nothing to bring back in this conversation."))
        self._library.unhide(last.messages)
        self._deleted.remove(last)
        self.tree.unhide(last.messages)
        if last.leaf is not None:
            self.tree.select(last.leaf)
        self._keep_leaf()

    def _keep_leaf(self) -> None:
        if self.conversation and self.tree.leaf:
            self._library.select(self.conversation, self.tree.leaf)

    def write_if_due(self, now: float) -> None:
        """Try again what could not be written, if the last attempt is a while ago."""
        if self._unsaved.retry_is_due(now):
            self.write(now)

    def write(self, now: float) -> LibraryError | None:
        """Write what is not on disk yet."""
        failed_before = self._unsaved.failing
        error = self._unsaved.write(now)
        if error is not None and not failed_before:
            self._report(SaveFailed(error))
        return error
