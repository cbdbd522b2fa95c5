"""`qwenchat models`: what there is, what fits, and fetching it."""

import click

from qwenchat.chat.text import safe_line
from qwenchat.cli import option_values, options
from qwenchat.cli.group import CommandGroup
from qwenchat.console.notice import notify
from qwenchat.console.turn_printer import LoadReport
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import fit, memory
from qwenchat.engine.local.catalog import KnownModel
from qwenchat.engine.local.locate import locate
from qwenchat.reports.models import account, models_of, servers_here, table
from qwenchat.system.paths import Paths


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.option("--server", metavar="NAME", help="List what a server has, by its URL or its name in config.toml.")
@click.pass_context
def models(context: click.Context, server: str | None) -> None:
    """List the known models, show one, or fetch one."""
    if context.invoked_subcommand is not None:
        if server is not None:
            command = context.invoked_subcommand
            raise click.UsageError(f"--server lists what a server has; leave it out, or `{command}`.")
        return

    if server is not None:
        for notice in option_values.unknown_server(context):
            notify(notice)
        click.echo(models_of(option_values.server_of(server)))
        return

    click.echo(table(Paths.of_user()))
    if here := servers_here():
        click.echo(f"\n{here}")


@models.command("show")
@click.argument("name", shell_complete=options.complete_model)
def show_model(name: str) -> None:
    """Say what is known of a model: parameters, context, sizes, and where it is."""
    click.echo(account(name, Paths.of_user()))


@models.command()
@click.argument("name", shell_complete=options.complete_model)
@click.option("--force", is_flag=True, help="Also one that does not fit the memory of this machine now.")
def pull(name: str, force: bool) -> None:
    """Fetch a model."""

    def check(known: KnownModel) -> None:
        if force:
            fit.refuse_remote(known)
        else:
            fit.check_anyhow(known, memory.here())

    report = LoadReport(lines=True)
    try:
        located = locate(name, paths=Paths.of_user(), progress=report.show, stop=StopSignal(), check=check)
    finally:
        report.clear()
    click.echo(safe_line(f"{located.name} is here: {located.path}", 1000))
