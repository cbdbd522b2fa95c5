"""The commands, and the only place where the parts are wired together."""

import json
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from qwenchat import __version__
from qwenchat.chat.errors import ConfigInvalid, QwenchatError
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.paths import Paths

if TYPE_CHECKING:
    from qwenchat.engine.base import Engine
    from qwenchat.session import Session

_MODEL = [
    click.option("--model", metavar="NAME", help="A Hub name, a folder, a GGUF file, or a short name."),
    click.option("--device", default="auto", show_default=True, help="auto, cuda, mps or cpu."),
    click.option("--quantization", default="auto", show_default=True, help="auto, bf16 or float32."),
    click.option("--context", type=click.IntRange(256), metavar="TOKENS", help="Size of the context window."),
    click.option("--system", default="", metavar="TEXT", help="A system prompt."),
    click.option("--think/--no-think", default=True, help="Thinking mode (on by default)."),
]
_SAMPLING = [
    click.option("--temperature", type=float, help="0 is greedy."),
    click.option("--top-p", type=float),
    click.option("--top-k", type=int),
    click.option("--min-p", type=float),
    click.option("--repetition-penalty", type=float),
    click.option("--presence-penalty", type=float, help="1.5 against endless repetition."),
    click.option("--frequency-penalty", type=float),
    click.option("--max-tokens", type=int, help="Longest reply, thought included."),
    click.option("--seed", type=int, help="The same seed gives the same reply."),
]


def _with(options: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _overrides(options: dict[str, Any]) -> SamplingOverrides:
    overrides = SamplingOverrides(**{name: options[name] for name in SamplingOverrides.__slots__})
    sampling = overrides.applied(options["think"])
    if sampling.temperature == 0 and options["think"]:
        click.echo("qwenchat: greedy decoding makes Qwen3 repeat itself when it thinks; add --no-think.", err=True)
    return overrides


def make_engine() -> "Engine":
    """The local engine; imports torch, so it is called on the worker's thread."""
    from qwenchat.engine.local.engine import LocalEngine

    return LocalEngine(Paths.of_user())


def _session(options: dict[str, Any], save: bool = True) -> "Session":
    from qwenchat.engine.worker import Worker
    from qwenchat.library.library import Library
    from qwenchat.session import Session

    overrides = _overrides(options)
    library = Library.open(Paths.of_user().database) if save else Library.in_memory()
    factory = click.get_current_context().find_object(dict) or {}
    worker = Worker(factory.get("make_engine", make_engine))
    return Session(worker, library, system=options["system"], thinking=options["think"], overrides=overrides)


def _load_command(options: dict[str, Any]) -> Any:
    from qwenchat.chat.commands import LoadModel

    return LoadModel(options["model"], options["device"], options["quantization"], options["context"])


@click.group(invoke_without_command=True, context_settings={"auto_envvar_prefix": "QWENCHAT"})
@click.version_option(__version__, prog_name="qwenchat")
@_with(_MODEL)
@_with(_SAMPLING)
@click.option("--resume", is_flag=False, flag_value="latest", metavar="[ID]", help="Go on with a conversation.")
@click.option("--theme", default="qwenchat-dark", help="qwenchat-dark or qwenchat-light.")
@click.option("--plain", is_flag=True, help="Line by line, for screen readers and simple terminals.")
@click.pass_context
def cli(ctx: click.Context, /, **options: Any) -> None:
    """Chat with Qwen3, in private, in your terminal."""
    if ctx.invoked_subcommand is not None:
        return
    session = _session(options)
    if options["resume"]:
        resume = options["resume"]
        latest = session.library.latest() if resume == "latest" else session.library.resolve(resume)
        if latest is not None:
            session.resume(latest)
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if options["plain"] or not interactive:
        from qwenchat.plain import chat

        sys.exit(chat(session, _load_command(options)))
    from qwenchat.tui.app import QwenChat

    QwenChat(session, _load_command(options), theme=options["theme"]).run()


@cli.command()
@click.argument("prompt", nargs=-1)
@_with(_MODEL)
@_with(_SAMPLING)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--no-save", is_flag=True, help="Keep this conversation out of the library.")
def ask(prompt: tuple[str, ...], as_json: bool, no_save: bool, **options: Any) -> None:
    """Ask once; standard input is added to the prompt."""
    from qwenchat.chat.text import decode_input
    from qwenchat.plain import answer

    text = " ".join(prompt)
    if not sys.stdin.isatty():
        piped, replaced = decode_input(sys.stdin.buffer.read())
        if replaced:
            click.echo("qwenchat: what was not valid text on standard input was replaced.", err=True)
        text = f"{text}\n\n{piped}".strip()
    if not text.strip():
        raise click.UsageError("There is nothing to ask. Give a prompt, or text on standard input.")
    session = _session(options, save=not no_save)
    try:
        sys.exit(answer(session, _load_command(options), text, as_json=as_json, saved=not no_save))
    finally:
        session.close()


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_command(as_json: bool) -> None:
    """List the saved conversations, newest first."""
    from datetime import datetime

    from qwenchat.chat.text import safe_line
    from qwenchat.library.library import Library

    rows = Library.open(Paths.of_user().database).conversations()
    if as_json:
        names = ("id", "title", "updated", "model", "messages")
        click.echo(json.dumps([{name: getattr(row, name) for name in names} for row in rows], ensure_ascii=False))
        return
    for row in rows:
        when = datetime.fromtimestamp(row.updated).strftime("%Y-%m-%d %H:%M")
        click.echo(f"{row.id}  {when}  {row.messages:>4}  {safe_line(row.title, 80)}")


@cli.command()
@click.argument("conversation")
def show(conversation: str) -> None:
    """Print a conversation."""
    from qwenchat.library.library import Library
    from qwenchat.plain import as_text

    library = Library.open(Paths.of_user().database)
    click.echo(as_text(library.read(library.resolve(conversation))))


@cli.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the known models, or fetch one."""
    if context.invoked_subcommand is not None:
        return
    from qwenchat.engine.local.catalog import KNOWN, models_here

    here = {model.name: model for model in models_here(Paths.of_user())}
    for known in KNOWN:
        mark = "here" if known.hub_name in here else f"{known.bf16_bytes / 1e9:.1f} GB to download"
        click.echo(f"{known.name:<12} {known.parameters / 1e9:5.1f} B parameters  {mark}")
    for name in sorted(set(here) - {known.hub_name for known in KNOWN}):
        click.echo(f"{name}  here")


@models.command()
@click.argument("name")
def pull(name: str) -> None:
    """Fetch a model."""
    from qwenchat.engine.base import StopSignal
    from qwenchat.engine.local.locate import locate
    from qwenchat.plain import LoadReport

    report = LoadReport()
    located = locate(name, paths=Paths.of_user(), progress=report.show, stop=StopSignal())
    report.clear()
    click.echo(f"{located.name} is here: {located.path}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def doctor(as_json: bool) -> None:
    """Say what this machine has, and what is wrong."""
    from qwenchat.doctor import examine

    report = examine(Paths.of_user())
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(f"{k:<16} {v}" for k, v in report.items()))


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line; errors go to standard error in one line, with the exit code scripts expect."""
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, _terminate)
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  (so that nothing is flushed into the closed pipe)
        sys.exit(0)
    except QwenchatError as error:
        from qwenchat.chat.text import safe_line

        click.echo(f"qwenchat: {safe_line(str(error), 1000)}", err=True)
        sys.exit(2 if isinstance(error, ConfigInvalid) else 1)
