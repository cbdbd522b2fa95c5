"""A conversation as a tree of messages: edits and retries become branches, and nothing is overwritten."""

from collections.abc import Iterable, Iterator

from qwenchat.chat.calls import calls_in
from qwenchat.chat.errors import MessageNotFound, PromptEmpty
from qwenchat.chat.messages import Message, Role
from qwenchat.i18n.texts import say


class MessageTree:
    """The messages of one conversation and the leaf that is being read.

    Roots are messages without a parent; there may be several, since the first message can be edited too. A hidden
    message is there, but not shown: what comes after it counts as coming after the message before it.
    """

    def __init__(self, messages: Iterable[Message] = (), leaf: str | None = None, hidden: Iterable[str] = ()) -> None:
        self._messages: dict[str, Message] = {}
        self._places: dict[str, int] = {}
        """The order in which messages were added."""
        self._children: dict[str | None, list[str]] = {}
        self._hidden = set(hidden)
        self._read: dict[str | None, str] = {}
        """After which message which one was read last."""
        self.leaf: str | None = None
        self._path: tuple[Message, ...] | None = None
        """The path to the leaf, until something changes."""
        for message in messages:
            self._put(message)
        self._read_to(leaf if leaf in self._messages else next(reversed(self._messages), None))
        self._settle()

    def __len__(self) -> int:
        return len(self._messages)

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._messages

    def __getitem__(self, message_id: str) -> Message:
        try:
            return self._messages[message_id]
        except KeyError:
            raise MessageNotFound(
                say("There is no message {message_id} in this conversation.", message_id=message_id)
            ) from None

    @property
    def hidden(self) -> frozenset[str]:
        """The ids of the messages that are there but not shown."""
        return frozenset(self._hidden)

    def add(self, message: Message) -> None:
        """Append `message` below its parent and make it the leaf; raises MessageNotFound without that parent."""
        self._put(message)
        self._read_to(message.id)

    def put(self, message: Message) -> None:
        """Add `message`, or replace its earlier version."""
        if message.id in self:
            self.replace(message)
        else:
            self.add(message)

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

    def parent(self, message_id: str) -> str | None:
        """The message before this one; None for a first one."""
        return next((at for at in self._up(self[message_id].parent) if at not in self._hidden), None)

    def siblings(self, message_id: str) -> tuple[str, ...]:
        """The ids of all versions of this message, itself included, oldest first."""
        return tuple(self._after(self.parent(message_id)))

    def below(self, message_id: str) -> tuple[str, ...]:
        """The ids of the message and of all that come after it, on all branches."""
        found = [self[message_id].id]
        for at in found:
            found += self._children.get(at, ())
        return tuple(found)

    def select(self, message_id: str) -> None:
        """Read the branch through `message_id`, down to where it was read last, or to its newest leaf.

        Raises MessageNotFound, also for a hidden message.
        """
        if self[message_id].id in self._hidden:
            raise MessageNotFound(say("The message {message_id} was deleted.", message_id=message_id))
        self._read_to(message_id)
        self._settle()

    def hide(self, message_ids: Iterable[str]) -> None:
        """Show these messages no more; what is read then is as near as possible to what was."""
        self._hidden.update(self[at].id for at in tuple(message_ids))
        self._settle()

    def unhide(self, message_ids: Iterable[str]) -> None:
        """Show hidden messages again."""
        self._hidden.difference_update(message_ids)
        self._settle()

    def merge(self, messages: Iterable[Message], hidden: Iterable[str]) -> bool:
        """Take over messages, parents first, and which ones are `hidden`; returns whether that changed anything.

        What is read goes on to the end of its branch.
        """
        before, known = self._hidden, len(self)
        self.path()
        for message in messages:
            if message.id not in self:
                self._put(message)
            elif message.parts != self[message.id].parts or message.status is not self[message.id].status:
                self.replace(message)
        self._hidden = {at for at in hidden if at in self}
        replaced = self._path is None
        if changed := replaced or len(self) > known or self._hidden != before:
            self._settle()
        return changed

    def _put(self, message: Message) -> None:
        if message.parent is not None:
            self[message.parent]
        self._messages[message.id] = message
        self._places[message.id] = len(self._places)
        self._children.setdefault(message.parent, []).append(message.id)

    def _settle(self) -> None:
        """Read on from the nearest message to the leaf that is shown, to the end of a branch."""
        at = next((at for at in self._up(self.leaf) if at not in self._hidden), None)
        while after := self._after(at):
            at = self._read[at] if self._read.get(at) in after else after[-1]
        self._read_to(at)

    def _read_to(self, leaf: str | None) -> None:
        self.leaf, self._path = leaf, None
        after: str | None = None
        for at in self._up(leaf):
            if at not in self._hidden:
                if after is not None:
                    self._read[at] = after
                after = at
        if after is not None:
            self._read[None] = after

    def _walk(self, leaf: str | None) -> tuple[Message, ...]:
        shown = [self[at] for at in self._up(leaf) if at not in self._hidden]
        return tuple(reversed(shown))

    def _up(self, at: str | None) -> Iterator[str]:
        """`at` and the messages before it, hidden ones too, the latest first."""
        while at is not None:
            yield at
            at = self[at].parent

    def _after(self, message_id: str | None) -> list[str]:
        """The messages that come after a shown one, or those that come first, oldest first."""
        found: list[str] = []
        open_ = list(self._children.get(message_id, ()))
        while open_:
            at = open_.pop()
            if at in self._hidden:
                open_ += self._children.get(at, ())
            else:
                found.append(at)
        return sorted(found, key=self._places.__getitem__)


def question_before(tree: MessageTree, message_id: str | None) -> str:
    """The id of the message of the user's that this one answers, or is. Raises PromptEmpty."""
    at = message_id
    if at is not None and tree[at].role is Role.ASSISTANT:
        at = tree[at].parent
    while at is not None and _belongs_to_a_reply(tree[at]):
        at = tree[at].parent
    if at is None or tree[at].role is not Role.USER:
        raise PromptEmpty(say("There is no message to answer."), say("Write one first."))
    if at in tree.hidden:
        raise PromptEmpty(
            say("The message that this answers was deleted."), say("/undo brings back what was deleted last.")
        )
    return at


def _belongs_to_a_reply(message: Message) -> bool:
    """Whether a message is a step on the way to a reply: a call of a tool, or what that gave."""
    return message.role is Role.TOOL or bool(calls_in(message))
