"""What happened, as frozen values named in the past. Each turn ends in exactly one `TurnEnded`."""

from dataclasses import dataclass
from enum import StrEnum

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.messages import ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import FinishReason, ModelInfo, ThoughtCut, Timing, Usage
from qwenchat.chat.sampling import Sampling
from qwenchat.chat.tools import ToolSpec
from qwenchat.i18n.texts import say, sentences


class Channel(StrEnum):
    """Where a piece of a reply belongs."""

    THOUGHT = "thought"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class LoadProgressed:
    """A model is being fetched or loaded."""

    step: str
    """In words: "downloading Qwen/Qwen3-0.6B", "reading weights", ..."""
    done: int = 0
    total: int = 0
    """Bytes; 0 when the amount is unknown."""


@dataclass(frozen=True, slots=True)
class ModelLoaded:
    """The model can be asked."""

    model: ModelInfo


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The model could not be made ready; turns fail until another is loaded."""

    error: QwenchatError


@dataclass(frozen=True, slots=True)
class HistoryTrimmed:
    """The oldest messages did not fit the context window and were left out of this turn's prompt."""

    turn: int
    messages: int
    """How many messages were left out."""


@dataclass(frozen=True, slots=True)
class BeginningTrimmed:
    """A reply that is gone on from does not fit the context window; its beginning was left out of the prompt."""

    turn: int
    tokens: int
    """How many tokens were left out."""


@dataclass(frozen=True, slots=True)
class RequestAccepted:
    """A server took the request for a turn, which may have less in it than was wanted."""

    turn: int
    sampling: Sampling
    """As it was sent, as far as it was."""
    omitted: tuple[str, ...] = ()
    """The sampling parameters that were not sent: the server's own values count."""
    tools: tuple[ToolSpec, ...] = ()
    """Those that were offered."""
    thinking_budget: int | None = None
    """As it was sent; None where it was not."""


@dataclass(frozen=True, slots=True)
class ServerNotice:
    """Something that the user should know of the server, reported once."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class ModelLearned:
    """More is known of the model than when it was loaded."""

    turn: int
    model: ModelInfo


@dataclass(frozen=True, slots=True)
class PrefillProgressed:
    """So many of the prompt's tokens have been read."""

    turn: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class TextProduced:
    """A piece of the reply: whole characters, raw (not yet safe for a terminal)."""

    turn: int
    channel: Channel
    text: str
    tokens: int
    """How many tokens this piece stands for; may be 0 for text held back earlier."""
    at_s: float
    """Seconds since the engine took up the turn."""


@dataclass(frozen=True, slots=True)
class ThoughtStarted:
    """The model began to think."""

    turn: int
    at_s: float


@dataclass(frozen=True, slots=True)
class ThoughtEnded:
    """The model finished thinking and will answer. Nothing comes for an empty thought."""

    turn: int
    at_s: float
    cut: ThoughtCut | None = None
    """What ended the thought in the model's place."""


@dataclass(frozen=True, slots=True)
class AnswerReclassified:
    """A thought without an opening tag: all answer text of this turn so far was thought, and it has now ended."""

    turn: int
    at_s: float


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model asks for a call. Nothing runs before its turn has ended and the call is permitted."""

    turn: int
    call: ToolCallPart
    tokens: int = 0
    """How many tokens the call took."""
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The reply is complete, or reached a limit.

    With TOOL_CALLS it is not the last word: what the tools give is followed by another turn, and its end.
    """

    turn: int
    reason: FinishReason
    usage: Usage
    timing: Timing


@dataclass(frozen=True, slots=True)
class TurnStopped:
    """The user ended the turn; what came so far is kept."""

    turn: int
    usage: Usage = Usage()
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn ended in an error; what came so far is kept."""

    turn: int
    error: QwenchatError
    usage: Usage = Usage()
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True)
class DraftCounted:
    """How much of the context window a draft takes, exactly."""

    number: int
    """That of the `Prefill`."""
    tokens: int
    """Those of the draft."""
    prompt_tokens: int
    """Those of the whole prompt with it, as much of it as fits."""
    limit: int
    """How many tokens a prompt may have."""
    left_out: int = 0
    """How many of the oldest messages do not fit beside it."""
    pieces: tuple[int, ...] = ()
    """The tokens of each of the pieces."""

    @property
    def fits(self) -> bool:
        """Whether it can be sent."""
        return self.prompt_tokens <= self.limit

    @property
    def room(self) -> int:
        """How many tokens the draft may have."""
        return self.limit - self.prompt_tokens + self.tokens


@dataclass(frozen=True, slots=True)
class TokenAlternative:
    """A token that might have come next, with the model's own probability before temperature and penalties."""

    text: str
    """Raw; empty for a part of a character."""
    probability: float
    control: bool = False
    """Whether it is no text, but a token such as the one that ends the reply."""


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """How sure the model is of one token of a reply."""

    text: str
    """The characters that are whole with it, raw; may be empty. Those of all tokens together are the reply."""
    channel: Channel
    control: bool
    chosen: TokenAlternative
    likeliest: tuple[TokenAlternative, ...]
    """The five likeliest tokens, likeliest first; the chosen one may be among them."""


@dataclass(frozen=True, slots=True)
class TokensScored:
    """The next tokens of a reply that is looked at; there may be none yet."""

    number: int
    """That of the `ScoreReply`."""
    tokens: tuple[ScoredToken, ...]
    total: int
    """How many tokens the reply has."""


@dataclass(frozen=True, slots=True)
class ScoringEnded:
    """No more tokens come."""

    number: int
    error: QwenchatError | None = None
    """Why, if not all came; None also when something else was asked."""


@dataclass(frozen=True, slots=True)
class SaveFailed:
    """Something could not be written to disk; it is kept in memory and written again at the next chance."""

    error: QwenchatError


@dataclass(frozen=True, slots=True)
class ToolsListed:
    """The tools that were switched on are ready."""

    number: int
    """Of the request that this answers."""
    tools: tuple[ToolSpec, ...]
    problems: tuple[str, ...] = ()
    """Why some are not, in words."""


@dataclass(frozen=True, slots=True)
class PermissionAsked:
    """A call waits until the user says whether it may run."""

    call: ToolCallPart


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call that is permitted runs."""

    call: ToolCallPart


@dataclass(frozen=True, slots=True)
class CallReturned:
    """A call came to its end, well or not."""

    number: int
    """Of the run."""
    result: ToolResultPart


@dataclass(frozen=True, slots=True)
class PermissionNotSaved:
    """That a tool may always run could not be written down; it counts until the program ends."""

    error: QwenchatError

    @property
    def in_words(self) -> str:
        """What that means, for people."""
        return sentences(str(self.error), say("The tool runs without asking until qwenchat ends."))


TurnEnded = TurnFinished | TurnStopped | TurnFailed
ReplyEvent = TextProduced | ThoughtStarted | ThoughtEnded | AnswerReclassified | ToolCalled
"""What a reply is made of."""
TurnNotice = HistoryTrimmed | BeginningTrimmed | ServerNotice
"""What the user should know of a turn."""
RequestEvent = RequestAccepted | ModelLearned
"""What a server turned out to take and to be."""
TurnProgressed = ReplyEvent | TurnNotice | RequestEvent | PrefillProgressed
LoadEvent = LoadProgressed | ModelLoaded | LoadFailed
TurnEvent = TurnProgressed | TurnEnded
CallEvent = ToolsListed | PermissionAsked | PermissionNotSaved | CallStarted | CallReturned
ScoringEvent = TokensScored | ScoringEnded
Event = LoadEvent | TurnEvent | DraftCounted | ScoringEvent | SaveFailed | CallEvent
