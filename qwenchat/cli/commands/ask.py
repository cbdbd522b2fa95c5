"""`qwenchat ask`: one question, or the prompts of a file."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.text import decode_input, safe_json
from qwenchat.cli import option_values, options, process
from qwenchat.cli.options import FileName
from qwenchat.cli.text_command import TextCommand
from qwenchat.cli.wiring import engine_maker, open_session, tool_names
from qwenchat.console.ask import ask as ask_once
from qwenchat.console.ask import failure
from qwenchat.console.notice import notify
from qwenchat.i18n.texts import say
from qwenchat.library.library import Library
from qwenchat.system.paths import Paths
from qwenchat.system.regular_file import open_stream

LONGEST_SCHEMA = 1_000_000
"""Bytes of a schema that are read."""


class _Ask(TextCommand):
    """A command with the options of the chat."""

    context_class = options.OptionContext


@click.command(cls=_Ask)
@click.argument("prompt", nargs=-1)
@options.for_turns
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--schema",
    type=FileName(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Answer with JSON that fits the JSON schema in FILE.",
)
@click.option(
    "--jsonl",
    type=FileName(path_type=Path, dir_okay=False),
    metavar="FILE",
    help='Ask each line of a file: {"prompt": "..."} or {"messages": [...]}.',
)
@click.option(
    "--output",
    type=FileName(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the answers go, in the order of the prompts; by default beside the file.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 512),
    default=16,
    show_default=True,
    help="How many prompts a server is asked at once.",
)
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
    _refuse_what_does_not_go_together(context, prompt)
    fitting = _read_schema(schema)
    if jsonl is not None:
        from qwenchat.cli.commands import batch  # noqa: PLC0415  (a single question does not wait for it)

        sys.exit(batch.run(engine_maker(), given, jsonl, output, concurrency, fitting))
    text = _question(prompt)
    for notice in (*option_values.problems(context), *option_values.warnings(given)):
        notify(notice)
    try:
        private = given["private"]
        library = Library.in_memory() if private else Library.open(Paths.of_user().database)
        with open_session(given, library, private=private) as session:
            session.schema = fitting
            session.switch_tools(tool_names(given))
            code = ask_once(session, option_values.load_command(given), text, as_json=as_json, saved=not private)
    except QwenchatError as error:
        if as_json:
            click.echo(safe_json(failure(error)))
        raise
    sys.exit(code)


def _refuse_what_does_not_go_together(context: click.Context, prompt: tuple[str, ...]) -> None:
    """Raise UsageError for an option of which nothing would come."""
    contexts = [it for it in (context, context.parent) if it is not None]

    def typed(name: str) -> bool:
        return any(it.get_parameter_source(name) is ParameterSource.COMMANDLINE for it in contexts)

    if context.params["jsonl"] is None:
        if ignored := next(filter(typed, ("output", "concurrency")), None):
            raise click.UsageError(f"--{ignored} goes with --jsonl.")
    elif prompt or context.params["as_json"]:
        raise click.UsageError("--jsonl brings the prompts and has an output of its own.")
    elif typed("tool_names"):
        raise click.UsageError("Tools are for single questions: leave out --tools, or --jsonl.")


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
    text, replaced = decode_input(os.fsencode(" ".join(prompt)))
    if not sys.stdin.isatty():
        with process.said_if_waiting():
            data = sys.stdin.buffer.read()
        piped, piped_replaced = decode_input(data)
        replaced = replaced or piped_replaced
        text = "\n\n".join(part for part in (text, piped.strip("\n")) if part.strip())
    if replaced:
        notify(say("What was not valid text in the prompt or on standard input was replaced."))
    if not text.strip():
        raise click.UsageError("There is nothing to ask. Give a prompt, or text on standard input.")
    return text


def _read_schema(file: Path | None) -> str | None:
    """The JSON schema in a file, as text; whether it is valid is checked where it is used. Raises UsageError."""
    if file is None:
        return None
    try:
        with process.said_if_waiting(file), open_stream(file) as opened:
            data = opened.read(LONGEST_SCHEMA + 1)
        if len(data) > LONGEST_SCHEMA:
            raise click.UsageError(f"{file} has more than {LONGEST_SCHEMA:,} bytes.")
        schema = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{file} cannot be read as JSON: {error}.") from error
    if not isinstance(schema, dict):
        raise click.UsageError(f"{file} is no JSON schema: that is an object.")
    return json.dumps(schema)
