"""The table of parameters, from which flags, variables, config.toml, the settings screen, /set and the docs derive."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from qwenchat.chat.sampling import NON_THINKING, RANGES, THINKING, WHOLE
from qwenchat.chat.thinking_budget import BUDGETS
from qwenchat.i18n.texts import later, listed, say
from qwenchat.settings.settings import Device, Keymap, Language, Quantization, Settings

Kind = Literal["text", "switch", "choice", "integer", "number"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A setting that has one value."""

    key: str
    """With its table: "sampling.top_p"."""
    kind: Kind
    text: str
    """What it does, in English and without a full stop; `about` has it in the user's language."""
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """What it may be in place of a number."""
    least: float | None = None
    most: float | None = None
    unset_text: str = ""
    """What counts where nothing is set, in English; `unset` has it in the user's language."""
    example: Any = None
    """A value that makes sense, for keys without a default."""
    step: float | Literal["double"] = 0
    """How far a number goes with each press of a key; 0 where it is typed, or goes through `stops`."""
    stops: tuple[Any, ...] = ()
    """The values that keys step through, where others can be typed."""
    flag: str = ""
    """Its names on the command line, with that which turns a switch off; empty for none."""
    metavar: str = ""
    """What the help of the command line calls its value."""
    from_environment: bool = True

    @property
    def name(self) -> str:
        """The key without its table; no two have the same."""
        return self.key.rpartition(".")[2]

    @property
    def is_sampling(self) -> bool:
        """Whether it is a field of `Sampling`."""
        return self.key.startswith("sampling.")

    @property
    def about(self) -> str:
        """What it does, in a sentence without its full stop."""
        return say(self.text)

    @property
    def unset(self) -> str:
        """What counts where nothing is set, for people."""
        return say(self.unset_text) if self.unset_text else ""

    @property
    def default(self) -> Any:
        """The value where nothing is set."""
        value: Any = Settings()
        for name in self.key.split("."):
            value = getattr(value, name)
        return value

    def default_when(self, *, thinking: bool) -> Any:
        """Qwen3's own value of a sampling parameter in that mode."""
        return getattr(THINKING if thinking else NON_THINKING, self.name)

    @property
    def variable(self) -> str:
        """The environment variable; empty where there is none."""
        return f"QWENCHAT_{self.name.upper()}" if self.from_environment else ""

    @property
    def range_in_words(self) -> str:
        """What it may be, for people; empty for any text."""
        if self.kind == "switch":
            return "true, false"
        if self.choices:
            return listed(self.choices)
        if self.least is not None and self.most is not None and self.most < 1e6:
            return say("{least:g} to {most:g}", least=self.least, most=self.most)
        least = say("at least {least:g}", least=self.least) if self.least is not None else ""
        return listed(filter(None, (least, *self.words)))


def _sampling(
    name: str, text: str, example: float, step: float | Literal["double"], unset: str = later("the model's own")
) -> Parameter:
    """A field of `Sampling`, which has its type and its range."""
    kind: Kind = "integer" if name in WHOLE else "number"
    least, most = RANGES[name]
    return Parameter(
        f"sampling.{name}", kind, text, least=least, most=most, unset_text=unset, example=example, step=step,
        flag=f"--{name.replace('_', '-')}", metavar="NUMBER",
    )  # fmt: skip


PARAMETERS = (
    Parameter("model", "text",
              later("a short name (qwen3-1.7b), a Hub name (Qwen/Qwen3-1.7B), a folder, or a GGUF file"),
              unset_text=later("the best that can be had"), example="qwen3-1.7b", flag="--model", metavar="NAME"),
    Parameter("server", "text", later("the server that is asked, by its name in [servers.NAME] or its address"),
              unset_text=later("none: the model runs here"), example="http://localhost:8000/v1",
              flag="--server", metavar="NAME"),
    Parameter("device", "choice", later("where the model runs"), get_args(Device), flag="--device"),
    Parameter("quantization", "choice", later("the number format of the weights; int8 and int4 are for the CPU"),
              get_args(Quantization), flag="--quantization"),
    Parameter("context", "integer", later("the size of the context window in tokens"), least=256,
              unset_text=later("the model's own"), example=8192, step=1024, flag="--context", metavar="TOKENS"),
    Parameter("think", "switch", later("whether a chat starts in thinking mode"), flag="--think/--no-think"),
    Parameter("thinking_budget", "integer",
              later("the longest thought in tokens; then the model answers from what it has thought"), least=1,
              unset_text=later("no limit"), example=2000, stops=(None, *BUDGETS),
              flag="--thinking-budget", metavar="TOKENS"),
    Parameter("system", "text", later("the system prompt"), unset_text=later("none"), example="Be brief.",
              flag="--system", metavar="TEXT"),
    Parameter("preset", "text", later("a named way to answer, such as precise or coder, that is on at the start"),
              unset_text=later("none"), example="precise", flag="--preset", metavar="NAME"),
    Parameter("private", "switch", later("whether chats are kept in memory alone"), flag="--private/--no-private"),
    Parameter("theme", "text", later("the colours, such as qwenchat-light or paper"), flag="--theme", metavar="NAME"),
    Parameter("language", "choice", later("what the program speaks; auto follows the system"), get_args(Language)),
    Parameter("reduced_motion", "switch", later("whether nothing moves that need not"),
              flag="--reduced-motion/--motion"),
    Parameter("width", "integer", later("the widest column of text; full for all of the terminal"), words=("full",),
              least=40, stops=(60, 80, 100, 120, 140, 160, "full"), from_environment=False),
    Parameter("keymap", "choice", later("the keys that lists and messages have"), get_args(Keymap),
              from_environment=False),
    _sampling("temperature", later("how often less likely words are taken; 0 takes the likeliest each time"), 0.6, 0.1),
    _sampling("top_k", later("only so many of the likeliest tokens; 0 for all"), 20, 5),
    _sampling("top_p", later("only the likeliest tokens that together have this probability"), 0.95, 0.05),
    _sampling("min_p", later("only tokens at least this likely, against the likeliest"), 0.0, 0.01),
    _sampling("repetition_penalty",
              later("above 1 makes words of the prompt and the reply less likely to come again"), 1.0, 0.05),
    _sampling("presence_penalty",
              later("makes words that the reply has used less likely; 1.5 helps against endless repetition"), 1.5, 0.1),
    _sampling("frequency_penalty",
              later("makes a word less likely with each time that the reply has used it"), 0.0, 0.1),
    _sampling("max_tokens", later("the longest reply in tokens, thought included"), 4096, "double"),
    _sampling("seed", later("the same seed, model, device and settings give the same reply"), 1, 1,
              later("a fresh one each turn")),
)  # fmt: skip
"""All keys of config.toml that have one value, in the order people are shown them."""

BY_NAME: Mapping[str, Parameter] = {parameter.name: parameter for parameter in PARAMETERS}
