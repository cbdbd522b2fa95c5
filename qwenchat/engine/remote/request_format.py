"""How servers word the same request: which switch of thinking they have, and which sampling parameters they take."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from qwenchat.chat.sampling import Sampling


class ThinkingControl(Enum):
    """How thinking is turned on and off."""

    TEMPLATE = auto()
    """`chat_template_kwargs: {"enable_thinking": ...}`"""
    EFFORT = auto()
    """`reasoning_effort: "none"` turns it off."""
    SOFT = auto()
    """`/no_think` in the message."""


class OverWindow(Enum):
    """What becomes of a `max_tokens` that no reply can have, since the context is no larger."""

    SENT = auto()
    """It goes along; the server does with it what it does."""
    CAPPED = auto()
    """The context goes along in its place, which the server shortens to what is left of it."""
    LEFT_OUT = auto()
    """Nothing goes along, since the server refuses it, and without a limit gives what is left."""


@dataclass(frozen=True, slots=True)
class RequestFormat:
    """What one kind of server understands beyond the OpenAI API."""

    switch: ThinkingControl = ThinkingControl.SOFT
    top_k: str | None = None
    min_p: str | None = None
    repetition_penalty: str | None = None
    """The names of these parameters; None where the server has none."""
    presence: bool = True
    """Whether presence and frequency penalties count."""
    budget: str | None = None
    """The name of the thinking budget."""
    over_window: OverWindow = OverWindow.SENT
    """What becomes of a `max_tokens` that is more than the context."""
    continues: Mapping[str, Any] | None = None
    """What makes the server go on with the last message, an assistant's; None where it cannot."""


def standard(sampling: Sampling, format: RequestFormat, window: int = 0) -> dict[str, Any]:
    """The sampling parameters that the OpenAI API has. `window` is the context in tokens, 0 if that is not known."""
    chosen: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
    }
    if window and sampling.max_tokens >= window and format.over_window is not OverWindow.SENT:
        chosen["max_tokens"] = window if format.over_window is OverWindow.CAPPED else None
    if format.presence:
        chosen["presence_penalty"] = sampling.presence_penalty or None
        chosen["frequency_penalty"] = sampling.frequency_penalty or None
    return {name: value for name, value in chosen.items() if value is not None}


def beyond(sampling: Sampling, format: RequestFormat, *, thinking: bool | None, budget: int | None) -> dict[str, Any]:
    """What goes beyond the OpenAI API. `thinking` is None for a model without a switch."""
    names = {
        format.top_k: sampling.top_k,
        format.min_p: sampling.min_p,
        format.repetition_penalty: sampling.repetition_penalty,
    }
    extra: dict[str, Any] = {name: value for name, value in names.items() if name is not None}
    if format.switch is ThinkingControl.TEMPLATE and thinking is not None:
        extra["chat_template_kwargs"] = {"enable_thinking": thinking}
    elif format.switch is ThinkingControl.EFFORT and thinking is False:
        extra["reasoning_effort"] = "none"
    if format.budget is not None and thinking and budget is not None:
        extra[format.budget] = budget
    return extra
