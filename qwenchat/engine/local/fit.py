"""What fits into memory: which model in which number format, and how long a context beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qwenchat.chat.errors import ModelUnsupported, OutOfMemory
from qwenchat.engine.local import memory
from qwenchat.engine.local.catalog import KNOWN, LONGEST_WINDOW, KnownModel
from qwenchat.engine.local.footprint import QUANTIZATIONS, format_in_words, token_bytes
from qwenchat.engine.local.memory import DeviceMemory
from qwenchat.i18n.texts import say

MARGIN = 500_000_000
"""Bytes left free for the program itself and its scratch memory."""
EMBEDDED_BYTES = 100_000_000
"""Memory of SmolLM2's weights."""
USEFUL_WINDOW = 4096
"""Tokens of context without which a model is not worth loading, unless a shorter one is asked for."""
SMALLEST_WINDOW = 256
STEP = 256
"""Windows that follow from memory are multiples of it."""
COMFORTABLE_BYTES = 4e9
"""Weights that a CPU reads ten times a second, as it must for ten tokens, where memory gives 40 GB/s."""


@dataclass(frozen=True, slots=True)
class FittingModel:
    """A way to run a known model."""

    model: KnownModel
    quantization: str
    device: str

    @property
    def weights(self) -> int:
        """Bytes of the weights in memory."""
        quantization = QUANTIZATIONS[self.quantization]
        chosen = quantization.cpu if self.device == "cpu" else quantization.gpu
        if chosen is None:
            raise ValueError(f"{self.quantization} does not run on {self.device}")
        return chosen.weights(self.model.shape)

    @property
    def token(self) -> int:
        """Bytes of one token of context."""
        if self.device == "cpu" and QUANTIZATIONS[self.quantization].packed:
            return token_bytes(self.model.shape, None)
        return token_bytes(self.model.shape, 4 if self.quantization == "float32" else 2)

    def needs(self, tokens: int = USEFUL_WINDOW) -> int:
        """What we call its memory: the bytes of the weights, of that many tokens of context, and the margin."""
        return self.weights + tokens * self.token + MARGIN

    def fits(self, room: DeviceMemory, tokens: int = USEFUL_WINDOW) -> bool:
        """Whether it can be run there now."""
        return self.needs(tokens) <= room.free

    @property
    def options(self) -> str:
        """What to write on the command line."""
        default = self.quantization == default_quantization(self.device)
        return f"--model {self.model.name}" + ("" if default else f" --quantization {self.quantization}")


def default_quantization(device: str) -> str:
    """What a model is run in if nothing else is asked for."""
    return "int8" if device == "cpu" else "bf16"


def offered(device: str) -> tuple[str, ...]:
    """The quantizations worth proposing on a device, best first."""
    return ("bf16", "int8", "int4") if device == "cpu" else ("bf16",)


def best(rooms: Iterable[DeviceMemory]) -> FittingModel | None:
    """The largest known model that fits and answers at reading speed, on the best device; None if none fits."""
    for room in rooms:
        formats = [name for name in offered(room.device) if room.device != "cpu" or name != "bf16"]
        for model in reversed(KNOWN):
            for quantization in formats:
                choice = FittingModel(model, quantization, room.device)
                slow = room.device == "cpu" and choice.weights > COMFORTABLE_BYTES
                if not slow and choice.fits(room):
                    return choice
    return None


def refuse_remote(model: KnownModel) -> None:
    """Raise ModelUnsupported for a model that only a server can run."""
    if model.remote:
        raise ModelUnsupported(
            say("{name} is a mixture of experts, which cannot be run here.", name=model.name),
            say("A server can run it: vLLM, SGLang, Ollama or llama.cpp."),
        )


def check(model: KnownModel, quantization: str, room: DeviceMemory, tokens: int | None = None) -> None:
    """Raise OutOfMemory for a model that does not fit with that many tokens, ModelUnsupported for a remote one."""
    refuse_remote(model)
    choice = FittingModel(model, quantization, room.device)
    smallest = min(tokens or USEFUL_WINDOW, USEFUL_WINDOW)
    if not choice.fits(room, smallest):
        takes = choice.needs(smallest) - MARGIN
        raise OutOfMemory(
            say(
                "{name} does not fit: with {tokens:,} tokens of context it takes {size} of memory in {quantization}, "
                "and {can_be_had} can be had.",
                name=model.name,
                tokens=smallest,
                size=format_in_words(takes),
                quantization=quantization,
                can_be_had=_can_be_had(room),
            ),
            alternatives(quantization, room, model),
        )
    if tokens is not None:
        window(tokens, LONGEST_WINDOW, LONGEST_WINDOW, choice.token, room.free - choice.weights - MARGIN)


def check_anyhow(model: KnownModel, rooms: Sequence[DeviceMemory]) -> None:
    """Raise OutOfMemory for a model that fits in no quantization, ModelUnsupported for a remote one."""
    refuse_remote(model)
    if not any(FittingModel(model, name, room.device).fits(room) for room in rooms for name in offered(room.device)):
        check(model, offered(rooms[-1].device)[-1], rooms[-1])


def too_large(name: str, weights: int, quantization: str, room: DeviceMemory) -> OutOfMemory:
    """The error for a model whose weights take so many bytes, with what would fit."""
    return OutOfMemory(
        say(
            "{name} does not fit: its weights take {size} of memory in {quantization}, and {can_be_had} can be had.",
            name=name,
            size=format_in_words(weights),
            quantization=quantization,
            can_be_had=_can_be_had(room),
        ),
        alternatives(quantization, room),
    )


def _can_be_had(room: DeviceMemory) -> str:
    return format_in_words(max(0, room.free - MARGIN))


def alternatives(quantization: str, room: DeviceMemory, model: KnownModel | None = None) -> str:
    """What to run in place of what does not fit, preferably the same model in another way."""
    found = []
    if model is not None:
        same = next((name for name in offered(room.device) if FittingModel(model, name, room.device).fits(room)), None)
        if same is not None and same != quantization:
            found.append(f"--quantization {same}")
        elif room.device != "cpu" and FittingModel(model, "int8", "cpu").fits(memory.of("cpu")):
            found.append("--device cpu")
    alike = _largest(quantization, room)
    fitting = filter(None, (_largest(name, room) for name in offered(room.device)))
    largest = max(fitting, key=lambda choice: choice.model.parameters, default=None)
    others = (choice for choice in dict.fromkeys((alike, largest)) if choice is not None)
    found += [choice.options for choice in others if choice.model is not model]
    if not found and room.free < EMBEDDED_BYTES + MARGIN:
        return say("Close other programs.")
    return say("What fits: {options}.", options=say(", or ").join(found or ["--model smollm2"]))


def _largest(quantization: str, room: DeviceMemory) -> FittingModel | None:
    """The largest model that fits in that quantization."""
    choices = (FittingModel(model, quantization, room.device) for model in reversed(KNOWN))
    return next((choice for choice in choices if choice.fits(room)), None)


@dataclass(frozen=True, slots=True)
class ContextSize:
    """A context window."""

    tokens: int
    notice: str = ""
    """Why it is not what was expected, in words for the reader."""


def window(asked: int | None, most: int, usual: int, token: int, room: int) -> ContextSize:
    """The window that was asked for, else `usual` tokens, or fewer where memory is short.

    `most` is what the model can read, `token` what one token costs, `room` the bytes left beside the weights.
    Raises OutOfMemory when the window that was asked for does not fit, or none would.
    """
    largest = max(0, room) // token // STEP * STEP
    wanted = max(1, min(usual if asked is None else asked, most))
    if wanted * token <= room:
        if asked is not None and asked > most:
            return ContextSize(
                wanted, say("This model reads at most {most:,} tokens, so the context window is that long.", most=most)
            )
        return ContextSize(wanted)
    size, left = format_in_words(wanted * token), format_in_words(max(0, room))
    too_long = say(
        "{tokens:,} tokens of context take {size} of memory, and {left} are left beside the model.",
        tokens=wanted,
        size=size,
        left=left,
    )
    if asked is not None and largest >= SMALLEST_WINDOW:
        raise OutOfMemory(too_long, say("The longest that fits: --context {largest}.", largest=largest))
    if asked is not None or largest < min(USEFUL_WINDOW, most):
        raise OutOfMemory(too_long, say("Close other programs, or choose a smaller model."))
    return ContextSize(
        largest,
        say(
            "The context window is {largest:,} tokens long, since {tokens:,} tokens of context take {size} of memory, "
            "and {left} are left beside the model.",
            largest=largest,
            tokens=wanted,
            size=size,
            left=left,
        ),
    )
