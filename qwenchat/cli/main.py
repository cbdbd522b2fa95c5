"""The group of all commands: what each is called, where it is, and the line that the help has for it."""

from typing import Any

import click
from click.core import ParameterSource

from qwenchat import __version__
from qwenchat.cli import options, process
from qwenchat.cli.group import LazyGroup
from qwenchat.system.quick_imports import quick_imports

COMMANDS = {
    "archive": ("conversations", "Put a conversation out of the way; `list --archived` and `search` still show it."),
    "ask": ("ask", "Ask once; standard input is added to the prompt."),
    "bench": ("bench", "Measure how fast a model reads and answers on this machine."),
    "completion": (
        "completion",
        "Print or install the script that lets a shell complete commands, options, models and conversations.",
    ),
    "config": ("config", "Show, check and edit the settings."),
    "delete": ("conversations", "Delete conversations for good; asks first."),
    "doctor": (
        "doctor", "Say what this machine has, what is wrong and how to fix it; exit code 1 when no chat is possible.",
    ),
    "export": ("transfer", "Write conversations as Markdown, JSON or JSONL; the first digits of an id are enough."),
    "import": (
        "transfer",
        "Take in conversations: qwenchat's JSON, ChatGPT's conversations.json or its zip, lists of messages.",
    ),
    "list": ("conversations", "List the saved conversations: pinned ones first, then the latest."),
    "models": ("models", "List the known models, show one, or fetch one."),
    "pin": ("conversations", "Keep a conversation above the others."),
    "rename": (
        "conversations", "Give a conversation another title; without one, it is named by what is said in it again.",
    ),
    "replay": ("replay", "Play a conversation back as it happened; the first digits of its id are enough."),
    "search": (
        "conversations", "Find messages that have all WORDS, the best first; quotes within an argument make a phrase.",
    ),
    "show": ("conversations", "Print a conversation; the first digits of its id are enough."),
    "stats": ("statistics", "Show tokens, time and speed by model and by day."),
    "tools": ("tools", "List what the model may call; servers are started to see whether they answer."),
}  # fmt: skip
"""The module of each command in `cli/commands/`, and the first sentence of its help."""


class _Chat(LazyGroup):
    """The chat, and the commands beside it."""

    context_class = options.OptionContext


def _no_command(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Since its value is optional, --resume would take a command for an id."""
    if value in COMMANDS:
        raise click.UsageError(f"--resume opens the chat; write `qwenchat {value}` without it.")
    return value


@click.group(
    cls=_Chat, table=COMMANDS, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="qwenchat")
@options.for_turns
@click.option(
    "--resume", is_flag=False, flag_value=options.LATEST, metavar="[ID]",
    shell_complete=options.complete_conversation, callback=_no_command,
    help="Go on with a conversation, by default the latest; the first digits of its id are enough.",
)  # fmt: skip
@options.for_screen
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """Chat with Qwen3, in private, in your terminal."""
    from qwenchat.cli import option_values  # noqa: PLC0415  (the help has no use for it)

    option_values.settings(context)
    if context.invoked_subcommand is not None:
        _refuse_stray_flags(context, context.invoked_subcommand)
        return
    with quick_imports():
        from qwenchat.cli.commands import chat  # noqa: PLC0415  (no other command needs it)
    chat.start(context, given)


def _refuse_stray_flags(context: click.Context, command: str) -> None:
    """Only `ask` has use for flags that come before it."""
    ask = cli.get_command(context, "ask") if command == "ask" else None
    known = {parameter.name for parameter in ask.params} if ask else set()
    for parameter in context.command.params:
        name = str(parameter.name)
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE and name not in known:
            raise click.UsageError(f"{parameter.opts[0]} goes with the chat, not with `{command}`.")


def main() -> None:
    """Run the command line and end the process."""
    process.run(cli)
