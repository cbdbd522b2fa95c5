"""`qwenchat doctor`: what this machine has, and what is wrong."""

import sys

import click

from qwenchat.chat.text import safe_json
from qwenchat.cli.options import FileName
from qwenchat.reports.doctor import LAST_SOUND, examine, go_back
from qwenchat.system.paths import Paths


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option(
    "--restore",
    metavar="[BACKUP]",
    type=FileName(),
    is_flag=False,
    flag_value=LAST_SOUND,
    help="Put a backup of the conversations in place, the last sound one or that of this name; nothing is deleted.",
)
def doctor(as_json: bool, restore: str | None) -> None:
    """Say what this machine has, what is wrong and how to fix it; exit code 1 when no chat is possible."""
    if restore is not None:
        if as_json:
            raise click.UsageError("--json goes without --restore.")
        click.echo(go_back(Paths.of_user(), restore))
        return
    report = examine(Paths.of_user())
    click.echo(safe_json(report.as_dict(), indent=2) if as_json else report.as_text())
    sys.exit(1 if report.broken else 0)
