"""What can be set on the command line, by the environment and in config.toml, in this order."""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import SamplingOverrides, greedy_warning
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.chat.tools import ALL
from qwenchat.i18n import texts
from qwenchat.i18n.texts import say, sentences
from qwenchat.system.paths import Paths

if TYPE_CHECKING:
    from qwenchat.chat.commands import LoadModel
    from qwenchat.chat.server_profile import Server
    from qwenchat.session.answer_settings import Steering
    from qwenchat.session.session import Session
    from qwenchat.settings.config import Settings
    from qwenchat.settings.presets import Preset

_SETTINGS, _PRESETS, _CHOSEN = "qwenchat.settings", "qwenchat.presets", "qwenchat.preset"

LONGEST_SCHEMA = 1_000_000
"""Bytes of a schema that are read."""

Decorator = Callable[[Any], Any]


class _Setting(click.Option):
    """An option of the chat that a subcommand has too."""

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Leave the environment and config.toml to the subcommand, if one follows."""
        if args and isinstance(ctx.command, click.Group) and self.name not in opts:
            ctx.params[str(self.name)] = None
            return None, args
        return super().handle_parse_result(ctx, opts, args)

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """The option, and the variable where it was that which had the value."""
        hint = super().get_error_hint(ctx)
        from_variable = ctx is not None and ctx.get_parameter_source(str(self.name)) is ParameterSource.ENVIRONMENT
        return f"{hint} ({self.envvar})" if from_variable else hint


class _Sampling(_Setting):
    """A parameter of sampling: what it does and what it may be stands in the schema."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The lines of the help."""
        from qwenchat.settings.schema import schema

        setting = next(setting for setting in schema() if setting.key == f"sampling.{self.name}")
        about = f"{setting.about[0].upper()}{setting.about[1:]}."
        return (
            f"{self.opts[0]} {self.make_metavar(ctx)}",
            f"{about}  [{setting.range_in_words}; default: {setting.unset}]",
        )


def _option(*names: str, cls: type[_Setting] = _Setting, **settings: Any) -> Decorator:
    """An option that the environment can set too: `--top-p` by QWENCHAT_TOP_P."""
    variable = "QWENCHAT_" + names[0].split("/")[0].lstrip("-").replace("-", "_").upper()
    return click.option(*names, cls=cls, envvar=variable, **settings)


def complete_model(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """The short names that begin with what was typed."""
    from qwenchat.engine.local.catalog import HUB_NAMES

    return [name for name in (*HUB_NAMES, "smollm2") if name.startswith(typed)]


def complete_preset(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """The presets whose names begin with what was typed."""
    return [preset.name for preset in presets(context) if preset.name.lower().startswith(typed.lower())]


def _choose_preset(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """Read the preset before the other options are asked for, since they may take their values from it."""
    if not name:
        return None
    from qwenchat.settings.presets import named

    try:
        context.meta[_CHOSEN] = named(presets(context), name)
    except ConfigInvalid as error:
        if context.get_parameter_source(str(parameter.name)) in _EXPLICIT:
            raise click.BadParameter(str(error)) from error
        read, said = _read(context)
        context.meta[_SETTINGS] = read, (*said, str(error))
        return None
    return name


def numbers(context: click.Context, parameter: click.Parameter, typed: str) -> list[int]:
    """Positive numbers with commas between."""
    try:
        found = [int(number) for number in typed.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise click.BadParameter(f"{typed!r} is not a list of numbers such as 16,512.")
    return found


_EXPLICIT = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
_PRESET = (
    _option("--preset", metavar="NAME", is_eager=True, callback=_choose_preset, shell_complete=complete_preset,
            help="A named way to answer, such as precise or coder; what is given beside it goes before it."),
)  # fmt: skip
_MODEL = (
    _option("--server", metavar="NAME", help="A server by its URL, or by its name in config.toml."),
    _option("--model", metavar="NAME", shell_complete=complete_model,
            help="A short name, a Hub name, a folder or a GGUF file."),
    _option("--device", type=click.Choice(["auto", "cuda", "mps", "cpu"]), default="auto", help="Where it runs."),
    _option("--quantization", type=click.Choice(["auto", "int8", "int4", "bf16", "float16", "float32"]), default="auto",
            help="Number format of the weights."),
    _option("--context", type=click.IntRange(256), metavar="TOKENS", help="Size of the context window."),
)  # fmt: skip
_MODE = (
    _option("--system", default="", metavar="TEXT", help="A system prompt."),
    _option("--think/--no-think", default=True, help="Thinking mode (on by default)."),
    _option("--thinking-budget", type=click.IntRange(1), metavar="TOKENS",
            help="Longest thought; then the model must answer from what it has thought."),
)  # fmt: skip
_TOOLS = (
    _option("--tools", "tool_names", metavar="NAMES",
            help="What the model may call, with commas between: tools, servers of tools, all, or none."),
)  # fmt: skip
_SAMPLING = (
    *(
        _option(name, cls=_Sampling, type=float, metavar="NUMBER")
        for name in ("--temperature", "--top-p", "--min-p", "--repetition-penalty", "--presence-penalty",
                     "--frequency-penalty")
    ),
    *(_option(name, cls=_Sampling, type=int, metavar="NUMBER") for name in ("--top-k", "--max-tokens", "--seed")),
)  # fmt: skip
_SCREEN = (
    _option("--private/--no-private", default=False, help="Keep the chat in memory alone: nothing of it on disk."),
    _option("--theme", default="qwenchat-dark", help="The colours, such as qwenchat-light or paper."),
    _option("--reduced-motion/--motion", default=False, help="Nothing moves that need not."),
    _option("--plain", is_flag=True, help="Line by line, for screen readers and simple terminals."),
)


def read_schema(file: Path | None) -> str | None:
    """The JSON schema in a file, as text; that it is one is seen by whoever heeds it. Raises UsageError."""
    if file is None:
        return None
    import json

    try:
        with file.open("rb") as opened:
            data = opened.read(LONGEST_SCHEMA + 1)
        if len(data) > LONGEST_SCHEMA:
            raise click.UsageError(f"{file} has more than {LONGEST_SCHEMA:,} bytes.")
        schema = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{file} cannot be read as JSON: {error}.") from error
    if not isinstance(schema, dict):
        raise click.UsageError(f"{file} is no JSON schema: that is an object.")
    return json.dumps(schema)


def _all(options: tuple[Decorator, ...]) -> Decorator:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


not_saved = _option(
    "--private/--no-private", "--no-save/--save", "private", default=False,
    help="Keep this conversation out of the library.",
)  # fmt: skip
for_turns = _all((*_PRESET, *_MODEL, *_MODE, *_TOOLS, *_SAMPLING))
for_model = _all(_MODEL)
for_screen = _all(_SCREEN)


class Context(click.Context):
    """Takes from the preset, then from config.toml, what neither a flag nor the environment says.

    The files are read when they are needed.
    """

    def lookup_default(self, name: str, call: bool = True) -> Any:
        """The value of the preset or config.toml for an option, None where they have none."""
        if self.resilient_parsing:  # the help and shell completion have no use for it
            return None
        preset = chosen_preset(self)
        if preset is not None and name in preset.values:
            return preset.values[name]
        if name in SAMPLING:
            return getattr(settings(self).sampling, name)
        return getattr(settings(self), name, None)


SAMPLING = frozenset(field.name for field in fields(SamplingOverrides))


def _read(context: click.Context) -> "tuple[Settings, tuple[str, ...]]":
    if _SETTINGS not in context.meta:
        from qwenchat.settings.config import language, read

        file = Paths.of_user().config_file
        texts.speak(language(file, os.environ))
        context.meta[_SETTINGS] = read(file)
    settings: tuple[Settings, tuple[str, ...]] = context.meta[_SETTINGS]
    return settings


def settings(context: click.Context) -> "Settings":
    """What config.toml says; from then on the program speaks the language that is wanted."""
    return _read(context)[0]


def problems(context: click.Context) -> tuple[str, ...]:
    """What is wrong with config.toml and the presets, in words."""
    presets(context)
    return (*_read(context)[1], *context.meta[_PRESETS][1], *_wrong_language(), *_unknown_server(context))


def _wrong_language() -> tuple[str, ...]:
    """What is wrong with QWENCHAT_LANGUAGE, which is read before there are options."""
    wanted = os.environ.get("QWENCHAT_LANGUAGE", "")
    choices = ("auto", *texts.LANGUAGES)
    if wanted in ("", *choices):
        return ()
    said = say("it should be one of {choices}", choices=", ".join(choices))
    return (say("{where}: {problem}", where="QWENCHAT_LANGUAGE", problem=f"{said}."),)


def _unknown_server(context: click.Context) -> tuple[str, ...]:
    """A word for who misspells the name of a server, which could be the name of a machine too."""
    typed = context.params.get("server") or ""
    servers = settings(context).servers
    if typed in servers or not typed.replace("-", "").replace("_", "").isalnum():
        return ()
    meant = did_you_mean(typed, servers)
    named = say("There is no server {name} in config.toml, so this is taken as its address.", name=safe_line(typed))
    return (sentences(named, meant),) if meant else ()


def presets(context: click.Context) -> "tuple[Preset, ...]":
    """The built-in presets and the user's own."""
    if _PRESETS not in context.meta:
        from qwenchat.settings.presets import read

        context.meta[_PRESETS] = read(Paths.of_user().presets)
    found: tuple[Preset, ...] = context.meta[_PRESETS][0]
    return found


def chosen_preset(context: click.Context) -> "Preset | None":
    """The preset that was asked for."""
    return context.meta.get(_CHOSEN)


def steering(context: click.Context, options: dict[str, Any], session: "Session") -> "Steering":
    """What `session` is steered by, as these options say it."""
    from qwenchat.session.answer_settings import Steering

    flags = {name: value for name, value in options.items() if context.get_parameter_source(name) in _EXPLICIT}
    return Steering(
        session, flags=flags, settings=settings(context), presets=presets(context), preset=chosen_preset(context)
    )


def tool_names(context: click.Context, options: dict[str, Any]) -> tuple[str, ...]:
    """The tools and servers that the chat begins with. Raises ConfigInvalid for one that was named and is none."""
    there = settings(context)
    if (named := options.get("tool_names")) is None:
        return there.tools.allowed
    names = tuple(name for name in (word.strip() for word in named.split(",")) if name and name != "none")
    if set(names) - {ALL}:
        from qwenchat.tools.toolbox import Toolbox

        box = Toolbox(there.tools, tuple(there.mcp.values()))
        if unknown := next((name for name in names if name != ALL and not box.knows(name)), None):
            raise ConfigInvalid(*box.unknown(unknown))
    return names


def overrides(options: dict[str, Any]) -> SamplingOverrides:
    """The sampling parameters that were set; raises ConfigInvalid when one is out of range."""
    for name in SAMPLING:
        try:
            SamplingOverrides(**{name: options[name]}).applied(options["think"])
        except ConfigInvalid as error:
            raise ConfigInvalid(say("{where}: {problem}", where=_where(name), problem=error)) from error
    return SamplingOverrides(**{name: options[name] for name in SAMPLING})


def _where(name: str) -> str:
    """What has the value of a setting, for people: its variable, or else its flag."""
    option = name.replace("_", "-")
    source = click.get_current_context().get_parameter_source(name)
    return f"QWENCHAT_{name.upper()}" if source is ParameterSource.ENVIRONMENT else f"--{option}"


def warnings(options: dict[str, Any]) -> tuple[str, ...]:
    """What the user should know about these options."""
    greedy = greedy_warning(options["temperature"], options["think"])
    return (greedy,) if greedy else ()


def load_command(options: dict[str, Any]) -> "LoadModel":
    """The model that was asked for, here or on a server. Raises ConfigInvalid."""
    from qwenchat.chat.commands import LoadModel

    server = server_of(options["server"]) if options.get("server") else None
    return LoadModel(
        options["model"] or None, options["device"], options["quantization"], options["context"], server=server
    )


def server_of(name: str) -> "Server":
    """The server of that name in config.toml, or at that address."""
    from qwenchat.chat.server_profile import Server

    return settings(click.get_current_context()).servers.get(name) or Server(name)
