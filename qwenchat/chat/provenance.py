"""How a reply was made: enough to say which model spoke, how fast, and to ask it again."""

from dataclasses import dataclass
from enum import StrEnum

from qwenchat.chat.sampling import Sampling, SamplingOverrides
from qwenchat.chat.tools import ToolSpec


class ThinkingSupport(StrEnum):
    """Which thinking switches a model has, read from its chat template."""

    NONE = "none"
    """Never thinks."""
    SWITCHED = "switched"
    """Thinks or not, as `enable_thinking` and the soft switches say."""
    ALWAYS = "always"
    """Always thinks; there is no switch."""


class FinishReason(StrEnum):
    """Why a reply ended."""

    STOP = "stop"
    """The model ended its turn."""
    LENGTH = "length"
    """`max_tokens` or the context window was reached."""
    TOOL_CALLS = "tool_calls"
    STOPPED = "stopped"
    """The user stopped it."""
    REPETITION = "repetition"
    """The model did nothing but repeat itself."""
    ERROR = "error"


class ThoughtCut(StrEnum):
    """What ended a thought that the model did not end itself."""

    BUDGET = "budget"
    """The thinking budget was spent."""
    USER = "user"
    """The user asked for the answer."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that is loaded."""

    name: str
    revision: str = ""
    """Hub commit, or a digest of the file; empty when unknown."""
    quantization: str = ""
    """Format of the weights as run: bf16, float32, Q4_1, ..."""
    device: str = "cpu"
    context_window: int = 0
    """Tokens of prompt and reply together."""
    thinking: ThinkingSupport = ThinkingSupport.NONE
    parameters: int = 0
    memory_bytes: int = 0
    """Memory of the weights as loaded, in bytes."""
    load_s: float = 0.0
    sampling: SamplingOverrides = SamplingOverrides()
    """What the model's makers recommend; empty for Qwen3, whose presets depend on the mode."""
    reason: str = ""
    """Why this model, or why a shorter context than usual, in words for the reader; empty when all is as asked."""
    system_changes: bool = True
    """Whether a system message in the middle of a conversation reaches the model."""
    tools: bool = False
    """Whether the model can call tools."""
    server: str = ""
    """Where the model is, by the user's name for it or its host; empty for this machine."""

    @property
    def place(self) -> str:
        """Where it runs: the server, or the device and the number format."""
        return self.server or " ".join(word for word in (self.device, self.quantization) if word)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one turn."""

    prompt_tokens: int = 0
    cached_tokens: int | None = 0
    """How many of the prompt's tokens were already in the KV cache; None where the server does not say."""
    thinking_tokens: int = 0
    answer_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one turn, counted from when the engine took it up."""

    first_token_s: float = 0.0
    thinking_s: float = 0.0
    total_s: float = 0.0
    tokens_per_s: float = 0.0
    """Decode speed: tokens after the first, by the seconds after the first."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The full account of one reply."""

    model: ModelInfo
    sampling: Sampling
    thinking: bool
    """Whether the turn was asked for in thinking mode."""
    usage: Usage = Usage()
    timing: Timing = Timing()
    finish_reason: FinishReason | None = None
    """None while the reply is being written."""
    thinking_budget: int | None = None
    """Most tokens of thought that were allowed; None for no limit."""
    thought_cut: ThoughtCut | None = None
    """What ended the thought; None when the model did, or when there is none."""
    tools: tuple[ToolSpec, ...] = ()
    """What the model was allowed to call."""
    omitted: tuple[str, ...] = ()
    """The sampling parameters that were not sent to the server, whose own values counted."""

    @property
    def counted(self) -> bool:
        """Whether somebody counted the tokens: of a server that does not, only the pieces of its reply are known."""
        return not self.model.server or self.usage.prompt_tokens > 0

    def continued(self, usage: Usage, timing: Timing) -> tuple[Usage, Timing]:
        """The figures of a whole reply: those of this account's part of it, if there is one, and of what came after."""
        first, clock = self.usage, self.timing
        return (
            Usage(
                first.prompt_tokens or usage.prompt_tokens,
                first.cached_tokens if first.prompt_tokens else usage.cached_tokens,
                first.thinking_tokens + usage.thinking_tokens,
                first.answer_tokens + usage.answer_tokens,
            ),
            Timing(
                clock.first_token_s or timing.first_token_s,
                clock.thinking_s + timing.thinking_s,
                clock.total_s + timing.total_s,
                timing.tokens_per_s or clock.tokens_per_s,
            ),
        )
