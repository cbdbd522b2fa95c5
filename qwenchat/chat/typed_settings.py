"""How a reply is asked for again: what a person writes after /retry."""

import shlex
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import SAMPLING, WHOLE, SamplingOverrides
from qwenchat.chat.suggest import did_you_mean
from qwenchat.i18n.texts import listed, say

_SWITCH = {"on": True, "off": False, "yes": True, "no": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """What is to be other than usual, this one time."""

    overrides: SamplingOverrides = SamplingOverrides()
    thinking: bool | None = None
    model: str | None = None
    """The model to load for it, which stays loaded."""


def retry_settings(typed: str) -> RetrySettings:
    """What was typed, as in `temperature=0.2 think=off model=NAME`; raises ConfigInvalid naming what is wrong."""
    sampling: dict[str, Any] = {}
    thinking: bool | None = None
    model: str | None = None
    for word in words_of(typed):
        given, _, value = word.partition("=")
        name = given.lower().replace("-", "_")
        if name == "model" and value:
            model = value
        elif name in ("think", "thinking") and value.lower() in _SWITCH:
            thinking = switch_of(value)
        elif name in SAMPLING and value:
            sampling[name] = number_of(name, value)
        else:
            known = listed((*SAMPLING, "think=on", "think=off", "model=NAME"))
            raise ConfigInvalid(
                say("{word} is no setting of a reply.", word=word),
                did_you_mean(name, (*SAMPLING, "think", "model"))
                or say("There are {known}, as in temperature=0.2.", known=known),
            )
    overrides = SamplingOverrides(**sampling)
    overrides.applied(thinking=True)
    return RetrySettings(overrides, thinking, model)


def pairs_of(typed: str) -> list[tuple[str, str]]:
    """The names and values that were typed, as in `top_k 5` or `top_k=5 think=off`; raises ConfigInvalid."""
    words = words_of(typed)
    if words and "=" not in words[0]:
        pairs = [(words[0], " ".join(words[1:]))]
    else:
        pairs = [(name, value) for name, _, value in (word.partition("=") for word in words)]
    return [(name.lower().replace("-", "_"), value) for name, value in pairs]


def words_of(typed: str) -> list[str]:
    """The words that were typed, of which quotes hold several together; raises ConfigInvalid."""
    try:
        return shlex.split(typed)
    except ValueError as error:
        raise ConfigInvalid(
            say("{text} cannot be read: {error}.", text=typed, error=error), say("Close the quotation mark.")
        ) from error


def switch_of(typed: str) -> bool:
    """On or off; raises ConfigInvalid."""
    try:
        return _SWITCH[typed.strip().lower()]
    except KeyError:
        raise ConfigInvalid(say("{text} is no switch.", text=typed), say("Say on or off.")) from None


def number_of(name: str, typed: str) -> float | int:
    """The value of a sampling parameter; raises ConfigInvalid for what is no number."""
    digits = typed.replace(",", "") if name in WHOLE else typed
    try:
        return int(digits) if name in WHOLE else float(digits)
    except ValueError as error:
        raise ConfigInvalid(
            say("{text} is no {name}.", text=typed, name=name.replace("_", "-")), say("Give a number.")
        ) from error
