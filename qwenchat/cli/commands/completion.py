"""`qwenchat completion`: the script that lets a shell complete."""

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from qwenchat.chat.text import safe
from qwenchat.cli.options import Choice
from qwenchat.i18n.texts import say, sentences
from qwenchat.system.shell_completion import MARK, SHELLS, install, place_of


@click.command()
@click.argument("shell", metavar="[bash|zsh|fish|install]", type=Choice([*SHELLS, "install"]))
@click.argument("installed", metavar="[SHELL]", required=False, type=Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str, installed: str | None) -> None:
    """Print or install the script that lets a shell complete commands, options, models and conversations.

    `qwenchat completion install` puts it where your shell looks for it; `install zsh` does so for another shell.

    `qwenchat completion bash` prints it, for a place of your own.
    """
    if shell == "install":
        _install(context, installed or _own_shell())
    elif installed:
        raise click.UsageError(f"Write `qwenchat completion {shell}`, or `qwenchat completion install {installed}`.")
    else:
        click.echo(_script(context, shell))


def _script(context: click.Context, shell: str) -> str:
    kind = get_completion_class(shell)
    assert kind is not None, shell
    template = kind(context.find_root().command, {}, "qwenchat", MARK)
    return str(template.source_template % template.source_vars())


def _own_shell() -> str:
    """The user's shell; raises UsageError where it is none of those that can be served."""
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise click.UsageError("SHELL names neither bash, zsh nor fish; say which: `qwenchat completion install bash`.")
    return name


def _install(context: click.Context, shell: str) -> None:
    place = place_of(shell, os.environ, Path.home())
    changed = install(place, _script(context, shell) + "\n")
    where = say("The completion for {shell} is in {file}.", shell=shell, file=place.script)
    if place.startup:
        where = sentences(where, say("{file} loads it.", file=place.startup))
    then = say("Every new shell has it.") if changed else say("It was there already.")
    click.echo(safe(sentences(where, then)))
