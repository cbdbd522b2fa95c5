"""`qwenchat ask --jsonl FILE`: the prompts of a file, answered side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qwenchat import options as chat_options
from qwenchat import process
from qwenchat.texts import say

if TYPE_CHECKING:
    from qwenchat.batch import Asking, Progress
    from qwenchat.engine.base import Engine

INTERRUPTED = 130
EVERY_S = 5.0
"""How often a line of progress is said where none can be redrawn."""

_OPTIONS = (
    click.option(
        "--jsonl", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        help='Ask each line of a file: {"prompt": "..."} or {"messages": [...]}.',
    ),
    click.option(
        "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        help="Where the answers go, in the order of the prompts; by default beside the file.",
    ),
    click.option(
        "--concurrency", type=click.IntRange(1, 512), default=16, show_default=True,
        help="How many prompts a server is asked at once.",
    ),
)  # fmt: skip


def options(command: Any) -> Any:
    """The options that `ask` has for this."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run(
    make_engine: "Callable[[], Engine]",
    given: dict[str, Any],
    file: Path,
    output: Path | None,
    concurrency: int,
    schema: str | None,
) -> int:
    """Ask what is not answered yet, and write the answers when all are there; the exit code."""
    from qwenchat.batch import Batch, Progress
    from qwenchat.prompts import Journal, read_prompts

    load = chat_options.load_command(given)
    asking = _asking(given, schema)
    prompts = read_prompts(file)
    journal = Journal(output or file.with_suffix(".answers.jsonl"), prompts, repr((asking.key(), load.name)))
    left = [prompt for prompt in prompts if prompt.number not in journal.answered]
    progress = Progress(len(prompts), len(prompts) - len(left))
    batch = Batch(make_engine, load, asking, concurrency if load.server else 1)
    report = _Report(progress)
    try:
        for answered in batch.run(left):
            journal.add(answered.as_dict(batch.model.name if batch.model else ""))
            progress.add(answered)
            report.show()
        journal.finish(complete=not progress.failed)
    except KeyboardInterrupt:
        process.tell(say("{file} has what came; the same command goes on.", file=journal.file))
        return INTERRUPTED
    finally:
        report.end()
        journal.close()
    return 1 if progress.failed else 0


def _asking(given: dict[str, Any], schema: str | None) -> "Asking":
    from qwenchat.batch import Asking
    from qwenchat.chat.messages import Message, Role, TextPart

    system = (Message(Role.SYSTEM, (TextPart(given["system"]),)),) if given["system"] else ()
    return Asking(given["think"], chat_options.overrides(given), given["thinking_budget"], system, schema)


class _Report:
    """The progress on standard error: a line that is redrawn, or lines now and then."""

    def __init__(self, progress: "Progress") -> None:
        import sys
        import time

        from qwenchat.printer import has_cursor

        self._progress, self._redraws, self._clock = progress, has_cursor(sys.stderr), time.monotonic
        self._said_at = self._clock()

    def show(self) -> None:
        """Say how far it is, when it is time to."""
        now = self._clock()
        if now - self._said_at >= (0.1 if self._redraws else EVERY_S):
            self._said_at = now
            click.echo(f"\r\x1b[K{self._progress.words()}" if self._redraws else self._progress.words(),
                       err=True, nl=not self._redraws)  # fmt: skip

    def end(self) -> None:
        """The last word."""
        click.echo(("\r\x1b[K" if self._redraws else "") + self._progress.words(), err=True)
