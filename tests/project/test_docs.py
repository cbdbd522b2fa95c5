"""What the documentation names is there, and what is there is named."""

import re
import runpy
import shlex
from itertools import takewhile
from pathlib import Path

import click
import pytest
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

from qwenchat.chat.provenance import FinishReason
from qwenchat.cli.main import cli
from qwenchat.console.commands import WRITTEN
from qwenchat.engine.local.catalog import KNOWN
from qwenchat.engine.local.fit import FittingModel
from qwenchat.engine.local.footprint import QUANTIZATIONS
from qwenchat.library.library import Library
from qwenchat.plain.chat import PlainChat
from qwenchat.session.session import Session
from qwenchat.settings import config
from qwenchat.tui.app import QwenChat
from qwenchat.tui.chat.screen import ChatScreen
from qwenchat.tui.keys.bindings import bindings_of, key_name
from qwenchat.tui.models.compare_models_screen import CompareModelsScreen
from qwenchat.tui.models.compare_screen import CompareScreen
from qwenchat.tui.models.screen import ModelsScreen
from qwenchat.tui.screens.help import HelpScreen
from qwenchat.tui.screens.inspect import InspectScreen
from qwenchat.tui.screens.lens import LensScreen
from qwenchat.tui.screens.permission import PermissionScreen
from qwenchat.tui.screens.replay import ReplayScreen
from qwenchat.tui.screens.search import SearchScreen
from qwenchat.tui.screens.tools import ToolsScreen
from qwenchat.tui.settings.presets_screen import PresetsScreen
from qwenchat.tui.settings.screen import SettingsScreen
from qwenchat.tui.transcript.prompt import UserMessage
from qwenchat.tui.widgets.composer import Composer
from qwenchat.tui.widgets.dropdown import Dropdown
from qwenchat.tui.widgets.sidebar import Sidebar
from qwenchat.tui.widgets.token_view import TokenView
from tests.support.pages import ROOT, names, page, rows, section

make_reference = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


class Lens(TokenView, LensScreen):  # type: ignore[misc]
    """The keys of the token lens, wherever in it they count."""


@pytest.mark.parametrize("name", ["configuration.md", "keys.md"])
def test_the_reference_is_what_the_program_has(name: str) -> None:
    assert make_reference["written"](name) == page(name), "run python docs/make_reference.py"


def test_the_example_of_a_configuration_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(section(page("configuration.md"), "Example").split("```toml\n")[1].split("```")[0], "utf-8")
    found, problems = config.read(file)
    assert problems == ()
    assert found.sampling.seed == 1


def test_the_example_of_a_theme_is_the_shipped_one() -> None:
    example = section(page("themes.md"), "One of your own").split("```toml\n")[1].split("```")[0]
    shipped = (ROOT / "themes" / "qwenchat-dark.toml").read_text("utf-8")
    assert example.strip() == "\n".join(line for line in shipped.splitlines() if not line.startswith("#")).strip()


def test_every_shipped_theme_is_described() -> None:
    described = {name for row in rows(page("themes.md").split("## One")[0]) for name in names(row[0])}
    assert described == {file.stem for file in (ROOT / "themes").glob("*.toml")}


@pytest.mark.parametrize(
    ("heading", "place"),
    [
        ("In the chat", ChatScreen),
        ("Writing", Composer),
        ("In the list above the draft", Dropdown),
        ("On a chosen message", UserMessage),
        ("In the details of a message", InspectScreen),
        ("In the token lens", Lens),
        ("In the list of conversations", Sidebar),
        ("In the search", SearchScreen),
        ("In the settings", SettingsScreen),
        ("In the models", ModelsScreen),
        ("In the list of those to compare", CompareModelsScreen),
        ("In a comparison", CompareScreen),
        ("In the presets", PresetsScreen),
        ("In the tools", ToolsScreen),
        ("In the question about a tool", PermissionScreen),
        ("In a replay", ReplayScreen),
        ("In the help", HelpScreen),
        ("The program", QwenChat),
    ],
)
def test_every_key_is_described(heading: str, place: type) -> None:
    assert {row[0] for row in rows(section(page("keys.md"), heading))} == {
        key_name(keys) for keys in bindings_of(place)
    }


def test_every_alt_key_reaches_the_program_from_a_plain_terminal() -> None:
    """Textual takes some of what terminals send for Alt and a letter for other keys: Alt+B is its Ctrl+Left."""
    places = (ChatScreen, Composer, UserMessage, Sidebar, SearchScreen, QwenChat)
    keys = [key for place in places for keys in bindings_of(place) for key in keys.split(",")]
    letters = [key.removeprefix("alt+") for key in keys if re.fullmatch(r"alt\+.", key)]
    assert letters
    assert [letter for letter in letters if f"\x1b{letter}" in ANSI_SEQUENCES_KEYS] == []


def test_every_command_in_a_message_is_described() -> None:
    described = {names(row[0])[0] for row in rows(section(page("keys.md"), "Commands in a message"))}
    assert described == {f"/{name}" for name in WRITTEN}


def test_every_command_line_by_line_is_described() -> None:
    described = rows(section(page("commands.md"), "The chat line by line"))
    session = Session(None, Library.in_memory())  # type: ignore[arg-type]
    known = PlainChat(session, None)._handlers  # type: ignore[arg-type]
    assert {name.split()[0] for row in described for name in names(row[0])} == {f"/{name}" for name in known}


def commands_in(text: str) -> list[list[str]]:
    """The arguments of each `qwenchat ...` that a text has in code, without pipes and redirections."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    code = [line for block in blocks for line in block.splitlines()]
    code += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = []
    for line in code:
        words = shlex.split(line, comments=True) if "qwenchat " in line else []
        while "qwenchat" in words:
            words = words[words.index("qwenchat") + 1 :]
            found.append(list(takewhile(lambda word: word not in ("|", ">", ">>"), words)))
    return found


def parse(command: click.Command, arguments: list[str]) -> click.Context:
    """The innermost context of a command line; raises UsageError for what the program would refuse."""
    context = command.make_context("qwenchat", list(arguments))
    if isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):
        _, inner, rest = command.resolve_command(context, rest)
        assert inner is not None
        return parse(inner, rest)
    return context


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_every_command_that_a_page_shows_is_one_the_program_takes(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    for arguments in commands_in(file.read_text("utf-8")):
        if "--help" not in arguments and "--version" not in arguments:
            parse(cli, arguments)


def test_the_look_at_the_commands_of_a_page_would_find_a_wrong_one() -> None:
    assert commands_in('a `qwenchat ask "b c" | head`\n```sh\nx | qwenchat --plian > y\n```') == [
        ["--plian"],
        ["ask", "b c"],
    ]
    with pytest.raises(click.UsageError):
        parse(cli, ["--plian"])


def test_every_command_of_the_program_is_described() -> None:
    shown = commands_in(page("commands.md"))
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert any(words[:1] == [name] for words in shown), name
        for inner in command.commands if isinstance(command, click.Group) else ():
            assert [name, inner] in [words[:2] for words in shown]


def test_every_way_a_reply_ends_is_described() -> None:
    (row,) = [row for row in rows(page("commands.md")) if row[0] == "`finish_reason`"]
    assert set(FinishReason) - {FinishReason.TOOL_CALLS} <= set(names(row[1]))


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_every_link_within_the_documentation_leads_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", file.read_text("utf-8")):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        linked = file.parent / place if place else file
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, target


def test_what_the_troubleshooting_quotes_is_said_by_the_program() -> None:
    source = "".join(file.read_text("utf-8") for file in sorted((ROOT / "qwenchat").rglob("*.py")))
    quoted = [text for heading in re.findall(r"^### (.*)$", page("troubleshooting.md"), re.MULTILINE)
              for text in names(heading) if " " in text]  # fmt: skip
    assert quoted
    assert [text for text in quoted if text not in source] == []


def test_the_sizes_of_the_models_are_right() -> None:
    described = rows(section(page("models.md"), "What fits"))
    expected = []
    for model in KNOWN:
        on_cpu, on_gpu = FittingModel(model, "int8", "cpu"), FittingModel(model, "bf16", "cuda")
        small = FittingModel(model, "int4", "cpu")
        sizes = [model.download_bytes(QUANTIZATIONS["bf16"]), on_cpu.needs(), small.needs(), on_gpu.needs()]
        cells = [f"{size / 1e9:.1f} GB" for size in sizes]
        cells += [f"{size / 1e3:.0f} kB" for size in (on_cpu.token, on_gpu.token)]
        expected.append([f"`{model.name}`", *cells])
    assert described == expected


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = re.findall(r"^\| \w.+ \| \[.+?\]\((.+?)\) \|$", page("README.md"), re.MULTILINE)
    assert sorted(listed) == sorted(file.name for file in PAGES if file.name != "README.md")


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_what_a_map_of_the_code_names_is_there(name: str) -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|toml))?)`", (ROOT / name).read_text("utf-8")))
    assert named
    assert {path for path in named if not any((base / path).exists() for base in (ROOT, ROOT / "qwenchat"))} == set()
