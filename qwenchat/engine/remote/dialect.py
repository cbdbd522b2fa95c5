"""How each server says the same things: which switch of thinking it has, and which sampling parameters it takes.

Sources: the servers' own API documents. vLLM and SGLang take `chat_template_kwargs` and all sampling parameters of the
model card; llama.cpp calls the repetition penalty `repeat_penalty`; Ollama's OpenAI-compatible address knows
`reasoning_effort` and no more than the OpenAI API; LM Studio leaves thinking to Qwen's soft switch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from qwenchat.chat.sampling import Sampling
from qwenchat.chat.server_profile import Dialect


class Switch(Enum):
    """How thinking is turned on and off."""

    TEMPLATE = auto()
    """`chat_template_kwargs: {"enable_thinking": ...}`"""
    EFFORT = auto()
    """`reasoning_effort: "none"` turns it off."""
    SOFT = auto()
    """`/no_think` in the message."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What one kind of server understands beyond the OpenAI API."""

    switch: Switch = Switch.SOFT
    top_k: str | None = None
    min_p: str | None = None
    repetition_penalty: str | None = None
    """The names of these parameters; None where the server has none."""
    presence: bool = True
    """Whether presence and frequency penalties count."""
    budget: str | None = None
    """The name of the thinking budget."""
    fills: bool = False
    """Whether a reply without `max_tokens` may take what is left of the context; more than that is refused."""
    continues: Mapping[str, Any] | None = None
    """What makes the server go on with the last message, an assistant's; None where it cannot."""


_GO_ON = {"continue_final_message": True, "add_generation_prompt": False}
_SPEECH = {
    Dialect.VLLM: Speech(
        Switch.TEMPLATE,
        "top_k",
        "min_p",
        "repetition_penalty",
        budget="thinking_token_budget",
        fills=True,
        continues=_GO_ON,
    ),
    Dialect.SGLANG: Speech(
        Switch.TEMPLATE,
        "top_k",
        "min_p",
        "repetition_penalty",
        fills=True,
        continues={"continue_final_message": True},
    ),
    Dialect.LLAMA_CPP: Speech(Switch.TEMPLATE, "top_k", "min_p", "repeat_penalty", continues={}),
    Dialect.OLLAMA: Speech(Switch.EFFORT),
    Dialect.LM_STUDIO: Speech(Switch.SOFT, "top_k", None, "repeat_penalty"),
    Dialect.TRANSFORMERS: Speech(Switch.TEMPLATE, presence=False),
    Dialect.MLX_LM: Speech(Switch.TEMPLATE, "top_k", "min_p", "repetition_penalty"),
    Dialect.KTRANSFORMERS: Speech(Switch.TEMPLATE, "top_k", "min_p", "repetition_penalty"),
}


def speech_of(dialect: Dialect) -> Speech:
    """What a server of that kind understands."""
    return _SPEECH.get(dialect, Speech())


def standard(sampling: Sampling, speech: Speech, window: int = 0) -> dict[str, Any]:
    """The sampling parameters that the OpenAI API has. `window` is the context in tokens, 0 if that is not known."""
    chosen: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
    }
    if speech.fills and window and sampling.max_tokens >= window:  # no reply can have as many
        chosen["max_tokens"] = None
    if speech.presence:
        chosen["presence_penalty"] = sampling.presence_penalty or None
        chosen["frequency_penalty"] = sampling.frequency_penalty or None
    return {name: value for name, value in chosen.items() if value is not None}


def beyond(sampling: Sampling, speech: Speech, *, thinking: bool | None, budget: int | None) -> dict[str, Any]:
    """What goes beyond the OpenAI API. `thinking` is None for a model without a switch."""
    names = {
        speech.top_k: sampling.top_k,
        speech.min_p: sampling.min_p,
        speech.repetition_penalty: sampling.repetition_penalty,
    }
    extra: dict[str, Any] = {name: value for name, value in names.items() if name is not None}
    if speech.switch is Switch.TEMPLATE and thinking is not None:
        extra["chat_template_kwargs"] = {"enable_thinking": thinking}
    elif speech.switch is Switch.EFFORT and thinking is False:
        extra["reasoning_effort"] = "none"
    if speech.budget is not None and thinking and budget is not None:
        extra[speech.budget] = budget
    return extra
