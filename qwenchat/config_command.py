"""`qwenchat config`: where the settings lie, what counts, what is wrong, and the editor."""

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click

from qwenchat import process
from qwenchat.paths import Paths
from qwenchat.texts import say

if TYPE_CHECKING:
    from qwenchat.config_schema import Setting


@click.group()
def config() -> None:
    """Show, check and edit the settings."""


@config.command("path")
def path_command() -> None:
    """Print where config.toml lies; it need not exist."""
    click.echo(Paths.of_user().config_file)


@config.command()
def show() -> None:
    """Print every setting with what counts, and where that comes from."""
    from qwenchat.chat.text import safe_line
    from qwenchat.config import lines_of, read
    from qwenchat.config_schema import schema
    from qwenchat.table import aligned

    file = Paths.of_user().config_file
    settings, problems = read(file)
    lines = lines_of(file.read_text("utf-8", errors="replace")) if file.exists() else {}
    rows = [(setting.key, _shown(setting, settings), _source(setting, lines)) for setting in schema()]
    tables = {"servers": {name: server.address for name, server in settings.servers.items()}, "keys": settings.keys}
    for table, entries in tables.items():
        rows += [(f"{table}.{name}", value, _line(lines, f"{table}.{name}")) for name, value in entries.items()]
    click.echo(aligned([tuple(safe_line(cell, 80) for cell in row) for row in rows]))
    for problem in problems:
        process.say(problem)


@config.command()
def check() -> None:
    """Say what is wrong with config.toml; exit code 1 when something is."""
    problems = _problems()
    for problem in problems:
        process.say(problem)
    if problems:
        sys.exit(1)
    click.echo(say("Nothing is wrong with {file}.", file=Paths.of_user().config_file))


@config.command()
def edit() -> None:
    """Open config.toml in $VISUAL or $EDITOR; where there is none yet, one with every setting explained is made."""
    from qwenchat.config_file import create

    file = Paths.of_user().config_file
    if create(file):
        process.say(say("{file} was made.", file=file))
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        process.say(say("Neither VISUAL nor EDITOR names an editor. Open it yourself: {file}", file=file))
        sys.exit(1)
    while True:
        code = subprocess.run([*shlex.split(editor), str(file)], check=False).returncode
        if code:
            process.say(say("The editor ended with code {code}.", code=code))
            sys.exit(1)
        problems = _problems()
        for problem in problems:
            process.say(problem)
        if not problems or not sys.stdin.isatty() or not click.confirm(say("Edit it again?"), default=True):
            break
    sys.exit(1 if problems else 0)


def _problems() -> tuple[str, ...]:
    from qwenchat.config import read

    return read(Paths.of_user().config_file)[1]


def _shown(setting: "Setting", value: Any) -> str:
    """What the environment or config.toml says, or what counts without them; a variable counts as it is written."""
    if os.environ.get(setting.variable):
        return os.environ[setting.variable]
    for name in setting.key.split("."):
        value = getattr(value, name)
    if value in (None, ""):
        return f"({setting.unset})"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _source(setting: "Setting", lines: dict[str, int]) -> str:
    if os.environ.get(setting.variable):
        return setting.variable
    return _line(lines, setting.key) if setting.key in lines else say("default")


def _line(lines: dict[str, int], key: str) -> str:
    return say("line {line}", line=lines[key]) if key in lines else "config.toml"
