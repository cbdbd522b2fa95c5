"""`qwenchat tools`: what the model may call, and whether it is asked about."""

from collections.abc import Sequence

import click

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.text import safe_line
from qwenchat.chat.tools import granted_name
from qwenchat.cli.group import CommandGroup
from qwenchat.console.notice import notify
from qwenchat.console.table import aligned
from qwenchat.i18n.texts import say
from qwenchat.settings.config import read
from qwenchat.settings.config_file import write
from qwenchat.settings.settings import Settings
from qwenchat.system.paths import Paths
from qwenchat.tools.toolbox import Toolbox


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.pass_context
def tools(context: click.Context) -> None:
    """List what the model may call; servers are started to see whether they answer."""
    if context.invoked_subcommand is None:
        click.echo(_listed(_settings()))


def _complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    return [name for name in _toolbox(_settings()).names if name.startswith(typed)]


@tools.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=_complete)
@click.option("--always", is_flag=True, help="Let them run without asking.")
def allow(names: tuple[str, ...], always: bool) -> None:
    """Give tools, or all tools of servers, to the model in every chat; each call is asked about."""
    settings = _settings()
    _check(settings, names)
    on, unasked = _without(settings.tools.on, names), _without(settings.tools.always, names)
    if always:
        unasked += map(_toolbox(settings).entry_for, dict.fromkeys(names))
    else:
        on += dict.fromkeys(names)
    _write(on, unasked)
    click.echo(_state(_settings(), names))


@tools.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=_complete)
def forbid(names: tuple[str, ...]) -> None:
    """Take tools away again."""
    settings = _settings()
    kept = {*settings.tools.on, *map(granted_name, settings.tools.always)}
    _check(settings, [name for name in names if name not in kept])
    _write(_without(settings.tools.on, names), _without(settings.tools.always, names))
    click.echo(_state(_settings(), names))


def _without(entries: Sequence[str], names: Sequence[str]) -> list[str]:

    return [entry for entry in entries if granted_name(entry) not in names]


def _settings() -> Settings:

    settings, problems = read(Paths.of_user().config_file)
    for problem in problems:
        notify(problem)
    return settings


def _toolbox(settings: Settings) -> Toolbox:

    return Toolbox(settings.tools, tuple(settings.mcp.values()))


def _check(settings: Settings, names: Sequence[str]) -> None:
    box = _toolbox(settings)
    for name in names:
        if not box.knows(name):
            raise ConfigInvalid(*box.unknown(name))


def _write(on: Sequence[str], always: Sequence[str]) -> None:

    write(Paths.of_user().config_file, {"tools.on": list(on), "tools.always": list(always)})


def _state(settings: Settings, names: Sequence[str]) -> str:

    box = _toolbox(settings)
    return aligned((safe_line(name), _allowed(settings, box, name)) for name in names)


def _allowed(settings: Settings, box: Toolbox, name: str) -> str:
    """What the user said about a tool, or about the server that has it."""
    if box.always(name):
        return say("always")
    return say("asks") if {name, box.server_of(name)} & {*settings.tools.allowed} else say("off")


def _listed(settings: Settings) -> str:
    """Every tool with whether it is allowed and what it does; then what does not answer."""
    box = _toolbox(settings)
    try:
        listed = box.listing(box.names)
    finally:
        box.close()
    rows = [(say("TOOL"), say("ALLOWED"), say("WHAT IT DOES"))]
    rows += [(tool.name, _allowed(settings, box, tool.name), safe_line(tool.description, 100)) for tool in listed.tools]
    problems = [safe_line(problem, 400) for problem in listed.problems]
    return "\n".join([aligned(rows), *([""] if problems else []), *problems])
