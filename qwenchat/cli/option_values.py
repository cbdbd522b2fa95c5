"""What the options of a command say together: read from flags, the environment, the preset and config.toml."""

import os
from typing import Any

import click
from click.core import ParameterSource

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import SAMPLING, SamplingOverrides, greedy_warning
from qwenchat.chat.server_profile import Server
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.i18n import texts
from qwenchat.i18n.texts import listed, say, sentences
from qwenchat.settings import config
from qwenchat.settings import presets as preset_files
from qwenchat.settings.parameters import BY_NAME
from qwenchat.settings.presets import Preset
from qwenchat.settings.settings import Settings
from qwenchat.system.paths import Paths

_SETTINGS, _PRESETS, _CHOSEN = "qwenchat.settings", "qwenchat.presets", "qwenchat.preset"
EXPLICIT = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def value_below(context: click.Context, name: str) -> Any:
    """What the preset or config.toml say of an option, None where they say nothing."""
    preset = chosen_preset(context)
    if preset is not None and name in preset.values:
        return preset.values[name]
    if name in SAMPLING:
        return getattr(settings(context).sampling, name)
    return getattr(settings(context), name, None)


def choose_preset(context: click.Context, parameter: click.Parameter, name: str) -> str | None:
    """Take the preset of that name; one of config.toml that is none is left out, and said. Raises BadParameter."""
    try:
        context.meta[_CHOSEN] = preset_files.named(presets(context), name)
    except ConfigInvalid as error:
        if context.get_parameter_source(str(parameter.name)) in EXPLICIT:
            of_its_file = (said for said in context.meta[_PRESETS][1] if f"/{name}.toml".lower() in said.lower())
            raise click.BadParameter(sentences(str(error), *of_its_file)) from error
        found, said = _read(context)
        context.meta[_SETTINGS] = found, (*said, str(error))
        return None
    return name


def _read(context: click.Context) -> tuple[Settings, tuple[str, ...]]:
    if _SETTINGS not in context.meta:
        file = Paths.of_user().config_file
        texts.speak(config.language(file, os.environ))
        context.meta[_SETTINGS] = config.read(file)
    settings: tuple[Settings, tuple[str, ...]] = context.meta[_SETTINGS]
    return settings


def settings(context: click.Context) -> Settings:
    """What config.toml says; from then on the program speaks the language that is wanted."""
    return _read(context)[0]


def problems(context: click.Context) -> tuple[str, ...]:
    """What is wrong with config.toml and the presets, in words."""
    presets(context)
    return (*_read(context)[1], *context.meta[_PRESETS][1], *_wrong_language(), *unknown_server(context))


def _wrong_language() -> tuple[str, ...]:
    """What is wrong with QWENCHAT_LANGUAGE, which is read before there are options."""
    wanted = os.environ.get("QWENCHAT_LANGUAGE", "")
    choices = ("auto", *texts.LANGUAGES)
    if wanted in ("", *choices):
        return ()
    said = say("it should be one of {choices}", choices=listed(choices))
    return (say("{where}: {problem}", where="QWENCHAT_LANGUAGE", problem=f"{said}."),)


def unknown_server(context: click.Context) -> tuple[str, ...]:
    """The server of config.toml that may be meant by a name that is none there, but could be that of a machine."""
    typed = context.params.get("server") or ""
    servers = settings(context).servers
    if typed in servers or not typed.replace("-", "").replace("_", "").isalnum():
        return ()
    suggestion = did_you_mean(typed, servers)
    named = say("There is no server {name} in config.toml, so this is taken as its address.", name=safe_line(typed))
    return (sentences(named, suggestion),) if suggestion else ()


def presets(context: click.Context) -> tuple[Preset, ...]:
    """The built-in presets and the user's own."""
    if _PRESETS not in context.meta:
        context.meta[_PRESETS] = preset_files.read(Paths.of_user().presets)
    found: tuple[Preset, ...] = context.meta[_PRESETS][0]
    return found


def chosen_preset(context: click.Context) -> Preset | None:
    """The preset that was asked for."""
    return context.meta.get(_CHOSEN)


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
    source = click.get_current_context().get_parameter_source(name)
    return BY_NAME[name].variable if source is ParameterSource.ENVIRONMENT else BY_NAME[name].flag


def warnings(options: dict[str, Any]) -> tuple[str, ...]:
    """What the user should know about these options."""
    greedy = greedy_warning(options["temperature"], options["think"])
    return (greedy,) if greedy else ()


def load_command(options: dict[str, Any]) -> LoadModel:
    """The model that was asked for, here or on a server. Raises ConfigInvalid."""
    server = server_of(options["server"]) if options.get("server") else None
    return LoadModel(
        options["model"] or None, options["device"], options["quantization"], options["context"], server=server
    )


def server_of(name: str) -> Server:
    """The server of that name in config.toml, or at that address."""
    return settings(click.get_current_context()).servers.get(name) or Server(name)
