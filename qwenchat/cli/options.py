"""The options of the command line: what can be set there, by the environment and in config.toml, in this order."""

from collections.abc import Callable, Mapping
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import sentences
from qwenchat.settings.parameters import BY_NAME, PARAMETERS, Parameter

Decorator = Callable[[Any], Any]
LATEST = "latest"
"""What --resume without an id goes on with."""


class FileName(click.Path):
    """The name of a file; neither an empty one, as of a variable that is not set, nor `-` for no stream."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name, as click's own paths have it."""
        if value in ("", b""):
            self.fail("The name is empty.", param, ctx)
        if value in ("-", b"-") and not self.allow_dash:
            self.fail("It takes a file, no stream. One that is called - is ./-.", param, ctx)
        return super().convert(value, param, ctx)


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

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Nothing: its help says already what it may be."""
        return {}

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """The option, and the variable where it was that which had the value."""
        hint = super().get_error_hint(ctx)
        from_variable = ctx is not None and ctx.get_parameter_source(str(self.name)) is ParameterSource.ENVIRONMENT
        return f"{hint} ({self.envvar})" if from_variable else hint


class Choice(click.Choice):  # type: ignore[type-arg]  # older releases of click have it without a type
    """One of some words; a misspelt one is answered with the one that was meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word; raises BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            suggestion = did_you_mean(str(value), [str(word) for word in self.choices])
            raise click.BadParameter(sentences(error.message, suggestion), ctx, param) from error


def _option(*names: str, **settings: Any) -> Decorator:
    """An option that the environment can set too: `--top-p` by QWENCHAT_TOP_P."""
    variable = "QWENCHAT_" + names[0].split("/")[0].lstrip("-").replace("-", "_").upper()
    return click.option(*names, cls=_Setting, envvar=variable, **settings)


def _of(name: str, **settings: Any) -> Decorator:
    """The option of a parameter, as the table has it."""
    parameter = BY_NAME[name]
    return _option(
        parameter.flag, name, type=_type(parameter), default=parameter.default, metavar=parameter.metavar or None,
        help=_help(parameter), **settings,
    )  # fmt: skip


def _type(parameter: Parameter) -> Any:
    """How what is typed becomes a value; whether one of sampling is in its range is seen when all are known."""
    match parameter.kind:
        case "choice":
            return Choice(parameter.choices)
        case "integer":
            return int if parameter.is_sampling else click.IntRange(int(parameter.least or 0))
        case "number":
            return float
        case "switch":
            return bool
    return str


def _help(parameter: Parameter) -> str:
    """What it does, what a number may be, and what counts without it."""
    default = parameter.default
    usual = parameter.unset or ("on" if default is True else "off" if default is False else default)
    known = parameter.range_in_words if parameter.kind in ("integer", "number") else ""
    about = f"{parameter.about[:1].upper()}{parameter.about[1:]}."
    return f"{about}  [{'; '.join(filter(None, (known, f'default: {usual}')))}]"


def complete_model(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """The short names that begin with what was typed."""
    from qwenchat.engine.local.catalog import HUB_NAMES  # noqa: PLC0415  (the help has no use for it)

    return [name for name in (*HUB_NAMES, "smollm2") if name.startswith(typed)]


def complete_preset(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """The presets whose names begin with what was typed."""
    from qwenchat.cli.option_values import presets  # noqa: PLC0415  (the help has no use for it)

    return [preset.name for preset in presets(context) if preset.name.lower().startswith(typed.lower())]


def complete_conversation(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The conversations whose ids begin with what was typed."""
    from qwenchat.cli.library import saved_conversations  # noqa: PLC0415  (the help has no use for it)

    with saved_conversations() as library:
        rows = [row for row in library.conversations() if row.id.startswith(typed)]
    return [CompletionItem(row.id, help=safe_line(row.title, 60)) for row in rows]


def _choose_preset(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """Read the preset before the other options are asked for, since they may take their values from it."""
    if not name:
        return None
    from qwenchat.cli.option_values import choose_preset  # noqa: PLC0415  (the help has no use for it)

    return choose_preset(context, parameter, name)


def numbers(context: click.Context, parameter: click.Parameter, typed: str) -> list[int]:
    """Positive numbers with commas between."""
    try:
        found = [int(number) for number in typed.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise click.BadParameter(f"{typed!r} is not a list of numbers such as 16,512.")
    return found


_PRESET = (_of("preset", is_eager=True, callback=_choose_preset, shell_complete=complete_preset),)
_MODEL = (
    _of("server"), _of("model", shell_complete=complete_model), _of("device"), _of("quantization"), _of("context"),
)  # fmt: skip
_MODE = (_of("system"), _of("think"), _of("thinking_budget"))
_TOOLS = (
    _option("--tools", "tool_names", metavar="NAMES",
            help="What the model may call, with commas between: tools, servers of tools, all, or none."),
)  # fmt: skip
_SAMPLING = tuple(_of(parameter.name) for parameter in PARAMETERS if parameter.is_sampling)
_SCREEN = (
    _of("private"), _of("theme"), _of("reduced_motion"),
    _option("--plain", is_flag=True, help="Line by line, for screen readers and simple terminals."),
)  # fmt: skip


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


class OptionContext(click.Context):
    """Takes from the preset, then from config.toml, what neither a flag nor the environment says.

    The files are read when they are needed.
    """

    def lookup_default(self, name: str, call: bool = True) -> Any:
        """The value of the preset or config.toml for an option, None where they have none."""
        if self.resilient_parsing:  # the help and shell completion have no use for it
            return None
        from qwenchat.cli.option_values import value_below  # noqa: PLC0415  (the help has no use for it)

        return value_below(self, name)
