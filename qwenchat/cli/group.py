"""Groups of commands: their help, a word for who misspells one, and commands that are imported when they are wanted."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.cli.process import drop_output
from qwenchat.i18n.texts import later, say, sentences
from qwenchat.system.quick_imports import quick_imports


class CommandGroup(click.Group):
    """Commands whose summaries are whole sentences, and a word for who misspells one."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with the first sentence of its help, however many lines that takes."""
        with formatter.section("Commands"):
            formatter.write_dl(self.summaries(ctx))

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Each command with the first sentence of its help."""
        return [(name, command.get_short_help_str(limit=1_000)) for name, command in self.commands.items()]

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command; an unknown one is answered with the one that was meant."""
        if not ctx.resilient_parsing and args[0][:1] != "-" and self.get_command(ctx, args[0]) is None:
            suggestion = did_you_mean(args[0], self.list_commands(ctx)) or say(self.hint)
            ctx.fail(sentences(say("There is no command {word}.", word=safe_line(args[0], 80)), suggestion))
        return super().resolve_command(ctx, args)

    hint = ""
    """What is said where no command is like the one that was typed."""


class LazyGroup(CommandGroup):
    """All commands of the program, known by a table; the module of one is imported when it is run or asked for help."""

    hint = later('Write `qwenchat ask "..."` to ask something.')

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        """`table` has for each command its module in `cli/commands/` and the first sentence of its help."""
        super().__init__(*args, **settings)
        self._table = table

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        """Read the options, for which the settings are imported."""
        with quick_imports():
            return super().make_context(*args, **settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names."""
        return sorted(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None where there is none."""
        if cmd_name not in self._table:
            return None
        with quick_imports():
            module = import_module(f"qwenchat.cli.commands.{self._table[cmd_name][0]}")
        return next(
            entry for entry in vars(module).values() if isinstance(entry, click.Command) and entry.name == cmd_name
        )

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Each command with the first sentence of its help, from the table."""
        return [(name, self._table[name][1]) for name in self.list_commands(ctx)]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin with what was typed, and what any command would complete."""
        commands = [
            CompletionItem(name, help=summary) for name, summary in self.summaries(ctx) if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; where the reader of its output leaves, that is a good end."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            drop_output()
            raise SystemExit(0) from None
