import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart
from qwenchat.cli.main import cli
from qwenchat.library.library import Library
from qwenchat.reports import doctor
from qwenchat.system.paths import Paths
from tests.support.command_line import Ran
from tests.support.command_line import run_here as run
from tests.support.fake_engine import FakeEngine, Script
from tests.support.unprivileged import unprivileged

LAUNCH = str(Path(__file__).parents[1] / "support" / "launch.py")
ESCAPE = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


@pytest.fixture
def no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A doctor who takes no second to see what torch finds."""
    monkeypatch.setattr(doctor, "_engine", lambda problems: {"devices": ["cpu"], "best_choice": None})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("QWENCHAT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return tmp_path / "home"


def command(*arguments: str, engine: dict[str, Any] | None = None) -> list[str]:
    return [sys.executable, LAUNCH, json.dumps(engine or {}), *arguments]


def run_apart(*arguments: str, engine: dict[str, Any] | None = None, stdin: bytes = b"", **options: Any) -> Ran:
    """Run a command in a process of its own, where the process is meant."""
    return subprocess.run(
        command(*arguments, engine=engine), input=stdin, capture_output=True, timeout=60, check=False, **options
    )


def saved() -> list[tuple[str, str, Status]]:
    """Role, text and status of every message of the latest conversation."""
    library = Library.open(Paths.of_user().database)
    try:
        latest = library.latest()
        messages = library.read(latest).messages if latest else ()
        return [(str(message.role), message.text, message.status) for message in messages]
    finally:
        library.close()


def configure(home: Path, text: str) -> None:
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "config.toml").write_text(text, "utf-8")


def asked(*arguments: str, stdin: str = "", **script: Any) -> FakeEngine:
    """The engine that `qwenchat ask` used, run in this process."""
    engine = FakeEngine([Script(**script)])
    result = CliRunner().invoke(cli, ["ask", *arguments], obj={"make_engine": lambda: engine}, input=stdin)
    assert result.exit_code == 0, result.output
    return engine


def prompt_of(engine: FakeEngine) -> str:
    return engine.turns[0].messages[-1].text


# ask


def test_ask_prints_the_answer_alone_without_escapes_and_saves_it() -> None:
    ran = run_apart("ask", "Capital?", engine={"scripts": [{"answer": "Paris.", "thought": "Hm."}]})
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"Paris.\n", b"Hm.\n")
    assert saved() == [("user", "Capital?", Status.COMPLETE), ("assistant", "Paris.", Status.COMPLETE)]


def test_the_question_comes_from_arguments_standard_input_or_both() -> None:
    assert prompt_of(asked("what", "is", "this")) == "what is this"
    assert prompt_of(asked(stdin="from a pipe\n")) == "from a pipe"
    assert prompt_of(asked("explain", stdin="line one\nline two\n")) == "explain\n\nline one\nline two"


@pytest.mark.parametrize("stdin", [b"", b" \n\n"])
def test_an_empty_question_is_a_usage_error(stdin: bytes) -> None:
    ran = run("ask", stdin=stdin)
    assert ran.returncode == 2
    assert b"nothing to ask" in ran.stderr
    assert not ran.stdout
    assert saved() == []


def test_what_is_not_valid_text_is_replaced_and_said() -> None:
    ran = run_apart("ask", stdin=b"caf\xe9 \xff\x00 au lait", engine={"scripts": [{"answer": "ok"}]})
    assert ran.returncode == 0
    assert b"replaced" in ran.stderr
    assert saved()[0][1] == "caf\ufffd \ufffd\ufffd au lait"


def test_json_is_one_object_with_the_whole_account() -> None:
    ran = run("ask", "--json", "--seed", "7", "q", engine={"scripts": [{"answer": "Pa\u009bris.", "thought": "Hm."}]})
    assert ran.returncode == 0
    assert b"\xc2\x9b" not in ran.stdout
    report = json.loads(ran.stdout)
    assert report["answer"] == "Pa\u009bris."
    assert report["thinking"] == "Hm."
    assert report["finish_reason"] == "stop"
    assert report["seed"] == 7
    model = {"name": "Qwen/Qwen3-0.6B", "revision": "abc123", "quantization": "bf16", "device": "cpu", "server": ""}
    assert report["model"] == model
    assert set(report["usage"]) == {"prompt_tokens", "cached_tokens", "thinking_tokens", "answer_tokens"}
    assert set(report["timing"]) == {"load_s", "first_token_s", "tokens_per_s"}
    assert report["conversation"] == json.loads(run("list", "--json").stdout)[0]["id"]
    assert "error" not in report


@pytest.mark.parametrize(
    ("engine", "answer"),
    [
        ({"load_error": "There is no model nix."}, ""),
        ({"scripts": [{"answer": "one two", "error": "It broke.", "error_at": 1}]}, "one "),
    ],
)
def test_a_failure_is_one_line_that_names_the_thing_and_the_way_out(engine: dict[str, Any], answer: str) -> None:
    ran = run("ask", "--json", "q", engine=engine)
    report = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert report["finish_reason"] == "error"
    assert report["answer"] == answer
    what = engine.get("load_error", "It broke.")
    assert report["error"].startswith(what)
    assert ran.stderr.decode().splitlines() == [f"qwenchat: {report['error']}"]
    assert saved()[1:] == ([("assistant", answer, Status.FAILED)] if answer else [])  # nothing reached, nothing saved
    plain = run("ask", "q", engine=engine)
    assert plain.returncode == 1
    assert plain.stdout.decode().strip() == answer.strip()


def test_a_library_of_a_newer_program_stops_ask_with_a_message_and_an_object(home: Path) -> None:
    library = Library.open(Paths.of_user().database)
    library._connection.execute("pragma user_version=99")
    library.close()
    ran = run("ask", "--json", "q")
    assert ran.returncode == 1
    assert "newer qwenchat" in json.loads(ran.stdout)["error"]
    assert ran.stderr.count(b"\n") == 1


def test_no_save_leaves_no_trace(home: Path) -> None:
    ran = run("ask", "--no-save", "--json", "q")
    assert json.loads(ran.stdout)["conversation"] is None
    assert not home.exists()


def test_a_reader_who_leaves_ends_it_quietly_and_the_conversation_is_saved() -> None:
    process = subprocess.Popen(
        command("ask", "q", engine={"scripts": [{"answer": "word " * 500, "delay_s": 0.001}]}),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(5) == b"word "
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == b""
    process.stderr.close()
    (_, reply) = saved()
    assert reply[1].startswith("word ")
    assert reply[2] is Status.STOPPED


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_with_the_partial_reply_saved(number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        command("ask", "q", engine={"scripts": [{"answer": "one two three", "hold_at": 2}]}),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.read(len("one two ")) == b"one two "
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert b"Traceback" not in err
    assert saved() == [("user", "q", Status.COMPLETE), ("assistant", "one two ", Status.STOPPED)]
    assert not list((Paths.of_user().data / "writers").glob("*.lock"))


def test_ctrl_c_with_json_prints_the_object_of_what_came() -> None:
    process = subprocess.Popen(
        command("ask", "--json", "q", engine={"scripts": [{"answer": "one two three", "hold_at": 2}]}),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not Paths.of_user().database.exists() or len(saved()) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    report = json.loads(out)
    assert process.returncode == 130
    assert report["finish_reason"] == "stopped"
    assert "one two three".startswith(report["answer"])


def test_a_full_standard_output_is_one_line_of_error() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with full.open("wb") as out:
        ran = subprocess.run(
            command("ask", "q"), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert ran.returncode == 1
    assert ran.stderr.count(b"\n") == 1
    assert b"No space left" in ran.stderr


def test_closed_standard_streams_are_no_reason_to_fall_over() -> None:
    line = f'{sys.executable} {LAUNCH} "{{}}" ask q <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", line], timeout=60, check=False).returncode == 0
    assert saved()[-1][1] == "Paris is the capital of France."


def test_an_answer_full_of_escapes_is_only_text_in_a_pipe() -> None:
    hostile = "a\x1b[31mred\x1b]0;title\x07 \x9b2J[bold]x[/] \u202eb\r\n"
    ran = run("ask", "q", engine={"scripts": [{"answer": hostile, "thought": hostile}]})
    assert not ESCAPE.search(ran.stdout + ran.stderr)
    assert "[bold]x[/]" in ran.stdout.decode()
    shown = run("show", json.loads(run("list", "--json").stdout)[0]["id"])
    assert not ESCAPE.search(shown.stdout)


def test_an_output_that_is_not_utf8_gets_what_it_can_take() -> None:
    ran = run_apart(
        "ask", "q", engine={"scripts": [{"answer": "naïve 你好"}]}, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert (ran.returncode, ran.stdout) == (0, b"na?ve ??\n")


def test_a_failure_nobody_foresaw_is_one_line_too_and_the_log_has_the_rest(home: Path) -> None:
    ran = run_apart("ask", "the secret question", engine={"scripts": [{"bug": "list index out of range"}]})
    assert ran.returncode == 1
    assert ran.stderr.count(b"\n") == 1
    assert b"list index out of range" in ran.stderr
    log = (home / "logs" / "qwenchat.log").read_text()
    assert "Traceback" in log
    assert "secret" not in log


def test_no_traceback_reaches_a_terminal_whatever_raises_it(home: Path) -> None:
    program = (
        "import click, sys; from qwenchat.cli import process\n"
        "@click.group(invoke_without_command=True)\ndef program(): raise ValueError('\\x1b[31modd')\n"
        "process.run(program)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.count(b"\n") == 1
    assert b"odd" in ran.stderr
    assert b"\x1b" not in ran.stderr
    assert "Traceback" in (home / "logs" / "qwenchat.log").read_text()


@pytest.mark.parametrize(
    "line",
    [
        ["ask", "--jsonl", ""],
        ["ask", "--jsonl", __file__, "--output", ""],
        ["ask", "--schema", "", "x"],
        ["replay", "1", "--cast", ""],
        ["export", "1", "-o", ""],
        ["import", ""],
        ["doctor", "--restore", ""],
    ],
)
def test_an_empty_name_of_a_file_is_a_usage_error(line: list[str]) -> None:
    ended = CliRunner().invoke(cli, line)
    assert ended.exit_code == 2
    assert "The name is empty." in ended.stderr


@pytest.mark.parametrize("line", [["ask", "--jsonl", __file__, "--output"], ["ask", "--jsonl"], ["ask", "--schema"]])
def test_a_dash_that_stands_for_no_stream_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(cli, [*line, "-"])
    assert ended.exit_code == 2
    assert "./-" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", [["import"], ["ask", "x", "--schema"], ["ask", "--jsonl"], ["replay"]])
def test_a_device_that_could_be_read_for_ever_is_refused(home: Path, line: list[str]) -> None:
    assert CliRunner().invoke(cli, [*line, "/dev/zero"]).exit_code


def test_a_pipe_that_is_written_into_is_read(home: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b'[{"role": "user", "content": "Hi"}]')
    os.close(writing)
    ended = CliRunner().invoke(cli, ["import", f"/dev/fd/{reading}"])
    os.close(reading)
    assert ended.exit_code == 0, ended.output


# Settings


def test_flags_go_before_the_environment_and_that_before_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(home, 'model = "a"\nthink = false\nsystem = "s"\n[sampling]\ntop_k = 1\nmin_p = 0.1\nseed = 1')
    monkeypatch.setenv("QWENCHAT_TOP_K", "2")
    monkeypatch.setenv("QWENCHAT_SEED", "2")
    engine = asked("q", "--seed", "3")
    turn = engine.turns[0]
    assert (turn.sampling.min_p, turn.sampling.top_k, turn.sampling.seed) == (0.1, 2, 3)
    assert engine.loads[0].name == "a"
    assert turn.thinking is False
    assert turn.messages[0].text == "s"


def test_a_preset_goes_before_the_file_and_after_the_environment_and_flags(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, 'think = true\nsystem = "s"\n[sampling]\ntop_k = 1\nmin_p = 0.1\ntop_p = 0.5\nseed = 1')
    (home / "config" / "presets").mkdir()
    (home / "config" / "presets" / "mine.toml").write_text(
        'model = "m"\nthink = false\n[sampling]\ntop_k = 2\nmin_p = 0.2\ntop_p = 0.6', "utf-8"
    )
    monkeypatch.setenv("QWENCHAT_TOP_K", "3")
    for line in (
        ["--preset", "Mine", "ask", "q", "--min-p", "0.4"],
        ["ask", "q", "--preset", "mine", "--min-p", "0.4"],
    ):
        engine = FakeEngine()
        result = CliRunner().invoke(cli, line, obj={"make_engine": lambda engine=engine: engine})
        assert result.exit_code == 0, result.output
        turn = engine.turns[0]
        assert (turn.sampling.top_k, turn.sampling.min_p, turn.sampling.top_p, turn.sampling.seed) == (3, 0.4, 0.6, 1)
        assert (turn.thinking, engine.loads[0].name, turn.messages[0].text) == (False, "m", "s")


def test_a_preset_of_the_file_is_used_and_one_that_is_not_there_is_said(home: Path) -> None:
    configure(home, 'preset = "brief"')
    engine = asked("q")
    assert engine.turns[0].thinking is False
    assert "few words" in engine.turns[0].messages[0].text
    assert asked("q", "--preset", "precise").turns[0].thinking is True
    configure(home, 'preset = "nix"')
    ran = run("ask", "q")
    assert ran.returncode == 0
    assert b"There is no preset nix." in ran.stderr
    ran = run("ask", "q", "--preset", "nix")
    assert ran.returncode == 2
    assert b"There is no preset nix. There are Balanced" in ran.stderr


def test_a_preset_that_is_wrong_is_named_in_the_chat(home: Path) -> None:
    (home / "config" / "presets").mkdir(parents=True)
    (home / "config" / "presets" / "bad.toml").write_text("heat = 1", "utf-8")
    ran = run("--plain", stdin=b"/preset\n/preset coder\n/set\n/set heat 1\n/set top_k 9\n/system Be kind.\n")
    assert b"bad.toml: there is no setting heat. This preset is left out." in ran.stderr
    assert b"\nCoder: thinks, then writes complete programs" in ran.stdout
    assert b"temperature 0.6 (preset Coder)" in ran.stdout
    said = ran.stderr + ran.stdout
    assert b"There is no setting heat." in said
    assert b"top_k 9 (this chat)" in said
    assert "The system prompt is “Be kind.”.".encode() in said


def test_the_thinking_budget_is_a_flag_a_variable_and_a_key_and_is_told_with_the_answer(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, "thinking_budget = 1")
    script = {"scripts": [{"thought": "one two three", "answer": "fine"}]}
    report = json.loads(run("ask", "--json", "q", engine=script).stdout)
    assert report["thinking"].startswith("one \n\nConsidering the limited time")
    assert (report["answer"], report["thinking_budget"], report["thought_cut"]) == ("fine", 1, "budget")
    monkeypatch.setenv("QWENCHAT_THINKING_BUDGET", "2")
    assert asked("q").turns[0].thinking_budget == 2
    assert asked("q", "--thinking-budget", "3").turns[0].thinking_budget == 3
    monkeypatch.delenv("QWENCHAT_THINKING_BUDGET")
    configure(home, "thinking_budget = 0")
    ran = run("ask", "q", engine=script)
    assert b"line 1: thinking_budget cannot be used: It is 0. It must be at least 1" in ran.stderr


def test_a_reply_without_an_answer_says_why_and_what_helps() -> None:
    ran = run("ask", "q", engine={"scripts": [{"thought": "one two", "breaks_off": True}]})
    assert ran.returncode == 0
    assert b"ended inside its thought" in ran.stderr
    assert b"--thinking-budget" in ran.stderr


@pytest.mark.parametrize(
    "line", [["--model", "x", "ask", "q"], ["ask", "--model", "x", "q"], ["--model", "y", "ask", "q", "--model", "x"]]
)
def test_a_flag_counts_before_and_after_the_command(line: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWENCHAT_MODEL", "z")
    engine = FakeEngine()
    result = CliRunner().invoke(cli, line, obj={"make_engine": lambda: engine})
    assert result.exit_code == 0
    assert engine.loads[0].name == "x"


def test_a_file_that_is_half_wrong_is_said_and_the_rest_counts(home: Path) -> None:
    configure(home, 'seed = 1\n[sampling]\ntop_k = 3\ntemperature = "hot"')
    ran = run("ask", "q")
    assert ran.returncode == 0
    lines = ran.stderr.decode().splitlines()
    assert len(lines) == 2
    assert all(str(home / "config" / "config.toml") in line for line in lines)
    assert any("sampling.temperature" in line for line in lines)
    assert any("seed" in line for line in lines)


def test_greedy_thinking_is_warned_about_wherever_it_was_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"--no-think" in run("ask", "q", "--temperature", "0").stderr
    assert b"--no-think" not in run("ask", "q", "--temperature", "0", "--no-think").stderr
    configure(home, "[sampling]\ntemperature = 0")
    assert b"--no-think" in run("ask", "q").stderr
    assert b"--no-think" in run("--plain").stderr


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["ask", "q", "--temperature", "99"], "temperature"),
        (["ask", "q", "--top-p", "x"], "--top-p"),
        (["ask", "q", "--device", "tpu"], "--device"),
        (["ask", "q", "--thinking-budget", "0"], "--thinking-budget"),
        (["--theme", "x", "list"], "--theme"),
        (["--model", "x", "doctor"], "--model"),
        (["--resume", "list"], "--resume"),
        (["--resume", "ask", "q"], "ask"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(arguments: list[str], names: str) -> None:
    ran = run(*arguments)
    assert ran.returncode == 2
    assert names in ran.stderr.decode()
    assert b"Traceback" not in ran.stderr


def test_a_wrong_environment_does_not_keep_other_commands_from_working(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWENCHAT_TEMPERATURE", "hot")
    assert run("list").returncode == 0
    ran = run("ask", "q")
    assert ran.returncode == 2
    assert b"QWENCHAT_TEMPERATURE" in ran.stderr or b"--temperature" in ran.stderr


# Saved conversations


def keep(name: str, *messages: Message) -> None:
    library = Library.open(Paths.of_user().database)
    library.save_all(name, messages)
    library.close()


def test_list_and_show_what_is_saved_with_partial_replies_marked() -> None:
    asked_ = Message(Role.USER, (TextPart("Why \x1b[31mis\nthis?"),))
    reply = Message(Role.ASSISTANT, (ReasoningPart("hm"), TextPart("Beca")), asked_.id, status=Status.INTERRUPTED)
    keep("abc123", asked_, reply)
    keep("bcd234", Message(Role.USER, (TextPart("newer"),)))
    lines = run("list").stdout.decode().splitlines()
    assert [line.split()[0] for line in lines] == ["bcd234", "abc123"]
    assert lines[1].endswith("Why is this?")
    assert lines[0].index("newer") == lines[1].index("Why")
    shown = run("show", "abc").stdout.decode()
    assert "[interrupted]" in shown
    assert "<think>\nhm\n</think>\n\nBeca" in shown
    assert "\x1b" not in shown


def test_an_empty_library_says_so_and_nothing_is_made(home: Path) -> None:
    ran = run("list")
    assert (ran.returncode, ran.stdout) == (0, b"")
    assert b"No conversation" in ran.stderr
    assert run("list", "--json").stdout == b"[]\n"
    assert not home.exists()


def test_an_id_that_is_unknown_or_ambiguous_is_an_error_before_anything_opens() -> None:
    keep("aa1", Message(Role.USER, (TextPart("one"),)))
    keep("aa2", Message(Role.USER, (TextPart("two"),)))
    for arguments in (["show", "aa"], ["--resume", "aa"], ["--plain", "--resume", "aa"]):
        ran = run(*arguments)
        assert ran.returncode == 1
        assert b"aa1" in ran.stderr
        assert b"aa2" in ran.stderr
        assert not ran.stdout
    assert run("show", "nix").returncode == 1


# Models, doctor, completion


def test_models_lists_shows_and_names_what_it_does_not_know(tmp_path: Path) -> None:
    table = run("models").stdout.decode()
    assert len({line.rindex("no") for line in table.splitlines()[1:] if line.endswith("no")}) == 1
    shown = run("models", "show", "qwen3-0.6b").stdout.decode()
    assert "Qwen/Qwen3-0.6B" in shown
    assert "32,768" in shown
    assert "1.2 GB" in shown
    for arguments in (["models", "show", "nix"], ["models", "pull", "qwen3-0.6x"]):
        ran = run(*arguments)
        assert ran.returncode == 1
        assert arguments[-1].encode() in ran.stderr


def test_pulling_without_a_network_says_so_in_a_line() -> None:
    ran = run("models", "pull", "qwen3-0.6b")
    assert ran.returncode == 1
    assert b"Qwen/Qwen3-0.6B" in ran.stderr
    assert b"Traceback" not in ran.stderr


def test_doctor_tells_facts_and_what_is_wrong(home: Path) -> None:
    configure(home, "thnik = true")
    ran = run("doctor", "--json")
    report = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert report["ok"] is True
    assert "cpu" in report["devices"]
    assert report["best_choice"].startswith("qwenchat --model ")
    assert any("thnik" in problem["what"] for problem in report["problems"])
    assert any("No model" in problem["what"] and problem["remedy"] for problem in report["problems"])
    assert all(
        isinstance(report[name], int | float) for name in ("cores", "memory_gb", "disk_free_gb", "conversations")
    )


@pytest.mark.parametrize("how", ["raise ImportError('libtorch is gone')", "import os; os.abort()"])
def test_doctor_works_where_torch_is_broken_and_its_exit_code_says_so(tmp_path: Path, how: str) -> None:
    (tmp_path / "broken" / "torch").mkdir(parents=True)
    (tmp_path / "broken" / "torch" / "__init__.py").write_text(how)
    ran = run_apart("doctor", env=os.environ | {"PYTHONPATH": str(tmp_path / "broken")})
    assert ran.returncode == 1
    out = ran.stdout.decode()
    assert "The engine cannot be started" in out
    assert "pip install" in out


@pytest.mark.usefixtures("no_probe")
def test_doctor_reads_a_damaged_library_and_leaves_it_where_it_is() -> None:
    path = Paths.of_user().database
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 1000)
    report = json.loads(run("doctor", "--json").stdout)
    assert any(str(path) in problem["what"] for problem in report["problems"])
    assert path.read_bytes().startswith(b"not a database")


@pytest.mark.usefixtures("no_probe")
def test_doctor_lists_backups_and_puts_the_last_sound_one_in_place_of_a_damaged_library() -> None:
    keep("old", Message(Role.USER, (TextPart("From the backup"),)))
    path = Paths.of_user().database
    folder = path.parent / "backups"
    folder.mkdir()
    backup, broken = (folder / f"{path.stem}-2026-01-0{day}.sqlite3" for day in (1, 2))
    backup.write_bytes(path.read_bytes())
    broken.write_bytes(b"not a database" * 1000)
    path.write_bytes(b"not a database" * 1000)

    def said() -> str:
        report = json.loads(run("doctor", "--json").stdout)
        assert [line.split()[0] for line in report["backups"]] == [broken.name, backup.name]
        return "\n".join(f"{problem['what']} {problem['remedy']}" for problem in report["problems"])

    assert f"qwenchat doctor --restore {backup.name}" in said()
    assert b"set aside" in run("list").stderr
    reported = said()
    assert "A damaged library was set aside as " in reported
    assert f"qwenchat doctor --restore {backup.name}" in reported
    keep("new", Message(Role.USER, (TextPart("Said later"),)))
    ran = run("doctor", "--restore")
    assert ran.returncode == 0
    assert b"What was there is kept as " in ran.stdout
    (aside,) = path.parent.glob("*.replaced-*")
    assert b"Said later" in aside.read_bytes()
    listed = run("list").stdout
    assert b"From the backup" in listed
    assert b"Said later" not in listed
    ran = run("doctor", "--restore", broken.name)
    assert ran.returncode != 0
    assert b"not a sound backup" in ran.stderr
    assert run("list").stdout == listed


@pytest.mark.usefixtures("no_probe")
def test_nothing_is_restored_while_a_chat_is_open() -> None:
    keep("old", Message(Role.USER, (TextPart("Said before"),)))
    path = Paths.of_user().database
    (path.parent / "backups").mkdir()
    (path.parent / "backups" / f"{path.stem}-2026-01-01.sqlite3").write_bytes(path.read_bytes())
    before = path.read_bytes()
    script = f"import sys, sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('select * from drafts'); "
    script += "print('open', flush=True); sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"open\n"
    ran = run("doctor", "--restore")
    assert ran.returncode != 0
    assert str(other.pid).encode() in ran.stderr
    assert path.read_bytes() == before
    other.communicate()
    assert run("doctor", "--restore").returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_for_each_shell(shell: str) -> None:
    ran = run("completion", shell)
    assert ran.returncode == 0
    assert b"_QWENCHAT_COMPLETE" in ran.stdout


def test_completion_knows_commands_models_and_conversations() -> None:
    keep("abc123", Message(Role.USER, (TextPart("Why?"),)))

    def completed(line: str) -> str:
        words = line.split(" ")
        environment = {"_QWENCHAT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return run_apart(env=os.environ | environment).stdout.decode()

    assert "doctor" in completed("qwenchat do")
    assert "abc123" in completed("qwenchat show a")
    assert "qwen3-4b" in completed("qwenchat ask --model qwen3-4")


# A home that cannot be written, a disk that is full


def test_in_a_read_only_home_it_answers_and_says_that_nothing_is_saved(home: Path) -> None:
    home.mkdir()
    home.chmod(0o555)
    ran = subprocess.run(
        unprivileged(command("ask", "q")), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    home.chmod(0o755)
    assert ran.returncode == 0
    assert ran.stdout == b"Paris is the capital of France.\n"
    assert b"not saved" in ran.stderr
    assert str(home).encode() in ran.stderr


FULL_DISK = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (131072, 131072))
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_full_disk_in_mid_reply_is_said_and_the_answer_is_still_printed() -> None:
    answer = "word " * 40_000
    line = [
        sys.executable,
        "-c",
        FULL_DISK,
        LAUNCH,
        json.dumps({"scripts": [{"answer": "word ", "times": 40_000}]}),
        "ask",
        "q",
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(LAUNCH).parent)}
    ran = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False, env=environment)
    assert ran.stdout.decode().split() == answer.split()
    assert b"could not be saved" in ran.stderr
    assert b"Traceback" not in ran.stderr
    assert saved()[0] == ("user", "q", Status.COMPLETE)


# The real thing


@pytest.fixture(scope="session")
def models_of_user() -> Path:
    """Where the embedded model lies from run to run, fetched once."""
    kept = {name: os.environ.pop(name) for name in ("QWENCHAT_HOME",) if name in os.environ}
    try:
        return Paths.of_user().cache
    finally:
        os.environ.update(kept)


def test_the_embedded_model_knows_the_capital_of_france(home: Path, models_of_user: Path) -> None:
    home.mkdir()
    models_of_user.mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(models_of_user)
    question = "What is the capital of France? Answer in one sentence."
    ran = subprocess.run(
        [sys.executable, "-m", "qwenchat", "ask", "--json", "--seed", "1", question],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr.decode()
    report = json.loads(ran.stdout)
    assert "Paris" in report["answer"]
    assert report["model"]["name"] == "SmolLM2-135M-Instruct"
    assert report["thinking"] == ""
    assert b"Qwen3-0.6B is not on this machine" in ran.stderr
    assert saved()[-1][1] == report["answer"]
