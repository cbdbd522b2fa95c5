"""Messages and their typed parts."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from qwenchat.chat.characters import well_formed
from qwenchat.chat.provenance import Provenance
from qwenchat.i18n.texts import say


def new_id() -> str:
    """A fresh identifier of 16 hexadecimal digits for a message or a conversation."""
    return secrets.token_hex(8)


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Status(StrEnum):
    """How far a message got."""

    COMPLETE = "complete"
    STREAMING = "streaming"
    """Being written now; on disk after a crash it becomes INTERRUPTED."""
    STOPPED = "stopped"
    """Ended by the user."""
    INTERRUPTED = "interrupted"
    """The program died or was closed while it was being written."""
    FAILED = "failed"
    """Ended by an error."""

    @property
    def in_words(self) -> str:
        """How far that is, for people."""
        match self:
            case Status.COMPLETE:
                return say("complete")
            case Status.STREAMING:
                return say("streaming")
            case Status.STOPPED:
                return say("stopped")
            case Status.INTERRUPTED:
                return say("interrupted")
            case Status.FAILED:
                return say("failed")


@dataclass(frozen=True, slots=True)
class TextPart:
    """What was said."""

    text: str
    origin: str = ""
    """Where it is from when it was not typed: "pasted", or the word that names a file, as in `@notes.md`."""

    def __post_init__(self) -> None:
        _hold_whole_characters(self, "text", "origin")


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What the model thought before it answered."""

    text: str
    tokens: int = 0
    seconds: float = 0.0
    closed: bool = True
    """False while the model thinks, and for a turn that ended inside its thought."""

    def __post_init__(self) -> None:
        _hold_whole_characters(self, "text")


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A call the model asks for; `arguments` is a JSON object as text."""

    id: str
    """The program's own, never a server's: permissions, results and the screen go by it."""
    name: str
    arguments: str
    server_id: str = ""
    """What the server called it, which is said again to that server alone; empty if it said nothing usable."""

    def __post_init__(self) -> None:
        _hold_whole_characters(self, "id", "name", "arguments", "server_id")


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a tool answered to the call `call_id`."""

    call_id: str
    name: str
    text: str
    failed: bool = False

    def __post_init__(self) -> None:
        _hold_whole_characters(self, "call_id", "name", "text")


def _hold_whole_characters(part: object, *fields: str) -> None:
    """Wherever a part is made, half a character in it would fail what is sent and saved later."""
    for field_ in fields:
        given: str = getattr(part, field_)
        if (text := well_formed(given)) is not given:
            object.__setattr__(part, field_, text)


Part = TextPart | ReasoningPart | ToolCallPart | ToolResultPart


@dataclass(frozen=True, slots=True)
class Message:
    """One node of a conversation's tree: what one speaker said in one go."""

    role: Role
    parts: tuple[Part, ...]
    parent: str | None = None
    id: str = field(default_factory=new_id)
    created: float = field(default_factory=time.time)
    """Unix time in seconds."""
    status: Status = Status.COMPLETE
    note: str = ""
    """Why a reply ended early, in words for the reader; empty for a complete one."""
    provenance: Provenance | None = None
    """How a reply was made; None for messages of people and tools."""

    @property
    def text(self) -> str:
        """The spoken text, without reasoning and tool calls."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def reasoning(self) -> str:
        """The thought, empty if there was none."""
        return "".join(part.text for part in self.parts if isinstance(part, ReasoningPart))


def kept_from(messages: Sequence[Message], start: int) -> list[Message]:
    """The messages from `start` on, below the system prompt in force there: what is kept of a long chat."""
    system = next((message for message in reversed(messages[:start]) if message.role is Role.SYSTEM), None)
    return [*([system] if system else ()), *messages[start:]]
