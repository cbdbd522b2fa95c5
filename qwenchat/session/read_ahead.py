"""Prefix prefill: while nobody waits, the model reads the conversation and the draft as the next turn will see them."""

from collections.abc import Sequence

from qwenchat.chat.calls import balanced
from qwenchat.chat.engine_commands import Prefill as Command
from qwenchat.chat.events import DraftCounted
from qwenchat.chat.messages import Message
from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.tools import ToolSpec
from qwenchat.engine.worker import Worker


class ReadAhead:
    """The draft of the next message, its size in tokens, and what the model was last given to read."""

    def __init__(self) -> None:
        self.draft = ""
        """The next message as far as the model may read it."""
        self._pieces: tuple[str, ...] = ()
        self._number = 0
        self._sent_draft = ""
        self._sent: tuple[object, ...] = ()
        """The state of the chat that the model was last given to read."""
        self._sent_path: tuple[Message, ...] = ()
        """The path in it, compared by identity: each change makes another, and some have thousands of messages."""
        self._size: tuple[str, DraftCounted] | None = None

    @property
    def latest_size(self) -> tuple[str, DraftCounted] | None:
        """The latest draft of this conversation whose tokens were counted, with the counts."""
        return self._size

    def size_of(self, draft: str) -> DraftCounted | None:
        """How much of the context that draft takes; None while that is not known exactly."""
        return self._size[1] if self._size is not None and self._size[0] == draft else None

    def write(self, draft: str, pieces: tuple[str, ...] = ()) -> None:
        """Let the model read the draft as far as it is written; the tokens of each of `pieces` are counted too."""
        if draft != self.draft:
            self.draft, self._pieces = draft, pieces

    def clear(self) -> None:
        """The draft was sent, or another conversation is opened."""
        self.draft, self._size = "", None

    def renew(self) -> None:
        """Let the model read it all again: it was given something else meanwhile."""
        self._sent = ()

    def take(self, event: DraftCounted) -> None:
        """Take in the size of the draft; that of an earlier one is dropped."""
        if event.number == self._number:
            self._size = self._sent_draft, event

    def send(
        self,
        worker: Worker,
        model: ModelInfo,
        path: tuple[Message, ...],
        system: Sequence[Message],
        thinking: bool,
        tools: tuple[ToolSpec, ...],
    ) -> None:
        """Give `worker` what has changed since the last time; does nothing when nothing has."""
        state = (id(worker), model, "".join(message.text for message in system), thinking, tools, self.draft)
        if (path is self._sent_path and state == self._sent) or not (path or self.draft):
            return
        self._sent, self._sent_path, self._sent_draft = state, path, self.draft
        self._number += 1
        messages = balanced((*path, *system))
        worker.send(Command(messages, thinking, self.draft, tools, self._number, self._pieces))
