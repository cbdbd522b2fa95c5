"""`qwenchat bench`: how fast a model is on this machine."""

from typing import get_args

import click

from qwenchat.chat.text import safe_json
from qwenchat.cli import options
from qwenchat.reports.benchmark import run
from qwenchat.settings.settings import Device


@click.command()
@click.option("--model", metavar="NAME", shell_complete=options.complete_model, help="By default that of the chat.")
@click.option(
    "--shape",
    metavar="NAME",
    shell_complete=options.complete_model,
    help="Instead of a model, random weights in the shape of one, such as qwen3-0.6b.",
)
@click.option("--device", type=options.Choice(get_args(Device)), default="auto", help="Where it runs.")
@click.option("--quantization", metavar="NAMES", default="auto", help="One or several, as in int8,int4.")
@click.option(
    "--context",
    "contexts",
    metavar="TOKENS",
    default="16,512,2048",
    callback=options.numbers,
    show_default=True,
    help="Lengths of the prompts.",
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="How often each is measured.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def bench(
    model: str | None,
    shape: str | None,
    device: str,
    quantization: str,
    contexts: list[int],
    rounds: int,
    as_json: bool,
) -> None:
    """Measure how fast a model reads and answers on this machine."""
    if model is not None and shape is not None:
        raise click.UsageError("--shape goes without --model.")

    report = run(model, shape, device, quantization.split(","), contexts, rounds)
    click.echo(safe_json(report.as_dict(), indent=2) if as_json else report.as_text())
