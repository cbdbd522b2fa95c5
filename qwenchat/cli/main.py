"""The commands, and the only place where the parts are wired together."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from qwenchat import __version__
from qwenchat.chat.errors import QwenchatError
from qwenchat.cli import options, process
from qwenchat.cli.commands import batch, bench, config, conversations, models, replay, statistics, tools, transfer
from qwenchat.cli.text_command import TextCommand
from qwenchat.i18n.texts import say
from qwenchat.system.paths import Paths

if TYPE_CHECKING:
    from qwenchat.engine.base import Engine
    from qwenchat.library.library import Library
    from qwenchat.session.session import Session


class _Chat(process.Program):
    """The chat, and the commands beside it."""

    context_class = options.Context


class _Ask(TextCommand):
    """A command with the options of the chat."""

    context_class = options.Context


def make_engine() -> "Engine":
    """The local engine and the servers; what each needs is imported when it is asked for, on the worker's thread."""
    from qwenchat.engine.router import Engines

    return Engines(_make_local, _make_remote)


def _make_local() -> "Engine":
    from qwenchat.engine.local.engine import LocalEngine

    return LocalEngine(Paths.of_user())


def _make_remote() -> "Engine":
    from qwenchat.engine.remote.engine import RemoteEngine

    return RemoteEngine()


@contextmanager
def _session(given: dict[str, Any], library: "Library", *, private: bool, chat: bool = False) -> "Iterator[Session]":
    """A session over `library`; what it holds is saved and everything is closed at the end.

    A chat that could not be kept ends with the exit code 1.
    """
    from qwenchat.engine.worker import Worker
    from qwenchat.session.session import Session
    from qwenchat.system.log import keep_log
    from qwenchat.tools.toolbox import Toolbox

    context = click.get_current_context()
    wired: dict[str, Callable[[], Engine]] = context.find_object(dict) or {}
    worker = Worker(wired["make_engine"])
    overrides = options.overrides(given)
    settings = options.settings(context)
    keep_log(None if private else Paths.of_user().log_file)
    session = Session(
        worker,
        library,
        system=given["system"],
        thinking=given["think"],
        thinking_budget=given["thinking_budget"],
        overrides=overrides,
        private=private,
        tools=Toolbox(settings.tools, tuple(settings.mcp.values()), Paths.of_user().config_file),
    )
    try:
        yield session
    finally:
        session.close()
        for text in session.conversation.lost if chat and not private else ():
            process.tell(text)
        if session.conversation.unsaved and not chat:
            process.tell(say("The last reply could not be saved."))
    if chat and not private and session.conversation.lost:
        sys.exit(1)


def _no_command(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Since its value is optional, --resume would take a command for an id."""
    if value in cli.commands:
        raise click.UsageError(f"--resume opens the chat; write `qwenchat {value}` without it.")
    return value


@click.group(cls=_Chat, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="qwenchat")
@options.for_turns
@click.option(
    "--resume", is_flag=False, flag_value=conversations.LATEST, metavar="[ID]",
    shell_complete=conversations.complete_conversation, callback=_no_command,
    help="Go on with a conversation, by default the latest; the first digits of its id are enough.",
)  # fmt: skip
@options.for_screen
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """Chat with Qwen3, in private, in your terminal."""
    context.ensure_object(dict).setdefault("make_engine", make_engine)
    options.settings(context)
    if context.invoked_subcommand is not None:
        _refuse_stray_flags(context)
        return
    from qwenchat.library.library import Library

    options.overrides(given)
    if given["private"] and given["resume"] is not None:
        raise click.UsageError("A private chat goes on with no saved conversation: give --resume or --private.")
    library = Library.in_memory() if given["private"] else Library.open(Paths.of_user().database)
    try:
        resumed, notices = conversations.resumed(library, given["resume"])
    except QwenchatError:
        library.close()
        raise
    library.look_after(after_s=3.0)  # once the first picture is drawn
    notices = (*options.problems(context), *options.warnings(given), *notices)
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if given["plain"] or not interactive:
        sys.exit(_chat_by_line(given, library, resumed, notices))
    _chat_on_screen(given, library, resumed, notices)


def _refuse_stray_flags(context: click.Context) -> None:
    """Only `ask` has use for flags that come before it."""
    for parameter in context.command.params:
        name = str(parameter.name)
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE and (
            context.invoked_subcommand != "ask" or name not in {p.name for p in ask.params}
        ):
            raise click.UsageError(f"{parameter.opts[0]} goes with the chat, not with `{context.invoked_subcommand}`.")


def _chat_by_line(given: dict[str, Any], library: "Library", resumed: str | None, notices: tuple[str, ...]) -> int:
    from qwenchat.plain.chat import PlainChat

    for notice in notices:
        process.tell(notice)
    with _session(given, library, private=given["private"], chat=True) as session:
        session.switch_tools(options.tool_names(click.get_current_context(), given))
        if resumed is not None:
            session.resume(resumed)
        steering = options.steering(click.get_current_context(), given, session)
        return PlainChat(session, options.load_command(given), steering).run()


def _chat_on_screen(given: dict[str, Any], library: "Library", resumed: str | None, notices: tuple[str, ...]) -> None:
    from qwenchat.system.paths import shipped_themes
    from qwenchat.tui.app import QwenChat

    paths, settings = Paths.of_user(), options.settings(click.get_current_context())
    with _session(given, library, private=given["private"], chat=True) as session:
        app = QwenChat(
            session,
            options.load_command(given),
            steering=options.steering(click.get_current_context(), given, session),
            tools=options.tool_names(click.get_current_context(), given),
            theme=given["theme"],
            reduced_motion=given["reduced_motion"],
            width=settings.width,
            keys=settings.keys,
            vim=settings.keymap == "vim",
            theme_folders=(shipped_themes(), paths.themes),
            resume=resumed,
            notices=notices,
            log_file=None if given["private"] else paths.log_file,
        )
        try:
            app.run()
        finally:
            for text in app.lost:
                process.tell(text)
        if app.lost:
            sys.exit(1)


@cli.command(cls=_Ask)
@click.argument("prompt", nargs=-1)
@options.for_turns
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--schema",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Answer with JSON that fits the JSON schema in FILE.",
)
@batch.options
@options.not_saved
@click.pass_context
def ask(
    context: click.Context,
    /,
    prompt: tuple[str, ...],
    as_json: bool,
    schema: Path | None,
    jsonl: Path | None,
    output: Path | None,
    concurrency: int,
    **given: Any,
) -> None:
    """Ask once; standard input is added to the prompt. Or ask each prompt of a file."""
    given = _with_flags_before(context, given)
    fitting = options.read_schema(schema)
    if jsonl is not None:
        if prompt or as_json:
            raise click.UsageError("--jsonl brings the prompts and has an output of its own.")
        wired: dict[str, Callable[[], Engine]] = context.find_object(dict) or {}
        sys.exit(batch.run(wired["make_engine"], given, jsonl, output, concurrency, fitting))
    text = _question(prompt)
    for notice in (*options.problems(context), *options.warnings(given)):
        process.tell(notice)
    from qwenchat.chat.text import safe_json
    from qwenchat.console.ask import ask as ask_once
    from qwenchat.console.ask import failure
    from qwenchat.library.library import Library

    try:
        private = given["private"]
        library = Library.in_memory() if private else Library.open(Paths.of_user().database)
        with _session(given, library, private=private) as session:
            session.schema = fitting
            session.switch_tools(options.tool_names(context, given))
            code = ask_once(session, options.load_command(given), text, as_json=as_json, saved=not private)
    except QwenchatError as error:
        if as_json:
            click.echo(safe_json(failure(error)))
        raise
    sys.exit(code)


def _with_flags_before(context: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """`qwenchat --model x ask` means `qwenchat ask --model x`."""
    above = context.parent
    if above is None:
        return given
    return {
        name: above.params[name]
        if above.get_parameter_source(name) is ParameterSource.COMMANDLINE
        and context.get_parameter_source(name) is not ParameterSource.COMMANDLINE
        else value
        for name, value in given.items()
    }


def _question(prompt: tuple[str, ...]) -> str:
    """The prompt with what comes on standard input below it; raises UsageError when both are empty."""
    from qwenchat.chat.text import decode_input

    text, replaced = decode_input(os.fsencode(" ".join(prompt)))
    if not sys.stdin.isatty():
        with process.said_if_waiting():
            data = sys.stdin.buffer.read()
        piped, piped_replaced = decode_input(data)
        replaced = replaced or piped_replaced
        text = "\n\n".join(part for part in (text, piped.strip("\n")) if part.strip())
    if replaced:
        process.tell(say("What was not valid text in the prompt or on standard input was replaced."))
    if not text.strip():
        raise click.UsageError("There is nothing to ask. Give a prompt, or text on standard input.")
    return text


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option(
    "--restore",
    metavar="[BACKUP]",
    is_flag=False,
    flag_value="",
    help="Put a backup of the conversations in place, the last sound one or that of this name; nothing is deleted.",
)
def doctor(as_json: bool, restore: str | None) -> None:
    """Say what this machine has, what is wrong and how to mend it; exit code 1 when no chat is possible."""
    from qwenchat.chat.text import safe_json
    from qwenchat.reports.doctor import examine, go_back

    if restore is not None:
        click.echo(go_back(Paths.of_user(), restore))
        return
    report = examine(Paths.of_user())
    click.echo(safe_json(report.as_dict(), indent=2) if as_json else report.as_text())
    sys.exit(1 if report.broken else 0)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that lets a shell complete commands, options, models and conversations.

    bash: qwenchat completion bash >> ~/.bashrc

    zsh: qwenchat completion zsh >> ~/.zshrc

    fish: qwenchat completion fish > ~/.config/fish/completions/qwenchat.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is not None:
        template = kind(cli, {}, "qwenchat", "_QWENCHAT_COMPLETE")
        click.echo(template.source_template % template.source_vars())


cli.add_command(bench.bench)
cli.add_command(models.models)
cli.add_command(config.config)
cli.add_command(statistics.stats)
cli.add_command(conversations.list_command)
cli.add_command(conversations.search)
cli.add_command(conversations.show)
cli.add_command(conversations.rename)
cli.add_command(conversations.pin)
cli.add_command(conversations.archive)
cli.add_command(conversations.delete)
cli.add_command(replay.replay)
cli.add_command(transfer.export_command)
cli.add_command(tools.tools)
cli.add_command(transfer.import_command)


def main() -> None:
    """Run the command line and end the process."""
    process.run(cli)
