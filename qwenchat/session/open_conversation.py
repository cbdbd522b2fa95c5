"""The conversation that is open, in memory and on disk."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qwenchat.chat.calls import open_calls
from qwenchat.chat.errors import ConversationNotFound, LibraryError, QwenchatError
from qwenchat.chat.events import SaveFailed
from qwenchat.chat.messages import Message, Role, Status, new_id
from qwenchat.chat.provenance import FinishReason, ModelInfo
from qwenchat.chat.timeline import Tick
from qwenchat.chat.tree import MessageTree
from qwenchat.i18n.texts import say, sentences
from qwenchat.library.library import Conversation, Library
from qwenchat.library.unsaved_replies import UnsavedReplies

CHARACTERS_PER_TOKEN = 4
"""Of English, as long as nobody has counted."""


class NothingDeleted(QwenchatError):
    """No deletion can be undone."""


@dataclass(frozen=True, slots=True)
class _Deletion:
    conversation: str
    messages: tuple[str, ...]
    leaf: str | None
    """What was being read."""


class OpenConversation:
    """A tree of messages that is written down as it changes; what cannot be written is kept, and written later."""

    def __init__(
        self,
        library: Library,
        report: Callable[[SaveFailed], None],
        clock: Callable[[], float] = time.monotonic,
        require_idle: Callable[[], None] = lambda: None,
    ) -> None:
        """`report` is called once when writing begins to fail, `require_idle` raises TurnInProgress during a turn."""
        self.id: str | None = None
        """The id of the saved conversation; None until the first message."""
        self.tree = MessageTree()
        self._deleted: list[_Deletion] = []
        self._library = library
        self._unsaved = UnsavedReplies(library)
        self.written = False
        """Whether anything was said here that the library has now."""
        self._report = report
        self._clock = clock
        self._require_idle = require_idle
        self._state: tuple[object, ...] = ()
        """How the conversation stood in the library when it was last compared."""
        self.gone = False
        """Whether another window deleted it; what is said in it brings it back."""
        self._context: tuple[tuple[Message, ...], int] = (), 0
        """The path whose tokens were counted, which are asked for at every draw, and how many there are."""

    @property
    def unsaved(self) -> int:
        """How many replies could not be written yet and are only in memory."""
        return len(self._unsaved)

    @property
    def path(self) -> tuple[Message, ...]:
        """The messages being read, from the first to the latest; the same object until something changes."""
        return self.tree.path()

    @property
    def latest(self) -> Message | None:
        """The last message of those being read."""
        return self.tree[self.tree.leaf] if self.tree.leaf is not None else None

    @property
    def context_tokens(self) -> int:
        """How many tokens of the context the latest finished turn took; an estimate where nobody counted them."""
        if self.path is not self._context[0]:
            self._context = self.path, _context_of(self.path)
        return self._context[1]

    @property
    def repeats(self) -> bool:
        """Whether the latest reply ended because it repeated itself."""
        return self.latest is not None and repeats(self.latest)

    @property
    def lacks_results(self) -> bool:
        """Whether tool calls, or their results, came last: the model can go on from there."""
        return self.latest is not None and (self.latest.role is Role.TOOL or bool(open_calls(self.path)))

    @property
    def lost(self) -> tuple[str, ...]:
        """What was to be kept and cannot be, in words."""
        reply = say("The last reply could not be saved.") if self.unsaved else ""
        said = ""
        if self._library.in_memory_only and self.written:
            said = sentences(say("What was said in this chat is not saved."), self._library.notice)
        return tuple(filter(None, (reply, said)))

    def whole_reply_to(self, asked: str, model: ModelInfo | None) -> Message | None:
        """The latest reply, if it is a complete one to that message by that model."""
        latest = self.latest
        made = latest.provenance if latest is not None else None
        if latest is None or made is None or latest.parent != asked or latest.status is not Status.COMPLETE:
            return None
        return latest if made.model == model else None

    def begin(self) -> None:
        """Turn to a conversation that has no message yet."""
        self.id = None
        self.tree = MessageTree()
        self.gone = False

    def open(self, stored: Conversation, message: str | None = None) -> None:
        """Turn to a saved conversation, on the branch through `message` where that can be seen."""
        self.id = stored.id
        self.gone = False
        self.tree = MessageTree(stored.messages, stored.leaf, stored.hidden)
        if message is not None and message in self.tree and message not in self.tree.hidden:
            self.select(message)

    def say(self, messages: Sequence[Message], typed: Sequence[Tick] = ()) -> None:
        """Add what was said, the last of it `typed` so, once it is on disk.

        Raises LibraryError when it cannot be, having added nothing.
        """
        if error := self.write():
            raise error
        conversation = self.id or new_id()
        if self.gone:
            self._library.undelete(conversation)
        # What was removed from the disk meanwhile is still here.
        self._library.save_all(conversation, (*self.path, *messages) if self.gone else messages, typed)
        self.gone = False
        self.written = True
        self.id = conversation
        for message in messages:
            self.tree.add(message)

    def keep(self, reply: Message, ticks: Sequence[Tick] = ()) -> None:
        """Write a message of the model's or of a tool as it stands, in place of its earlier version if there is one."""
        self.tree.put(reply)
        if self.id is not None:
            self._unsaved.put(self.id, reply, ticks)
            self.write()

    def catch_up(self) -> bool:
        """Take over what another window wrote here, but for a growing reply; returns whether there was anything.

        Raises LibraryError.
        """
        if self.id is None or self.unsaved or not self._library.changed_elsewhere():
            return False
        state = self.id, *self._library.state_of(self.id)
        if state == self._state:
            return False
        self._state = state
        try:
            stored = self._library.read(self.id)
        except ConversationNotFound:
            self.gone = True
            return False
        self.gone = False
        ended = [message for message in stored.messages if message.status is not Status.STREAMING]
        return self.tree.merge(ended, stored.hidden)

    def select(self, message_id: str) -> None:
        """Read the branch through `message_id`, also when the conversation is opened again.

        Raises TurnInProgress, MessageNotFound.
        """
        self._require_idle()
        self.read_to(message_id)

    def read_to(self, message_id: str) -> None:
        """As `select`, whatever runs."""
        self.tree.select(message_id)
        self._keep_leaf()

    def delete(self, message_id: str) -> None:
        """Take one message away, until `undo_delete` or for good; what comes after it stays.

        Raises TurnInProgress, MessageNotFound, LibraryError, having taken none.
        """
        self._require_idle()
        self._hide([self.tree[message_id].id])

    def delete_branch(self, message_id: str) -> None:
        """Take a message and all that comes after it away. Raises as `delete`."""
        self._require_idle()
        self._hide(self.tree.below(message_id))

    def undo_delete(self) -> None:
        """Bring back what was deleted last here. Raises TurnInProgress, NothingDeleted, LibraryError."""
        self._require_idle()
        last = next((each for each in reversed(self._deleted) if each.conversation == self.id), None)
        if last is None:
            raise NothingDeleted(say("There is nothing to bring back in this conversation."))
        self._library.unhide(last.messages)
        self._deleted.remove(last)
        self.tree.unhide(last.messages)
        if last.leaf is not None:
            self.tree.select(last.leaf)
        self._keep_leaf()

    @property
    def can_undelete(self) -> bool:
        """Whether `undo_delete` would bring something back."""
        return any(each.conversation == self.id for each in self._deleted)

    def _hide(self, message_ids: Sequence[str]) -> None:
        if self.id is None:
            return
        # What was deleted before comes back only with that deletion.
        new = tuple(at for at in message_ids if at not in self.tree.hidden)
        self._library.hide(new)
        self._deleted.append(_Deletion(self.id, new, self.tree.leaf))
        self.tree.hide(new)
        self._keep_leaf()

    def _keep_leaf(self) -> None:
        if self.id and self.tree.leaf:
            self._library.select(self.id, self.tree.leaf)

    def write_if_due(self) -> None:
        """Try again what could not be written, if the last attempt is a while ago."""
        if self._unsaved.retry_is_due(self._clock()):
            self.write()

    def write(self) -> LibraryError | None:
        """Write what is not on disk yet."""
        failed_before = self._unsaved.failing
        error = self._unsaved.write(self._clock())
        if error is not None and not failed_before:
            self._report(SaveFailed(error))
        return error


def repeats(message: Message) -> bool:
    """Whether the model did nothing but repeat itself."""
    return message.provenance is not None and message.provenance.finish_reason is FinishReason.REPETITION


def _context_of(path: tuple[Message, ...]) -> int:
    for message in reversed(path):
        if message.provenance and message.provenance.usage.prompt_tokens:
            usage = message.provenance.usage
            return usage.prompt_tokens + usage.answer_tokens
    return sum(len(message.text) for message in path) // CHARACTERS_PER_TOKEN
