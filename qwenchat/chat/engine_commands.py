"""What the engine's thread is asked to do, as frozen values named in the imperative."""

from dataclasses import dataclass

from qwenchat.chat.continuation import NOTHING, PartialReply
from qwenchat.chat.messages import Message, ToolCallPart
from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.sampling import Sampling, SamplingOverrides
from qwenchat.chat.server_profile import Server
from qwenchat.chat.thinking import soft_switch_in_force, support_of, thinks
from qwenchat.chat.tools import ToolSpec


@dataclass(frozen=True, slots=True)
class LoadModel:
    """Make a model ready, in place of the one that is loaded."""

    name: str | None = None
    """A Hub name, a folder, a GGUF file; None for the default of this machine."""
    device: str = "auto"
    """auto, cpu, cuda, mps."""
    quantization: str = "auto"
    """auto, bf16, float32."""
    context_window: int | None = None
    """Tokens; None for as much as the model supports, within 32,768."""
    back: bool = False
    """Whether this is the model before one that failed: if it is still loaded, it stays as it is."""
    server: Server | None = None
    """Where the model is; None for this machine."""


@dataclass(frozen=True, slots=True)
class StartTurn:
    """Answer the last of `messages`."""

    turn: int
    """Identifies the turn in every event it causes."""
    messages: tuple[Message, ...]
    """From the root to the user's message; a system message, if any, comes first."""
    thinking: bool
    """The hard switch, `enable_thinking`."""
    sampling: Sampling
    thinking_budget: int | None = None
    """Most tokens of thought: then it is closed with Qwen's own sentence, and the answer follows. None for no limit."""
    begun: PartialReply = NOTHING
    """The part of the reply that is there already; the model goes on from its last word."""
    answer_now: bool = False
    """Whether the thought that is gone on from ends at once, in the same way as when its budget is spent."""
    schema: str | None = None
    """A JSON schema, as text, that the answer must be JSON of."""
    tools: tuple[ToolSpec, ...] = ()
    """What the model may call. Messages may hold calls and results of others too."""

    @classmethod
    def of(
        cls,
        turn: int,
        messages: tuple[Message, ...],
        model: ModelInfo | None,
        overrides: SamplingOverrides,
        hard: bool,
        *,
        budget: int | None = None,
        schema: str | None = None,
        tools: tuple[ToolSpec, ...] = (),
    ) -> "StartTurn":
        """The command that asks `model` for a new reply, under the sampling preset of the mode that it answers in.

        `hard` is the hard switch. An earlier /no_think turns it off too, so that it holds also when the message it
        stands in does not fit the context any more, and for models without a soft switch.
        """
        hard = hard and soft_switch_in_force(messages) is not False
        recommended = model.sampling if model else SamplingOverrides()
        sampling = overrides.over(recommended).applied(thinks(support_of(model), hard, messages))
        return cls(turn, messages, hard, sampling, budget, schema=schema, tools=tools)


@dataclass(frozen=True, slots=True)
class Prefill:
    """Read a conversation as the turn after it will see it, so that the turn's first token comes sooner.

    Whatever is asked next goes before it.
    """

    messages: tuple[Message, ...]
    """From the root to the latest reply."""
    thinking: bool
    draft: str = ""
    """How the next message begins, as far as it is written."""
    tools: tuple[ToolSpec, ...] = ()
    number: int = 0
    """Identifies it in the `DraftCounted` that it causes."""
    pieces: tuple[str, ...] = ()
    """Parts of the draft whose tokens are counted one by one."""


@dataclass(frozen=True, slots=True)
class ScoreReply:
    """Tell of each token of a reply that is there how sure the model is of it.

    Whatever is asked next goes before it.
    """

    messages: tuple[Message, ...]
    """From the root to what was answered."""
    reply: PartialReply
    ended: bool
    """Whether the model ended the reply itself, so that the token which ends it counts too."""
    tools: tuple[ToolSpec, ...] = ()
    number: int = 0
    """Identifies it in the events it causes."""


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run a call that is permitted. It goes to the one who runs tools, not to the engine."""

    number: int
    """Identifies the run in the event it causes."""
    call: ToolCallPart
    limit: int
    """Characters of the result at most."""


@dataclass(frozen=True, slots=True)
class AnswerNow:
    """End the thought of that turn, as when its budget is spent; does nothing once it answers."""

    turn: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End that turn, queued or running."""

    turn: int


@dataclass(frozen=True, slots=True)
class StopScoring:
    """End that `ScoreReply`, queued or running."""

    number: int


@dataclass(frozen=True, slots=True)
class Close:
    """Give the model's memory back and end the thread."""


Command = LoadModel | StartTurn | Prefill | ScoreReply | AnswerNow | Stop | StopScoring | Close
