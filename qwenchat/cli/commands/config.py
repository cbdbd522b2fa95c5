"""`qwenchat config`: where the settings lie, what counts, what is wrong, and the editor."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe, safe_line
from qwenchat.cli import option_values
from qwenchat.cli.group import CommandGroup
from qwenchat.console.editor import EditorFailed, command
from qwenchat.console.notice import notify
from qwenchat.console.table import aligned
from qwenchat.engine.remote.address import address_of
from qwenchat.engine.remote.key import key_of
from qwenchat.i18n.texts import listed, say, sentences
from qwenchat.settings import presets
from qwenchat.settings.config import few, lines_of, read, refused_in
from qwenchat.settings.config_file import create
from qwenchat.settings.parameters import BY_NAME, PARAMETERS, Parameter
from qwenchat.settings.presets import Preset
from qwenchat.settings.settings import Settings
from qwenchat.system.paths import Paths
from qwenchat.system.regular_file import expanded
from qwenchat.system.toml_file import read_toml
from qwenchat.tools.toolbox import Toolbox


@click.group(cls=CommandGroup)
def config() -> None:
    """Show, check and edit the settings."""


@config.command("path")
def path_command() -> None:
    """Print where config.toml lies; it need not exist."""
    click.echo(safe(str(Paths.of_user().config_file)))


@config.command()
def show() -> None:
    """Print every setting with what counts, and where that comes from."""
    file = Paths.of_user().config_file
    settings, _ = read(file)
    preset, problems = _preset(settings), _problems()
    lines: dict[str, int] = {}
    with suppress(OSError, ValueError, RecursionError):
        lines = lines_of(read_toml(file)[0])
    refused = refused_in(file)
    rows = [
        (setting.key, _shown(setting, settings, preset), _source(setting, lines, preset, refused))
        for setting in PARAMETERS
    ]
    tables: dict[str, Mapping[str, str]] = {
        "servers": {name: server.address for name, server in settings.servers.items()},
        "tools": _tools(settings),
        "mcp": {name: server.url or str(server.command) for name, server in settings.mcp.items()},
        "keys": settings.keys,
    }
    for table, entries in tables.items():
        rows += [(f"{table}.{name}", value, _line(lines, f"{table}.{name}")) for name, value in entries.items()]
    click.echo(aligned([tuple(safe_line(cell, 80) for cell in row) for row in rows]))
    for problem in problems:
        notify(problem)


def _tools(settings: Settings) -> dict[str, str]:
    """What is set in `[tools]`."""
    tools = settings.tools
    lists = {"on": tools.on, "always": tools.always, "folders": tools.folders}
    shown = {name: listed(values) for name, values in lists.items() if values}
    return shown | ({"private_addresses": "true"} if tools.private_addresses else {})


@config.command()
def check() -> None:
    """Say what is wrong with config.toml and the presets; exit code 1 when something is."""
    problems = _problems()
    for problem in problems:
        notify(problem)
    if problems:
        sys.exit(1)
    click.echo(safe(say("Nothing is wrong with {file}.", file=Paths.of_user().config_file)))


@config.command()
def edit() -> None:
    """Open config.toml in $VISUAL or $EDITOR; where there is none yet, one with every setting explained is made."""
    file = Paths.of_user().config_file
    if create(file):
        notify(say("{file} was made.", file=file))
    try:
        words = command()
    except EditorFailed:
        notify(say("You can open it yourself: {file}", file=file))
        raise
    while True:
        code = subprocess.run([*words, str(file)], check=False).returncode
        if code:
            notify(say("The editor ended with code {code}.", code=code))
            sys.exit(1)
        problems = _problems()
        for problem in problems:
            notify(problem)
        if not problems or not sys.stdin.isatty() or not click.confirm(say("Edit it again?"), default=True):
            break
    sys.exit(1 if problems else 0)


def _problems() -> tuple[str, ...]:
    """Everything that a start of the chat would find wrong."""
    paths = Paths.of_user()
    settings, _ = read(paths.config_file)
    tools = Toolbox(settings.tools, tuple(settings.mcp.values())).misconfigured()
    found = (*_key_problems(paths, settings), *_server_problems(settings), *tools)
    return (*_start_problems(), *_theme_problems(paths, settings), *(safe_line(said, 400) for said in found))


def _start_problems() -> tuple[str, ...]:
    """What the chat would say of the settings, the presets and the environment as it starts."""
    try:
        context = click.get_current_context().find_root().command.make_context("qwenchat", [])
        option_values.overrides(context.params)
        return (*option_values.problems(context), *option_values.warnings(context.params))
    except click.ClickException as error:
        return (*read(Paths.of_user().config_file)[1], error.format_message())
    except ConfigInvalid as error:
        return (*read(Paths.of_user().config_file)[1], str(error))


def _key_problems(paths: Paths, settings: Settings) -> tuple[str, ...]:
    from qwenchat.tui.app import QwenChat  # noqa: PLC0415  (imports Textual, for which only `check` has a use)

    _, problems = QwenChat.keys_of(settings.keys, settings.keymap == "vim")
    return tuple(say("{where}: {problem}", where=paths.config_file, problem=problem) for problem in problems)


def _server_problems(settings: Settings) -> tuple[str, ...]:
    """What stands in the way of the servers: an address or a key that cannot be used, a program that is not there."""
    problems = []
    for server in settings.servers.values():
        try:
            address_of(server.address)
            key_of(server)
        except ConfigInvalid as error:
            problems.append(say("{where}: {problem}", where=f"servers.{server.name}", problem=error))
    for tools in settings.mcp.values():
        if tools.command is not None and shutil.which(expanded(tools.command)) is None:
            said = say("There is no program {name}.", name=tools.command)
            problems.append(say("{where}: {problem}", where=f"mcp.{tools.name}", problem=said))
    return few(problems)


def _theme_problems(paths: Paths, settings: Settings) -> tuple[str, ...]:
    """What is wrong with the theme that is set, and with the user's own."""
    from qwenchat.tui.base.themes import OTHERS, read_themes  # noqa: PLC0415  (imports Textual)

    variable = BY_NAME["theme"].variable
    name, where = (os.environ[variable], variable) if os.environ.get(variable) else (settings.theme, paths.config_file)
    themes, problems = read_themes((paths.themes,))
    known = sorted({*OTHERS, *(theme.name for theme in themes)})
    if name in known:
        return problems
    wrong = say("{file}: There is no theme {name}.", file=where, name=safe_line(name))
    return (*problems, sentences(wrong, did_you_mean(name, known)))


def _preset(settings: Settings) -> Preset | None:
    """The preset that is on at the start, if there is one of that name."""
    name = os.environ.get("QWENCHAT_PRESET") or settings.preset
    with suppress(ConfigInvalid):
        return presets.named(presets.read(Paths.of_user().presets)[0], name) if name else None
    return None


def _shown(setting: Parameter, value: Any, preset: Preset | None) -> str:
    """What environment, preset or config.toml say, or what counts without; a variable counts as it is written."""
    if os.environ.get(setting.variable):
        return os.environ[setting.variable]
    name = setting.name
    if preset is not None and name in preset.values:
        value = preset.values[name]
    else:
        for part in setting.key.split("."):
            value = getattr(value, part)
    if value in (None, ""):
        return say("({note})", note=setting.unset)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _source(setting: Parameter, lines: dict[str, int], preset: Preset | None, refused: frozenset[str]) -> str:
    if os.environ.get(setting.variable):
        return setting.variable
    if preset is not None and setting.name in preset.values:
        return say("preset {name}", name=preset.name)
    if setting.key in refused:
        return say("default; {line} cannot be used", line=_line(lines, setting.key))
    return _line(lines, setting.key) if setting.key in lines else say("default")


def _line(lines: dict[str, int], key: str) -> str:
    return say("line {line}", line=lines[key]) if key in lines else "config.toml"
