"""Tools on the command line: listed, allowed, named for a chat, and asked about line by line."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from qwenchat.chat.messages import ToolCallPart, ToolResultPart
from qwenchat.cli.main import cli
from qwenchat.console.permission import ask_by_line, call_in_words, result_in_words
from qwenchat.session.tool_calls import Permission
from qwenchat.settings.config import read
from qwenchat.system.paths import Paths
from tests.support.fake_engine import FakeEngine, Script
from tests.support.fake_tools import CAPABLE

SUM = ToolCallPart("c1", "calculator", '{"expression": "6 * 7"}')
ANSWERS = [Script("", calls=(SUM,)), Script("It is 42.")]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def configure(home: Path, text: str) -> None:
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "config.toml").write_text(text, "utf-8")


def run(*arguments: str, engine: FakeEngine | None = None, stdin: str = "") -> Result:
    made = engine or FakeEngine(list(ANSWERS), model=CAPABLE)
    result = CliRunner().invoke(cli, arguments, obj={"make_engine": lambda: made}, input=stdin)
    assert "\x1b" not in result.output
    return result


def test_tools_are_listed_with_whether_they_are_allowed(home: Path) -> None:
    configure(home, '[tools]\non = ["read_file"]\nalways = ["calculator"]\n[mcp.gone]\ncommand = "/no/such"\n')
    result = run("tools")
    rows = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines() if line}
    assert (rows["read_file"], rows["calculator"], rows["fetch_page"]) == ("asks", "always", "off")
    assert result.stdout.endswith("gone cannot be started: /no/such: No such file or directory.\n")
    assert result.exit_code == 0


def test_tools_are_allowed_and_forbidden_and_the_rest_of_the_file_stays(home: Path) -> None:
    configure(home, "# mine\ntheme = 'x'\n[mcp.time]\ncommand = 'uvx'\n")
    assert run("tools", "allow", "calculator", "time").stdout == "calculator  asks\ntime        asks\n"
    assert run("tools", "allow", "--always", "calculator").stdout == "calculator  always\n"
    settings, problems = read(Paths.of_user().config_file)
    assert (settings.tools.on, settings.tools.always, problems) == (("time",), ("calculator",), ())
    assert run("tools", "allow", "calculator", "time__convert").stdout == "calculator     asks\ntime__convert  asks\n"
    assert run("tools", "forbid", "calculator", "time", "time__convert").exit_code == 0
    settings, _ = read(Paths.of_user().config_file)
    assert settings.tools.allowed == ()
    assert (home / "config" / "config.toml").read_text().startswith("# mine\ntheme = 'x'\n")


def test_what_is_not_there_cannot_be_allowed() -> None:
    result = run("tools", "allow", "rm")
    assert result.exit_code == 1
    assert "There is no tool rm." in str(result.exception)
    assert not Paths.of_user().config_file.exists()


def test_ask_without_a_terminal_asks_nobody_and_runs_only_what_always_may(home: Path) -> None:
    engine = FakeEngine(list(ANSWERS), model=CAPABLE)
    result = run("ask", "--tools", "calculator", "6 * 7?", engine=engine)
    assert result.stdout == "It is 42.\n"
    assert "calculator was not allowed, since there is nobody to ask" in result.stderr
    assert [tool.name for tool in engine.turns[0].tools] == ["calculator"]
    configure(home, '[tools]\nalways = ["calculator"]\n')
    result = run("ask", "6 * 7?")
    assert result.stdout == "It is 42.\n"
    assert "calculator\n  expression: 6 * 7\ncalculator: 42\n" in result.stderr


def test_ask_as_json_has_the_calls(home: Path) -> None:
    configure(home, '[tools]\nalways = ["calculator"]\n')
    result = run("ask", "--json", "6 * 7?")
    assert json.loads(result.stdout)["tool_calls"] == [
        {"name": "calculator", "arguments": '{"expression": "6 * 7"}', "result": "42", "failed": False}
    ]
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("tools", "offered"),
    [
        ("none", []),
        ("date_and_time, calculator", ["date_and_time", "calculator"]),
        ("all", ["date_and_time", "calculator", "list_files", "read_file", "search_files", "fetch_page"]),
    ],
)
def test_tools_of_one_question(home: Path, tools: str, offered: list[str]) -> None:
    configure(home, '[tools]\nalways = ["calculator"]\n')
    engine = FakeEngine([Script("Hi.")], model=CAPABLE)
    run("ask", "--tools", tools, "Hi", engine=engine)
    assert [tool.name for tool in engine.turns[0].tools] == offered


def test_no_tools_unless_they_are_allowed() -> None:
    engine = FakeEngine([Script("Hi.")], model=CAPABLE)
    run("ask", "Hi", engine=engine)
    assert engine.turns[0].tools == ()


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("rm", "There is no tool rm. There are: date_and_time"),
        ("calculator,calculater", "There is no tool calculater. Did you mean calculator?"),
        ("all,rm", "There is no tool rm."),
        ("files__read", "There is no tool files__read."),
        ("\x1b[2J", "There is no tool ."),
    ],
)
def test_a_question_with_tools_that_are_none_is_not_asked(named: str, why: str) -> None:
    engine = FakeEngine([Script("Hi.")], model=CAPABLE)
    result = run("ask", "--tools", named, "Hi", engine=engine)
    assert (result.exit_code, result.stdout, engine.turns) == (1, "", [])
    assert why in str(result.exception)
    result = run("ask", "--json", "--tools", named, "Hi", engine=engine)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"].startswith(why)


def test_a_model_without_tools_is_said_to_be_one() -> None:
    result = run("ask", "--tools", "calculator", "Hi", engine=FakeEngine([Script("Hi.")]))
    assert "Qwen/Qwen3-0.6B cannot call tools; it answers without them." in result.stderr


def test_line_by_line_tools_are_switched_listed_and_told(home: Path) -> None:
    configure(home, '[tools]\nalways = ["calculator"]\n')
    result = run("--plain", stdin="/tools\n/tools calculator\n6 * 7?\n/tools off\n/tools\n")
    assert "calculator: on\nlist_files: off\n" in result.stdout
    assert "calculator\n  expression: 6 * 7\ncalculator: 42\nQwen3-0.6B answers:\nIt is 42.\n" in result.stdout
    assert "The model may call: nothing." in result.stderr
    assert result.stdout.rstrip().endswith("fetch_page: off")


def test_a_conversation_with_tools_can_be_read_again(home: Path) -> None:
    configure(home, '[tools]\nalways = ["calculator"]\n')
    run("ask", "6 * 7?")
    result = run("--plain", "--resume", stdin="/quit\n")
    assert "calls calculator\n  expression: 6 * 7" in result.stdout
    assert "Tool:\ncalculator: 42" in result.stdout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "permission"),
    [
        ("y\n", Permission.ONCE),
        ("YES\n", Permission.ONCE),
        ("c\n", Permission.CHAT),
        ("always\n", Permission.ALWAYS),
        ("n\n", Permission.REFUSE),
        ("what?\n\n c \n", Permission.CHAT),
        ("", Permission.REFUSE),
    ],
)
def test_on_a_terminal_the_user_is_asked(typed: str, permission: Permission, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", said)
    assert ask_by_line(SUM) is permission
    assert said.getvalue().startswith("The model wants to call calculator\n  expression: 6 * 7\nAllow it? ")


HOSTILE = "\x1b[2J[red]\u202e\n"


@pytest.mark.parametrize(
    "arguments",
    ['{"a": "%s", "%s": {"deep": ["%s"]}}' % ((json.dumps(HOSTILE)[1:-1],) * 3), HOSTILE, "", "[1]", "[" * 99_999],
)
def test_a_hostile_call_is_shown_as_what_it_is(arguments: str) -> None:
    shown = call_in_words(ToolCallPart("1", HOSTILE, arguments))
    assert not set("\x1b\u202e\x07") & set(shown)
    assert len(shown) < 15_000
    reported = result_in_words(ToolResultPart("1", HOSTILE, HOSTILE * 1000))
    assert not set("\x1b\u202e\n") & set(reported)


def test_long_arguments_say_how_long_they_are() -> None:
    value: Any = "x" * 15_000
    assert "x… (5000 more characters) …x" in call_in_words(ToolCallPart("1", "f", json.dumps({"a": value})))
