"""Sampling parameters and Qwen3's presets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.i18n.texts import say


def _between(default: Any, least: float, most: float) -> Any:
    """A field with its default, and the least and the most that it may be."""
    return field(default=default, metadata={"range": (least, most)})


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is drawn from the logits, in the order the fields are applied.

    The meanings are those of vLLM and the OpenAI API: `repetition_penalty` (CTRL, arXiv:1909.05858) divides
    positive and multiplies negative logits of every token in prompt and output; `presence_penalty` subtracts once
    for each distinct token generated in this turn and `frequency_penalty` once per occurrence; then temperature,
    top-k, top-p, min-p. Thought and answer count as one output. Raises ConfigInvalid for a value out of range.
    """

    repetition_penalty: float = _between(1.0, 0.01, 10)
    presence_penalty: float = _between(0.0, -2, 2)
    frequency_penalty: float = _between(0.0, -2, 2)
    temperature: float = _between(0.7, 0, 10)
    """0 is greedy."""
    top_k: int = _between(20, 0, 1_000_000)
    """0 keeps all tokens."""
    top_p: float = _between(0.8, 0, 1)
    min_p: float = _between(0.0, 0, 1)
    max_tokens: int = _between(16_384, 1, 10_000_000)
    """Longest output in tokens, thought included."""
    seed: int | None = _between(None, 0, 2**63 - 1)
    """None: a fresh one each turn, kept with the reply."""

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            if (value := getattr(self, name)) is not None:
                _check(name.replace("_", "-"), value, low, high)


SAMPLING = tuple(field.name for field in fields(Sampling))
"""The names of the parameters."""
RANGES: Mapping[str, tuple[float, float]] = {field.name: field.metadata["range"] for field in fields(Sampling)}
"""The least and the most that each may be."""
WHOLE = frozenset(field.name for field in fields(Sampling) if field.type in (int, int | None))
"""Those that are whole numbers."""


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        shown = value if abs(value) < 1e100 or isinstance(value, float) else say("a number of over 100 digits")
        raise ConfigInvalid(
            say("{name} is {value}.", name=name, value=shown),
            say("It must lie between {low:,} and {high:,}.", low=low, high=high),
        )


THINKING = Sampling(temperature=0.6, top_p=0.95, top_k=20, min_p=0.0, max_tokens=32_768)
"""Qwen3's own settings for thinking mode (model card, best practices)."""

NON_THINKING = Sampling(temperature=0.7, top_p=0.8, top_k=20, min_p=0.0, max_tokens=16_384)
"""Qwen3's own settings for non-thinking mode (model card, best practices)."""


@dataclass(frozen=True, slots=True)
class SamplingOverrides:
    """What the user set; None leaves the preset of the mode in force."""

    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None

    def over(self, other: "SamplingOverrides") -> "SamplingOverrides":
        """These values, and those of `other` where this one leaves the choice open."""
        return replace(other, **self._chosen())

    def applied(self, thinking: bool) -> Sampling:
        """The preset of the mode with these values laid over it; raises ConfigInvalid when one is out of range."""
        return replace(THINKING if thinking else NON_THINKING, **self._chosen())

    def _chosen(self) -> dict[str, Any]:
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}


PENALTY_ON_REPETITION = 1.5
"""The presence_penalty that Qwen advises when a reply repeats itself endlessly (model card, best practices)."""


def greedy_warning(temperature: float | None, thinking: bool) -> str:
    """What a user should know who has the likeliest token taken each time while the model thinks; else nothing."""
    if not thinking or temperature != 0:
        return ""
    return say(
        "Greedy decoding (temperature 0) makes Qwen3 repeat itself when it thinks; Ctrl+T or --no-think avoids that."
    )
