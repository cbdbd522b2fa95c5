"""The settings as the user turns them: one knob each, which knows its values, its steps and what they do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol, get_args, get_origin, get_type_hints

from qwenchat.chat.commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.text import safe_line
from qwenchat.chat.thinking import BUDGETS
from qwenchat.config import SMALLEST, Device, Quantization, Settings
from qwenchat.steering import NAMES, SAMPLING, Source, Steering
from qwenchat.texts import say

STEPS: Mapping[str, float] = {
    "temperature": 0.1, "top_p": 0.05, "min_p": 0.01, "top_k": 5, "repetition_penalty": 0.05,
    "presence_penalty": 0.1, "frequency_penalty": 0.1, "seed": 1,
}  # fmt: skip
CONTEXT_STEP = 1024
_PLACED = frozenset({*NAMES, "model", "device", "quantization", "context", "theme", "preset", "sampling"})
"""Settings that have knobs of their own."""


def about(name: str) -> str:
    """What a setting does, for people."""
    texts = {
        "think": say("Whether the model thinks before it answers. Ctrl+T does the same."),
        "thinking_budget": say("The longest thought, in tokens; then the model answers from what it has thought."),
        "temperature": say("How often less likely words are taken: 0 never, 1 as often as the model thinks right."),
        "top_k": say("Only so many of the likeliest tokens are drawn from; 0 for all."),
        "top_p": say("Only the likeliest tokens that together have this probability are drawn from."),
        "min_p": say("Only tokens at least this likely, against the likeliest one, are drawn from."),
        "repetition_penalty": say("Above 1 against words of the conversation and the reply."),
        "presence_penalty": say("Once for each word of the reply, -2 to 2; 1.5 helps against endless repetition."),
        "frequency_penalty": say("For each time a word of the reply was used, -2 to 2."),
        "max_tokens": say("The longest reply in tokens, its thought included."),
        "seed": say("The same seed, model, device and settings give the same reply."),
        "system": say("What the model is told before the conversation; in a running one, before the next message."),
        "model": say("A short name, a Hub name, a folder or a GGUF file. F3 lists them."),
        "device": say("Where the model runs."),
        "quantization": say("The number format of the weights: fewer bits take less memory, more are more exact."),
        "context": say("How many tokens the model can read at once; a longer context takes more memory."),
        "theme": say("The colours."),
        "preset": say("The preset that is on when the program begins."),
        "private": say("Whether chats are kept in memory alone, from the next start on."),
    }
    return texts.get(name, "")


class Knob(Protocol):
    """One setting in the list. What changes it says what the user should know, and raises QwenchatError."""

    name: str
    """As config.toml has it."""
    anew: bool
    """Whether the model has to be loaded anew for it."""

    @property
    def value(self) -> Any:
        """What it is set to."""

    @property
    def shown(self) -> str:
        """That, for people."""

    @property
    def origin(self) -> str:
        """Who set it, for people."""

    @property
    def changed(self) -> bool:
        """Whether it is other than usual, so that it can be saved."""

    def step(self, by: int) -> str:
        """The next value, or the one before."""

    def put(self, typed: str) -> str:
        """The value that was typed."""

    def reset(self) -> str:
        """Back to what is usual; from there, to what counts when nobody says anything."""


class AnswerKnob:
    """A setting of the next answers; what it is turned to counts at once."""

    anew = False

    def __init__(self, name: str, steering: Steering) -> None:
        self.name = name
        self._steering = steering

    @property
    def value(self) -> Any:
        """See `Knob`; None is the model's own, or no limit."""
        return self._steering.value(self.name)

    @property
    def shown(self) -> str:
        """See `Knob`."""
        return self._steering.now(self.name)

    @property
    def origin(self) -> str:
        """See `Knob`."""
        return self._steering.origin(self.name)

    @property
    def changed(self) -> bool:
        """See `Knob`."""
        return self._steering.source(self.name) is Source.CHAT

    def step(self, by: int) -> str:
        """See `Knob`."""
        return self._steering.set(self.name, self._beside(by))

    def put(self, typed: str) -> str:
        """See `Knob`."""
        return self._steering.set(self.name, self._steering.value_of(self.name, typed))

    def reset(self) -> str:
        """See `Knob`."""
        return self._steering.reset(self.name)

    def _beside(self, by: int) -> Any:
        value = self.value if self.value is not None else self._steering.own(self.name)
        match self.name:
            case "think":
                return not value
            case "thinking_budget":
                return _in_steps((None, *BUDGETS), value, by)
            case "max_tokens":
                return max(1, value * 2 if by > 0 else value // 2)
            case "system":
                return value
            case "seed" if value is None:
                return 1
        stepped = value + by * STEPS[self.name]
        return round(stepped, 4) if isinstance(value, float) else int(stepped)


class PlainKnob:
    """A setting that lies in a place of its own: one of some values, a number or a text; `turn` makes it count."""

    def __init__(
        self, name: str, steering: Steering, read: Callable[[], Any], turn: Callable[[Any], str],
        choices: Sequence[Any] = (), *, anew: bool = False,
    ) -> None:  # fmt: skip
        self.name = name
        self.anew = anew
        self._steering = steering
        self._read = read
        self._turn = turn
        self._choices = tuple(choices)

    @property
    def value(self) -> Any:
        """See `Knob`."""
        return self._read()

    @property
    def shown(self) -> str:
        """See `Knob`."""
        value = self.value
        if isinstance(value, bool):
            return say("on") if value else say("off")
        if value is None:
            return _nothing(self.name)
        return f"{value:,}" if isinstance(value, int) else safe_line(str(value))

    @property
    def origin(self) -> str:
        """See `Knob`."""
        return say("this chat") if self.changed else self._steering.origin(self.name)

    @property
    def changed(self) -> bool:
        """See `Knob`."""
        return bool(self.value != self._steering.usual(self.name))

    def step(self, by: int) -> str:
        """See `Knob`."""
        if self._choices:
            return self._turn(_in_steps(self._choices, self.value, by))
        if self.name not in SMALLEST:
            return say("Enter types a value.")
        return self._turn(max(SMALLEST[self.name], (self.value or 0) + by * CONTEXT_STEP))

    def put(self, typed: str) -> str:
        """See `Knob`."""
        if typed.strip().lower() == "default":
            return self.reset()
        if self._choices:
            found = next((choice for choice in self._choices if str(choice).lower() == typed.strip().lower()), None)
            if found is None:
                known = ", ".join(str(choice) for choice in self._choices if choice is not None)
                raise ConfigInvalid(say("{text} is none of {choices}.", text=safe_line(typed), choices=known))
            return self._turn(found)
        if self.name not in SMALLEST:
            return self._turn(typed.strip() or None)
        digits = typed.strip().replace(",", "")
        least = SMALLEST[self.name]
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 10 and int(digits) >= least):
            raise ConfigInvalid(say("{text} is no number from {least} up.", text=safe_line(typed), least=least))
        return self._turn(int(digits))

    def reset(self) -> str:
        """See `Knob`."""
        return self._turn(self._steering.usual(self.name) if self.changed else self._steering.unset(self.name))


class Load:
    """How the model is to be loaded, until it is."""

    def __init__(self, loaded: LoadModel) -> None:
        self.loaded = loaded
        self.wanted = loaded

    def knobs(self, steering: Steering) -> list[Knob]:
        """Those for which the model has to be loaded anew."""
        # The name of a model on a server is nothing that can be loaded here.
        named = [self._knob("model", "name", steering, ())] if self.loaded.server is None else []
        return [
            *named,
            self._knob("device", "device", steering, get_args(Device)),
            self._knob("quantization", "quantization", steering, get_args(Quantization)),
            self._knob("context", "context_window", steering, ()),
        ]

    def _knob(self, name: str, field: str, steering: Steering, choices: Sequence[Any]) -> Knob:
        def turn(value: Any) -> str:
            self.wanted = replace(self.wanted, **{field: value})
            return say("L loads the model anew with this.") if self.wanted != self.loaded else ""

        return PlainKnob(name, steering, lambda: getattr(self.wanted, field), turn, choices, anew=True)


def _choices(hint: Any) -> tuple[Any, ...]:
    return (False, True) if hint is bool else get_args(hint) if get_origin(hint) is Literal else ()


def _nothing(name: str) -> str:
    """What it means that a setting has no value."""
    match name:
        case "preset":
            return say("none")
        case "model":
            return say("the best that can be had")
    return say("the model's own")


def _in_steps(values: Sequence[Any], value: Any, by: int) -> Any:
    """The value after or before one of `values`, round and round; from a number between them, the next one."""
    if value in values:
        return values[(values.index(value) + by) % len(values)]
    numbers = [each for each in values if isinstance(each, int) and isinstance(value, int)]
    beyond = [each for each in numbers if (each - value) * by > 0]
    return (min(beyond) if by > 0 else max(beyond)) if beyond else values[0]


def keys_of(knobs: Sequence[Knob]) -> dict[str, Any]:
    """What is changed, by its key in config.toml; None for a key that is to be taken away."""
    return {
        f"sampling.{knob.name}" if knob.name in SAMPLING else knob.name: knob.value for knob in knobs if knob.changed
    }


class Start:
    """What counts from the next start of the program on, once it is saved."""

    def __init__(self, steering: Steering) -> None:
        self._steering = steering
        self._turned: dict[str, Any] = {}

    def knobs(self) -> list[Knob]:
        """The preset to begin with, and every other setting that has a few values and no place of its own."""
        presets = (None, *(preset.name for preset in self._steering.presets))
        others = {name: _choices(hint) for name, hint in get_type_hints(Settings).items() if name not in _PLACED}
        return [self._knob(name, choices) for name, choices in {"preset": presets, **others}.items() if choices]

    def _knob(self, name: str, choices: Sequence[Any]) -> Knob:
        """One of these settings."""

        def turn(value: Any) -> str:
            self._turned[name] = value
            return say("S saves it; it counts from the next start on.")

        return PlainKnob(
            name, self._steering, lambda: self._turned.get(name, self._steering.usual(name)), turn, choices
        )
