"""How a reply is asked for again: what a person writes after /retry."""

import shlex
from dataclasses import dataclass, fields
from typing import Any

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import SamplingOverrides

_WHOLE = frozenset({"top_k", "max_tokens", "seed"})
_SWITCH = {"on": True, "off": False, "yes": True, "no": False, "true": True, "false": False}
_SAMPLING = tuple(field.name for field in fields(SamplingOverrides))


@dataclass(frozen=True, slots=True)
class Again:
    """What is to be other than usual, this one time."""

    overrides: SamplingOverrides = SamplingOverrides()
    thinking: bool | None = None
    model: str | None = None
    """The model to load for it, which stays loaded."""


def again_of(typed: str) -> Again:
    """What was typed, as in `temperature=0.2 think=off model=NAME`; raises ConfigInvalid naming what is wrong."""
    sampling: dict[str, Any] = {}
    thinking: bool | None = None
    model: str | None = None
    for word in _words(typed):
        given, _, value = word.partition("=")
        name = given.lower().replace("-", "_")
        if name == "model" and value:
            model = value
        elif name in ("think", "thinking") and value.lower() in _SWITCH:
            thinking = _SWITCH[value.lower()]
        elif name in _SAMPLING and value:
            sampling[name] = _number(name, value)
        else:
            known = ", ".join((*_SAMPLING, "think=on", "think=off", "model=NAME"))
            raise ConfigInvalid(f"{word} is no setting of a reply.", f"There are {known}, as in temperature=0.2.")
    overrides = SamplingOverrides(**sampling)
    overrides.applied(thinking=True)
    return Again(overrides, thinking, model)


def _words(typed: str) -> list[str]:
    try:
        return shlex.split(typed)
    except ValueError as error:
        raise ConfigInvalid(f"{typed} cannot be read: {error}.", "Close the quotation mark.") from error


def _number(name: str, value: str) -> float | int:
    try:
        return int(value) if name in _WHOLE else float(value)
    except ValueError as error:
        raise ConfigInvalid(f"{value} is no {name.replace('_', '-')}.", "Give a number.") from error
