"""`qwenchat stats`: what was said, by model and by day."""

import time
from dataclasses import asdict

import click
from click.core import ParameterSource

from qwenchat.chat.text import safe_json
from qwenchat.cli.library import saved_conversations
from qwenchat.console.table import aligned
from qwenchat.i18n.texts import say
from qwenchat.reports.statistics import headline, rows_by_day, rows_by_model


@click.command()
@click.option("--days", type=click.IntRange(1), default=30, show_default=True, help="How far to look back.")
@click.option("--all", "everything", is_flag=True, help="Look back to the beginning.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def stats(context: click.Context, days: int, everything: bool, as_json: bool) -> None:
    """Show tokens, time and speed by model and by day."""
    if everything and context.get_parameter_source("days") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--days goes without --all.")
    with saved_conversations() as library:
        found = library.statistics(0.0 if everything else time.time() - days * 86_400)
    if as_json:
        click.echo(safe_json(asdict(found), indent=2))
    elif not found.total.replies:
        click.echo(say("Nothing was answered in this time."))
    else:
        click.echo("\n\n".join((headline(found), aligned(rows_by_model(found)), aligned(rows_by_day(found)))))
