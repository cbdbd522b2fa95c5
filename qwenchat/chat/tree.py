"""A conversation as a tree of messages: edits and retries become branches, and nothing is overwritten."""

from collections.abc import Iterable

from qwenchat.chat.errors import MessageNotFound
from qwenchat.chat.messages import Message


class MessageTree:
    """The messages of one conversation and the leaf that is being read.

    Roots are messages without a parent; there may be several, since the first message can be edited too.
    """

    def __init__(self, messages: Iterable[Message] = (), leaf: str | None = None) -> None:
        self._messages: dict[str, Message] = {}
        self._children: dict[str | None, list[str]] = {}
        self.leaf: str | None = None
        self._path: tuple[Message, ...] | None = None
        """The path to the leaf, until something changes."""
        for message in messages:
            self.add(message)
        if leaf is not None:
            self.select(leaf)

    def __len__(self) -> int:
        return len(self._messages)

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._messages

    def __getitem__(self, message_id: str) -> Message:
        try:
            return self._messages[message_id]
        except KeyError:
            raise MessageNotFound(f"There is no message {message_id} in this conversation.") from None

    def add(self, message: Message) -> None:
        """Append `message` below its parent and make it the leaf; raises MessageNotFound without that parent."""
        if message.parent is not None:
            self[message.parent]
        self._messages[message.id] = message
        self._path = None
        self._children.setdefault(message.parent, []).append(message.id)
        self.leaf = message.id

    def replace(self, message: Message) -> None:
        """Put a newer version of a message that is already here in its place, such as a reply that has grown."""
        self[message.id]
        self._messages[message.id] = message
        self._path = None

    def path(self, leaf: str | None = None) -> tuple[Message, ...]:
        """The messages from the root to `leaf`, by default the one being read; empty for an empty tree.

        As long as nothing changes, the path being read is the same tuple each time.
        """
        if leaf is None:
            if self._path is None:
                self._path = self._walk(self.leaf)
            return self._path
        return self._walk(leaf)

    def _walk(self, at: str | None) -> tuple[Message, ...]:
        messages: list[Message] = []
        while at is not None:
            message = self[at]
            messages.append(message)
            at = message.parent
        return tuple(reversed(messages))

    def siblings(self, message_id: str) -> tuple[str, ...]:
        """The ids of all versions of this message, itself included, oldest first."""
        return tuple(self._children[self[message_id].parent])

    def select(self, message_id: str) -> None:
        """Read the branch through `message_id`, down to its newest leaf."""
        at = self[message_id].id
        while children := self._children.get(at):
            at = children[-1]
        self.leaf = at
        self._path = None
