"""The table of commands says what the commands themselves say, and is all that the help and the completion need."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click
import pytest

import qwenchat.cli.commands
from qwenchat.cli.main import COMMANDS, cli

MODULES = sorted(file.stem for file in Path(qwenchat.cli.commands.__file__).parent.glob("[a-z]*.py"))


def own_commands(module: ModuleType) -> list[click.Command]:
    """The commands that a module has for the table, without those inside its groups."""
    commands = [entry for entry in vars(module).values() if isinstance(entry, click.Command)]
    inner = {id(it) for group in commands if isinstance(group, click.Group) for it in group.commands.values()}
    return [command for command in commands if id(command) not in inner]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_line_of_a_command_is_the_first_sentence_of_its_own_help(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert COMMANDS[name][1] == command.get_short_help_str(limit=1_000)


def test_every_command_is_in_the_table_and_in_the_module_that_it_names() -> None:
    modules = {name: import_module(f"qwenchat.cli.commands.{name}") for name in MODULES}
    found = {command.name: name for name, module in modules.items() for command in own_commands(module)}
    assert found == {name: module for name, (module, _) in COMMANDS.items()}


@pytest.mark.parametrize(
    ("word", "offered"), [("do", ["doctor"]), ("re", ["rename", "replay"]), ("xyz", []), ("--pla", ["--plain"])]
)
def test_what_completes_a_command_imports_none(word: str, offered: list[str]) -> None:
    code = f"""
import sys
from click.shell_completion import ShellComplete
from qwenchat.cli.main import cli
found = ShellComplete(cli, {{}}, "qwenchat", "_X").get_completions([], {word!r})
print([item.value for item in found])
print([name for name in sys.modules if name.startswith("qwenchat.cli.commands.")])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.splitlines() == [str(offered), "[]"]


def test_a_command_that_there_is_not_is_none() -> None:
    assert cli.get_command(click.Context(cli), "nope") is None
