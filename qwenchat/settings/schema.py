"""What can be set in config.toml: each key with its kind, its range and what it does, for people."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from qwenchat.chat.sampling import RANGES
from qwenchat.i18n.texts import say
from qwenchat.settings.config import SMALLEST, Device, Keymap, Language, Quantization, Settings

Kind = Literal["text", "switch", "choice", "integer", "number"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One key."""

    key: str
    """With its table: "sampling.top_p"."""
    kind: Kind
    about: str
    """What it does, in a sentence without its full stop."""
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """What it may be in place of a number."""
    least: float | None = None
    most: float | None = None
    unset: str = ""
    """What counts where nothing is set, for people."""
    example: Any = None
    """A value that makes sense, for keys without a default."""

    @property
    def default(self) -> Any:
        """The value where nothing is set."""
        value: Any = Settings()
        for name in self.key.split("."):
            value = getattr(value, name)
        return value

    @property
    def variable(self) -> str:
        """The environment variable; empty where there is none."""
        return "" if self.key in ("keymap", "width") else "QWENCHAT_" + self.key.rpartition(".")[2].upper()

    @property
    def range_in_words(self) -> str:
        """What it may be, for people; empty for any text."""
        if self.kind == "switch":
            return "true, false"
        if self.choices:
            return ", ".join(self.choices)
        if self.least is not None and self.most is not None and self.most < 1e6:
            return say("{least:g} to {most:g}", least=self.least, most=self.most)
        least = say("at least {least:g}", least=self.least) if self.least is not None else ""
        return ", ".join(filter(None, (least, *self.words)))


def schema() -> tuple[Setting, ...]:
    """All keys that have one value, in the order people are shown them."""
    return (*_model(), *_chat(), *_interface(), *_sampling())


def _model() -> tuple[Setting, ...]:
    return (
        Setting("model", "text",
                say("a short name (qwen3-1.7b), a Hub name (Qwen/Qwen3-1.7B), a folder, or a GGUF file"),
                unset=say("the best that can be had"), example="qwen3-1.7b"),
        Setting("server", "text", say("the server that is asked, by its name in [servers.NAME] or its address"),
                unset=say("none: the model runs here"), example="http://localhost:8000/v1"),
        Setting("device", "choice", say("where the model runs"), get_args(Device)),
        Setting("quantization", "choice", say("the number format of the weights; int8 and int4 are for the CPU"),
                get_args(Quantization)),
        Setting("context", "integer", say("the size of the context window in tokens"), least=SMALLEST["context"],
                unset=say("the model's own"), example=8192),
    )  # fmt: skip


def _chat() -> tuple[Setting, ...]:
    return (
        Setting("think", "switch", say("whether a chat starts in thinking mode")),
        Setting("thinking_budget", "integer",
                say("the longest thought in tokens; then the model answers from what it has thought"),
                least=SMALLEST["thinking_budget"], unset=say("no limit"), example=2000),
        Setting("system", "text", say("the system prompt"), unset=say("none"), example="Be brief."),
        Setting("preset", "text", say("the preset that is on at the start"), unset=say("none"), example="precise"),
        Setting("private", "switch", say("whether chats are kept in memory alone")),
    )  # fmt: skip


def _interface() -> tuple[Setting, ...]:
    return (
        Setting("theme", "text", say("the colours")),
        Setting("language", "choice", say("what the program speaks; auto follows the system"), get_args(Language)),
        Setting("reduced_motion", "switch", say("whether nothing moves that need not")),
        Setting("width", "integer", say("the widest column of text; full for all of the terminal"), words=("full",),
                least=SMALLEST["width"]),
        Setting("keymap", "choice", say("the keys that lists and messages have"), get_args(Keymap)),
    )  # fmt: skip


def _sampling() -> tuple[Setting, ...]:
    texts = {
        "temperature": say("how often less likely words are taken; 0 takes the likeliest each time"),
        "top_k": say("only so many of the likeliest tokens; 0 for all"),
        "top_p": say("only the likeliest tokens that together have this probability"),
        "min_p": say("only tokens at least this likely, against the likeliest"),
        "repetition_penalty": say("above 1 makes words of the prompt and the reply less likely to come again"),
        "presence_penalty": say(
            "makes words that the reply has used less likely; 1.5 helps against endless repetition"
        ),
        "frequency_penalty": say("makes a word less likely with each time that the reply has used it"),
        "max_tokens": say("the longest reply in tokens, thought included"),
        "seed": say("the same seed, model, device and settings give the same reply"),
    }
    examples = {"temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.0, "repetition_penalty": 1.0,
                "presence_penalty": 1.5, "frequency_penalty": 0.0, "max_tokens": 4096, "seed": 1}  # fmt: skip
    return tuple(
        Setting(
            f"sampling.{name}",
            "integer" if isinstance(examples[name], int) else "number",
            about,
            least=RANGES[name][0],
            most=RANGES[name][1],
            unset=say("a fresh one each turn") if name == "seed" else say("the model's own"),
            example=examples[name],
        )
        for name, about in texts.items()
    )
