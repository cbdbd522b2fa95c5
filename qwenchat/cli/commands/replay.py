"""The command `replay`: a saved conversation played back, printed, kept as a cast, or asked once more."""

import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.events import LoadProgressed
from qwenchat.chat.messages import Message
from qwenchat.chat.text import safe_json
from qwenchat.chat.timeline import Tick
from qwenchat.chat.tree import MessageTree
from qwenchat.cli import option_values, options
from qwenchat.cli.library import conversations_to_change, saved_conversations
from qwenchat.cli.options import FileName, complete_conversation
from qwenchat.cli.wiring import engine_maker
from qwenchat.console.notice import notify
from qwenchat.console.turn_printer import LoadReport, may_dim
from qwenchat.engine.worker import Worker
from qwenchat.i18n.texts import say
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange.export import write
from qwenchat.library.exchange.parsed import ParsedConversation
from qwenchat.library.exchange.reading import conversations_in
from qwenchat.library.library import Library
from qwenchat.replay.player import Replay, timelines_of
from qwenchat.replay.render import as_cast, as_json_lines, play_as_text
from qwenchat.replay.rerun import Rerun, keep, questions
from qwenchat.replay.rerun_report import RerunReport, as_dict, failure
from qwenchat.system.log import keep_log
from qwenchat.system.paths import Paths, shipped_themes
from qwenchat.system.regular_file import open_stream

SLOWEST, FASTEST = 0.25, 16.0
_PLAYING = ("speed", "idle_limit", "start", "cast", "force")
"""Options that nothing comes of when a model is asked."""
IDENTICAL, DIFFERENT, FAILED = 0, 1, 2
"""Exit codes of --rerun."""


class _Replay(click.Command):
    """A command with some of the options of the chat."""

    context_class = options.OptionContext


@dataclass(frozen=True, slots=True)
class _Recording:
    """What is to be played."""

    conversation: Conversation
    path: tuple[Message, ...]
    timelines: Mapping[str, Sequence[Tick]]


def _speed(context: click.Context, parameter: click.Parameter, typed: str) -> float:
    """A number, or `instant`."""
    if typed == "instant":
        return math.inf
    try:
        speed = float(typed.removesuffix("x"))
    except ValueError:
        speed = math.nan
    if not SLOWEST <= speed <= FASTEST:
        raise click.BadParameter(f"{typed!r} is neither a number from 0.25 to 16 nor `instant`.")
    return speed


@click.command("replay", cls=_Replay)
@click.argument("source", metavar="ID|FILE", shell_complete=complete_conversation)
@click.option("--speed", default="1", metavar="TIMES", callback=_speed, help="From 0.25 to 16, or `instant`.")
@click.option(
    "--idle-limit",
    type=click.FloatRange(0),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest pause between messages and while typing.",
)
@click.option("--from", "start", type=click.IntRange(1), default=1, metavar="N", help="Begin at the N-th message.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for all that happens, at once.")
@click.option(
    "--cast",
    type=FileName(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write an asciinema cast; - prints it.",
)
@click.option("--force", is_flag=True, help="With --cast: replace a file that is there.")
@click.option("--rerun", is_flag=True, help="Ask the same questions again and compare: exit code 1 where they differ.")
@click.option("--save", is_flag=True, help="With --rerun: keep new replies that differ as branches.")
@options.for_screen
@options.for_model
@click.pass_context
def replay(context: click.Context, /, source: str, rerun: bool, save: bool, **given: Any) -> None:
    """Play a conversation back as it happened; the first digits of its id are enough.

    FILE is one that `export` wrote. With --rerun, a model answers the same questions again.
    """
    for notice in option_values.problems(context):
        notify(notice)
    _refuse_what_does_not_go_together(context)
    if rerun:
        sys.exit(_rerun(source, save, given))
    _play(_recording(source), given)


def _refuse_what_does_not_go_together(context: click.Context) -> None:
    rerun, source = context.params["rerun"], context.params["source"]
    others = _PLAYING if rerun else ("save", "model", "device", "quantization", "context")
    for parameter in context.command.params:
        name = str(parameter.name)
        if name in others and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} goes {'without' if rerun else 'with'} --rerun.")
    if context.params["save"] and Path(source).is_file():
        raise click.UsageError("--save goes with a conversation of the library, not with a file.")


def _recording(source: str) -> _Recording:
    """From the file of that name, if there is one, else from the library; raises QwenchatError."""
    if Path(source).is_file():
        return _of_file(Path(source))
    with saved_conversations() as library:
        return _saved(library, source)


def _saved(library: Library, source: str) -> _Recording:

    stored = library.read(library.resolve(source))
    path = MessageTree(stored.messages, stored.leaf, stored.hidden).path()
    return _Recording(stored, path, timelines_of(library, path))


def _of_file(file: Path) -> _Recording:
    """The first conversation of a file."""
    with open_stream(file) as opened:
        found = next((entry for entry in conversations_in(opened) if isinstance(entry, ParsedConversation)), None)
    if found is None:
        raise QwenchatError(say("There is no conversation in {file}.", file=file))
    for problem in found.problems:
        notify(problem)
    stored = found.conversation
    return _Recording(stored, MessageTree(stored.messages, stored.leaf, stored.hidden).path(), found.timelines)


def _play(recording: _Recording, given: dict[str, Any]) -> None:
    """On the screen where there is one, else as text."""
    first, path = given["start"] - 1, recording.path
    if first >= max(1, len(path)):
        raise click.BadParameter(f"The conversation has {len(path)} messages.", param_hint="--from")
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    on_screen = interactive and not (given["plain"] or given["as_json"] or given["cast"])
    player = Replay(
        path if on_screen else path[first:],
        recording.timelines,
        idle_limit_s=given["idle_limit"],
        speed=given["speed"],
    )
    if not path:
        notify(say("There is nothing to play in this conversation yet."))
    if not on_screen:
        _play_as_text(player, recording.conversation, given)
    elif path:
        from qwenchat.tui.replay_app import ReplayApp  # noqa: PLC0415  (imports Textual)

        player.go_to(first)
        ReplayApp(
            player,
            theme=given["theme"],
            theme_folders=(shipped_themes(), Paths.of_user().themes),
            reduced_motion=given["reduced_motion"],
            width=option_values.settings(click.get_current_context()).width,
        ).run()


def _play_as_text(player: Replay, conversation: Conversation, given: dict[str, Any]) -> None:

    if given["cast"]:
        lines = (f"{line}\n" for line in as_cast(player, conversation.title, conversation.created))
        if given["cast"] == "-":
            click.echo("".join(lines), nl=False)
        else:
            write(Path(given["cast"]), lines, replacing=given["force"])
    elif given["as_json"]:
        for line in as_json_lines(player):
            click.echo(line)
    else:
        play_as_text(player, lambda text: click.echo(text, nl=False, color=True), styled=may_dim(sys.stdout))


def _rerun(source: str, save: bool, given: dict[str, Any]) -> int:
    """Ask again and report; the exit code."""
    try:
        if not save:
            return _ask_again(_recording(source), None, given)
        with conversations_to_change() as library:
            return _ask_again(_saved(library, source), library, given)
    except QwenchatError as error:
        if given["as_json"]:
            click.echo(safe_json(failure(source, error)))
        notify(str(error))
        return FAILED


def _ask_again(recording: _Recording, library: Library | None, given: dict[str, Any]) -> int:
    """Ask each question of a recording, show what comes of it, and keep what differs in `library`."""
    asked, progress = questions(recording.path), LoadReport()
    if not asked:
        raise QwenchatError(say("There is no reply in this conversation that could be asked for again."))
    report = None if given["as_json"] else RerunReport(len(asked))
    results = []
    with _engine() as rerun:
        model = rerun.load(option_values.load_command(given), progress.show)
        progress.clear()
        if model.reason:
            notify(model.reason)
        for number, question in enumerate(asked, 1):
            try:
                repeated = rerun.ask(question, _counting(progress, number, len(asked)))
            finally:
                progress.clear()
            if report is not None:
                report.show(number, question, repeated)
            kept = library is not None and not repeated.identical
            if library is not None and kept:
                keep(library, recording.conversation.id, recording.path[-1].id, repeated)
            results.append((repeated, kept))
    if report is None:
        click.echo(safe_json(as_dict(recording.conversation.id, model, results)))
    else:
        report.conclude(results)
    return IDENTICAL if all(repeated.identical for repeated, _ in results) else DIFFERENT


def _counting(progress: LoadReport, number: int, total: int) -> Callable[[int], None]:
    """Shows how many tokens have come of that reply."""

    def show(tokens: int) -> None:
        step = say("asking {number} of {total}, {tokens:,} tokens", number=number, total=total, tokens=tokens)
        progress.show(LoadProgressed(step))

    return show


@contextmanager
def _engine() -> Iterator[Rerun]:
    """The model's thread, for as long as it is needed."""
    keep_log(Paths.of_user().log_file)
    worker = Worker(engine_maker())
    try:
        yield Rerun(worker)
    finally:
        worker.close()
