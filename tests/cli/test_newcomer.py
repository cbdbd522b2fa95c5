"""The command line as somebody meets it who types what comes to mind."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from qwenchat.cli import process
from qwenchat.cli.main import cli

from ..support.fake_engine import FakeEngine, Script


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("QWENCHAT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def invoke(*arguments: str, engine: FakeEngine | None = None, stdin: str = "") -> Result:
    engine = engine or FakeEngine([Script("Hi.")])
    return CliRunner().invoke(cli, arguments, obj={"make_engine": lambda: engine}, input=stdin)


def prompt(*arguments: str, stdin: str = "") -> str:
    engine = FakeEngine([Script("Hi.")])
    result = invoke("ask", *arguments, engine=engine, stdin=stdin)
    assert result.exit_code == 0, result.output
    return engine.turns[0].messages[-1].text


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["- summarize this"], "- summarize this"),
        (["-5 + 3 = ?"], "-5 + 3 = ?"),
        (["-5"], "-5"),
        (["-h is what?"], "-h is what?"),
        (["--help is what?"], "--help is what?"),
        (["-- is what?"], "-- is what?"),
        (["--no-think", "-", "summarize"], "- summarize"),
        (["--", "--json"], "--json"),
        (["--", "--", "x"], "-- x"),
        (["what", "does", "--", "do"], "what does do"),
        (["-- a comment", "--temperature", "0.5", "and", "-1"], "-- a comment and -1"),
        (["--temperature=0.5", "-—dash"], "-—dash"),
        (["--system", "- be brief", "Hi"], "Hi"),
        (["---", "front matter"], "--- front matter"),
        (["-\nnewline"], "-\nnewline"),
        (["--top-p=0.5 means what?"], "--top-p=0.5 means what?"),
    ],
)
def test_a_prompt_may_begin_with_dashes(arguments: list[str], asked: str) -> None:
    if arguments == ["--top-p=0.5 means what?"]:
        assert "is not a valid float" in invoke("ask", *arguments).output  # as it is written, it is an option
        return
    assert prompt(*arguments) == asked


def test_options_of_ask_work_as_ever_and_a_misspelt_one_is_no_prompt() -> None:
    engine = FakeEngine([Script("Hi.")])
    result = invoke("ask", "--no-think", "Hi", "--temperature", "-0", "--seed=3", "--json", engine=engine)
    assert json.loads(result.stdout)["answer"] == "Hi."
    assert (engine.turns[0].thinking, engine.turns[0].sampling.seed) == (False, 3)
    for wrong in ("--temprature", "-x", "--nothink"):
        result = invoke("ask", wrong, "Hi")
        assert (result.exit_code, "No such option" in result.output) == (2, True)
    assert "--temperature" in invoke("ask", "--temprature", "1").output
    assert "Usage:" in invoke("ask", "-h").output


def test_words_that_begin_with_dashes_are_searched_for_and_named() -> None:
    invoke("ask", "--json", "-5 + 3 = ?")
    found = invoke("list", "--json")
    (row,) = json.loads(found.stdout)
    assert row["title"] == "-5 + 3 = ?"
    assert invoke("search", "-5 +").exit_code == 0
    assert "- mine -" in invoke("rename", row["id"], "- mine -").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "Did you mean list?"),
        (["serach", "x"], "Did you mean search?"),
        (["Hello there"], 'Write `qwenchat ask "..."` to ask something.'),
        (["config", "chekc"], "Did you mean check?"),
        (["models", "pul"], "Did you mean pull?"),
        (["tools", "alow"], "Did you mean allow?"),
    ],
)
def test_an_unknown_command_is_answered_with_the_one_that_was_meant(arguments: list[str], said: str) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, said in result.output) == (2, True)


def groups(command: click.Command, name: str) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return []
    context = click.Context(command)
    inner = ((key, command.get_command(context, key)) for key in command.list_commands(context))
    return [(name,), *((name, *below) for key, value in inner if value is not None for below in groups(value, key))]


def test_no_summary_of_a_command_is_cut_off_and_every_option_has_a_help() -> None:
    for path in groups(cli, "qwenchat"):
        shown = CliRunner().invoke(cli, [*path[1:], "--help"], terminal_width=60).output
        assert "..." not in shown.partition("Commands:")[2], path
        assert "Commands:" in shown
    shown = invoke("ask", "--help").output
    for option in ("temperature", "top-p", "top-k", "min-p", "repetition-penalty", "presence-penalty", "max-tokens"):
        help_ = " ".join(shown.partition(f"--{option} ")[2].partition("\n  --")[0].split())
        assert "default: the model's own]" in help_, option
        assert "at least" in help_ or " to " in help_, option


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QWENCHAT_TEMPERATURE", "hot"),
        ("QWENCHAT_TEMPERATURE", "99"),
        ("QWENCHAT_TOP_K", "-3"),
        ("QWENCHAT_SEED", "1.5"),
        ("QWENCHAT_CONTEXT", "1"),
        ("QWENCHAT_THINK", "perhaps"),
        ("QWENCHAT_DEVICE", "tpu"),
        ("QWENCHAT_PRESET", "nix"),
    ],
)
def test_a_variable_that_is_wrong_is_named_in_the_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = invoke("ask", "Hi")
    assert result.exit_code != 0
    assert variable in result.output + str(result.exception)


def test_a_language_or_a_server_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("QWENCHAT_LANGUAGE", "klingon")
    assert "QWENCHAT_LANGUAGE: it should be one of auto, en, zh" in invoke("ask", "Hi").stderr
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "config.toml").write_text('[servers.cluster]\naddress = "http://a"\n')
    assert "Did you mean cluster?" in invoke("ask", "--server", "clusster", "Hi").stderr
    assert "Did you mean" not in invoke("ask", "--server", "gpubox", "Hi").stderr


@pytest.mark.parametrize("folder", [".", "..", "sub/"])
def test_where_an_export_went_is_said_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str) -> None:
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    invoke("ask", "Hi")
    said = invoke("export", "--all", "-o", folder).stderr
    written = (here / folder).resolve()
    assert said.startswith(f"qwenchat: Wrote {written}/")
    assert Path(said.removeprefix("qwenchat: Wrote ").strip()).is_file()


def test_standard_input_and_a_pipe_that_stay_open_are_said_to_be_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    with process.said_if_waiting(after_s=0.01):
        time.sleep(0.2)
    assert "Waiting for the end of standard input" in capsys.readouterr().err
    with process.said_if_waiting(Path("pipe"), after_s=0.01):
        time.sleep(0.2)
    assert "Waiting for somebody to write pipe." in capsys.readouterr().err
    with process.said_if_waiting(after_s=5):
        pass
    assert capsys.readouterr().err == ""


def test_a_pipe_that_stays_open_is_named_and_then_read(home: Path) -> None:
    launch = str(Path(__file__).parents[1] / "support" / "launch.py")
    with subprocess.Popen(
        [sys.executable, launch, "{}", "ask", "hi"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        assert program.stdin is not None and program.stderr is not None
        assert b"Waiting for the end of standard input" in program.stderr.readline()
        out, _ = program.communicate(b"more", timeout=60)
        assert (out, program.returncode) == (b"Paris is the capital of France.\n", 0)


def test_what_is_named_is_said_where_it_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no JSON")
    for arguments, said in (
        (["show", ""], 'There is no conversation "".'),
        (["tools", "forbid", "calculater"], "Did you mean calculator?"),
        (["export", "--all", "-o", ""], "The name is empty."),
        (["ask", "hi", "--schema", str(tmp_path / "none")], "none cannot be read: No such file or directory."),
        (["ask", "hi", "--schema", str(tmp_path / "text")], "text cannot be read as JSON"),
        (["models", "show", "qwen3-06b"], "Did you mean qwen3-0.6b?"),
    ):
        result = invoke(*arguments)
        assert result.exit_code != 0, arguments
        assert said in result.output + str(result.exception), arguments


def test_an_export_below_a_file_fails_in_words(tmp_path: Path) -> None:
    invoke("ask", "Hi")
    (tmp_path / "file").touch()
    result = invoke("export", "--all", "-o", str(tmp_path / "file" / "x.md"))
    assert "x.md cannot be written: Not a directory." in str(result.exception)


@pytest.mark.parametrize("word", ["/bye", "/exit", "/quit", "/q", "/EXIT"])
def test_the_plain_chat_is_left_by_the_words_of_other_chats(word: str) -> None:
    engine = FakeEngine([Script("Hi.")])
    result = invoke("--plain", engine=engine, stdin=f"Hello\n{word}\nnever sent\n")
    assert (result.exit_code, len(engine.turns)) == (0, 1)


def test_the_plain_chat_knows_clear_and_blocks_and_the_end_of_input() -> None:
    engine = FakeEngine([Script("Hi.")])
    result = invoke("--plain", engine=engine, stdin='One\n/clear\n"""two\nlines"""\n/rename Mine\n/pin\n/archive\n')
    assert [len(turn.messages) for turn in engine.turns] == [1, 1]
    assert engine.turns[1].messages[-1].text == "two\nlines"
    for said in ("A new conversation.", "It is called “Mine”.", "It is pinned above", "It is archived"):
        assert said in result.stderr


def test_a_preset_whose_file_cannot_be_used_is_not_just_missing(home: Path) -> None:
    (home / "config" / "presets").mkdir(parents=True)
    (home / "config" / "presets" / "mine.toml").write_text("think = 3\n")
    result = invoke("ask", "--preset", "mine", "Hi")
    assert result.exit_code == 2
    assert "There is no preset mine." in result.stderr
    assert "mine.toml" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["ask", "--device", "cud", "Hi"], "cuda"),
        (["ask", "--quantization", "fp16", "Hi"], ""),
        (["ask", "--quantization", "int88", "Hi"], "int8"),
        (["export", "--all", "--format", "jsn"], "json"),
        (["completion", "bsh"], "bash"),
        (["bench", "--device", "cud"], "cuda"),
    ],
)
def test_a_misspelt_choice_is_answered_with_the_one_that_was_meant(arguments: list[str], suggestion: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "is not one of" in result.stderr
    assert (f"Did you mean {suggestion}" if suggestion else "") in result.stderr


def test_a_server_that_is_listed_by_a_wrong_name_is_told_apart_from_an_address(home: Path) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text('[servers.cluster]\naddress = "http://127.0.0.1:9"\n')
    assert "Did you mean cluster?" in invoke("models", "--server", "clusster").stderr


def test_the_check_of_the_settings_sees_a_theme_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWENCHAT_THEME", "qwenchat-drak")
    result = invoke("config", "check")
    assert result.exit_code == 1
    assert "QWENCHAT_THEME: There is no theme qwenchat-drak. Did you mean qwenchat-dark?" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["ask", "--output", "x.jsonl", "Hi"], "--output"),
        (["ask", "--concurrency", "4", "Hi"], "--concurrency"),
        (["--tools", "calculator", "ask", "--jsonl", "p.jsonl"], "--tools"),
        (["ask", "--tools", "calculator", "--jsonl", "p.jsonl"], "--tools"),
        (["ask", "--jsonl", "p.jsonl", "Hi"], "--jsonl"),
        (["ask", "--jsonl", "p.jsonl", "--json"], "--jsonl"),
        (["models", "--server", "http://127.0.0.1:9", "show", "qwen3-4b"], "--server"),
        (["doctor", "--json", "--restore"], "--json"),
        (["stats", "--days", "3", "--all"], "--days"),
        (["--theme", "paper", "ask", "Hi"], "--theme"),
        (["--model", "x", "list"], "--model"),
        (["--resume", "x", "ask", "Hi"], "--resume"),
        (["bench", "--model", "x", "--shape", "y"], "--shape"),
        (["export", "--all", "--format", "json", "--no-thoughts"], "--no-thoughts"),
        (["replay", "--save", "x"], "--save"),
        (["replay", "--rerun", "--speed", "2", "x"], "--speed"),
    ],
)
def test_an_option_of_which_nothing_would_come_is_refused(
    arguments: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.jsonl").write_text('{"prompt": "Hi"}\n')
    result = invoke(*arguments)
    assert (result.exit_code, named in result.stderr) == (2, True), result.output
    assert [path.name for path in tmp_path.glob("*.jsonl*")] == ["p.jsonl"]
