"""`qwenchat ask --jsonl FILE`: the prompts of a file, answered side by side."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from qwenchat.batch.journal import Journal, unasked_first
from qwenchat.batch.prompts import read_prompts
from qwenchat.batch.runner import Batch, BatchSettings, Progress, identity
from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.cli import option_values
from qwenchat.cli.process import said_if_waiting
from qwenchat.console.notice import notify
from qwenchat.console.turn_printer import has_cursor
from qwenchat.engine.base import Engine
from qwenchat.i18n.texts import say
from qwenchat.system.log import keep_log
from qwenchat.system.paths import Paths

INTERRUPTED = 130
EVERY_S = 5.0
"""How often a line of progress is said where none can be redrawn."""


def run(
    make_engine: Callable[[], Engine],
    given: dict[str, Any],
    file: Path,
    output: Path | None,
    concurrency: int,
    schema: str | None,
) -> int:
    """Ask what is not answered yet, and write the answers when all are there; the exit code."""
    keep_log(None if given["private"] else Paths.of_user().log_file)
    load = option_values.load_command(given)
    asking = _asking(given, schema)
    with said_if_waiting(file):
        prompts = read_prompts(file)
    journal = Journal(output or file.with_suffix(".answers.jsonl"), prompts, {**_place(load), **asking.key()})
    left = tuple(unasked_first(prompts, journal))
    progress = Progress(len(prompts), len(prompts) - len(left))
    threads = concurrency if load.server else 1
    batch = Batch(make_engine, load, asking, threads, lambda model: journal.accept(identity(model)), notice=notify)
    report = _Report(progress)
    try:
        for answered in batch.run(left):
            journal.add(answered.as_dict(batch.model.name if batch.model else ""))
            progress.add(answered)
            report.show()
        journal.finish(complete=not progress.failed)
    except KeyboardInterrupt:
        notify(say("{file} has what came; the same command goes on.", file=journal.file))
        return INTERRUPTED
    except QwenchatError:
        report.end()
        notify(_unasked(len(prompts) - progress.done, len(prompts)))
        raise
    finally:
        report.end()
        journal.close()
    if progress.failed:
        notify(
            say(
                "{failed:,} of {total:,} prompts failed; their lines say why. The same command asks them again.",
                failed=progress.failed, total=len(prompts),
            )
        )  # fmt: skip
    return 1 if progress.failed else 0


def _unasked(left: int, total: int) -> str:
    return say("{left:,} of {total:,} prompts have no answer yet; the same command goes on.", left=left, total=total)


def _place(load: LoadModel) -> dict[str, Any]:
    """Which model was asked for, and where: what is known of it before it is loaded."""
    server = load.server
    return {
        "server": server.address.rstrip("/") if server else None,
        "dialect": server.dialect.value if server else None,
        "thinking": server.thinking.value if server and server.thinking else None,
        "model name": load.name or (server.model if server else None),
        "model files": _files(load.name) if server is None and load.name else None,
        "quantization": load.quantization,
        "context": load.context_window,
    }


def _files(name: str) -> list[Any]:
    """Names, sizes and dates of a model's files where `name` is a file or a folder; nothing for any other name."""
    with suppress(OSError, ValueError, RuntimeError):
        path = Path(name).expanduser()
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        found = [(file.name, file.stat()) for file in files if file.is_file()]
        return [[file, status.st_size, status.st_mtime_ns] for file, status in found]
    return []


def _asking(given: dict[str, Any], schema: str | None) -> BatchSettings:

    system = (Message(Role.SYSTEM, (TextPart(given["system"]),)),) if given["system"] else ()
    return BatchSettings(given["think"], option_values.overrides(given), given["thinking_budget"], system, schema)


class _Report:
    """The progress on standard error: a line that is redrawn, or lines now and then."""

    def __init__(self, progress: Progress) -> None:

        self._progress, self._redraws, self._clock = progress, has_cursor(sys.stderr), time.monotonic
        self._said_at = self._clock()
        self._ended = False
        self._said_done = -1

    def show(self) -> None:
        """Say how far it is, when it is time to."""
        now = self._clock()
        if now - self._said_at >= (0.1 if self._redraws else EVERY_S):
            self._said_at = now
            self._say(end=not self._redraws)

    def end(self) -> None:
        """The last word, once."""
        if not self._ended:
            self._ended = True
            self._say(end=True)

    def _say(self, *, end: bool) -> None:
        if not self._redraws and self._progress.done == self._said_done:
            return
        self._said_done = self._progress.done
        with suppress(OSError):  # the answers matter, not whether anybody still reads how many there are
            click.echo(("\r\x1b[K" if self._redraws else "") + self._progress.words(), err=True, nl=end)
