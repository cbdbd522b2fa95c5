"""The system prompt of a chat, and whether a changed one has yet to go before the next message."""

from collections.abc import Callable

from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.session.open_conversation import OpenConversation


class SystemPrompt:
    """What the model reads before the user's messages; several, one after another, where it was changed."""

    def __init__(self, text: str, conversation: OpenConversation, readable_later: Callable[[], bool]) -> None:
        """`readable_later` says whether the model reads system prompts in mid-conversation."""
        self.text = text
        """The prompt of the next conversation, and of this one as far as `in_force` says so."""
        self._conversation, self._readable_later = conversation, readable_later
        self._pending = False
        self._read: tuple[tuple[Message, ...], str] = (), ""
        """The path that was searched for its system prompt, which is asked for at every draw, and what was found."""

    @property
    def in_force(self) -> str:
        """The system prompt that the next message will be answered under."""
        path = self._conversation.path
        if self._pending or not path:
            return self.text
        if path is not self._read[0]:
            prompts = (message.text for message in reversed(path) if message.role is Role.SYSTEM)
            self._read = path, next(prompts, "")
        return self._read[1]

    def change(self, text: str) -> bool:
        """Change the prompt, and return whether it counts from the next message on; else from the next conversation.

        A prompt that was sent cannot be taken back, and some models read none in mid-conversation.
        """
        unchanged = text == self.in_force
        self.text, self._pending = text, False
        if not self._conversation.path or unchanged:
            return True
        self._pending = bool(text) and self._readable_later()
        return self._pending

    def sent(self) -> None:
        """What was to go before the next message is in the conversation, or another conversation is opened."""
        self._pending = False

    def before(self, parent: str | None) -> tuple[Message, ...]:
        """The system message that goes before one below `parent`: at the start, and once after each change.

        A message that is edited may stand right below a system message; then the new one is a version of that.
        """
        if not self.text or not (parent is None or self._pending):
            return ()
        if parent is not None and self._conversation.tree[parent].role is Role.SYSTEM:
            parent = self._conversation.tree[parent].parent
        return (Message(Role.SYSTEM, (TextPart(self.text),), parent=parent),)
