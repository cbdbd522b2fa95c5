"""The chat line by line, through the command line and over a scripted engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.events import LoadProgressed
from qwenchat.chat.messages import Message, Role, Status, TextPart
from qwenchat.chat.provenance import FinishReason
from qwenchat.chat.thinking import CLOSING
from qwenchat.cli.main import cli
from qwenchat.console.turn_printer import LoadReport
from qwenchat.library.library import Library
from qwenchat.system.paths import Paths
from tests.support.fake_engine import MODEL, FakeEngine, Script


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def chat(*lines: str | bytes, engine: FakeEngine | None = None, arguments: tuple[str, ...] = ("--plain",)) -> Result:
    made = engine or FakeEngine()
    data = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
    result = CliRunner().invoke(cli, arguments, obj={"make_engine": lambda: made}, input=data)
    assert "\x1b" not in result.output
    return result


def test_a_conversation_line_by_line_announced_in_words() -> None:
    engine = FakeEngine([Script("Paris.", thought="Hm, France."), Script("Berlin.")])
    result = chat("France?", "Germany?", engine=engine)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "thinking...", "Hm, France.", "Qwen3-0.6B answers:", "Paris.", "Qwen3-0.6B answers:", "Berlin.",
    ]  # fmt: skip
    assert [message.text for message in engine.turns[1].messages] == ["France?", "Paris.", "Germany?"]


def test_without_a_terminal_it_is_chosen_by_itself() -> None:
    assert "Qwen3-0.6B answers:" in chat("hello", arguments=()).stdout


def test_a_backslash_continues_a_line_and_the_end_of_input_sends_what_there_is() -> None:
    engine = FakeEngine()
    chat("one \\", "two\\", "three", "last\\", engine=engine)
    assert [turn.messages[-1].text for turn in engine.turns] == ["one \ntwo\nthree", "last"]


def test_commands_do_what_they_say_and_never_reach_the_model() -> None:
    engine = FakeEngine([Script("one"), Script("two"), Script("three")])
    result = chat("a", "/retry", "/new", "b", "/list", "/nonsense", "/quit", "never", engine=engine)
    assert result.exit_code == 0
    said = [[message.text for message in turn.messages] for turn in engine.turns]
    assert said == [["a"], ["a"], ["b"]]
    assert "no command /nonsense" in result.stderr
    listed = [line for line in result.stdout.splitlines() if line.endswith(" messages")]
    assert [line.partition(",")[0] for line in listed] == ["1. b", "2. a"]


def test_a_path_at_the_beginning_of_a_message_is_no_command() -> None:
    engine = FakeEngine()
    chat("/etc/passwd is what?", engine=engine)
    assert engine.turns[0].messages[-1].text == "/etc/passwd is what?"


def test_thinking_is_switched_by_a_line_and_inside_a_message_by_the_models_own_switch() -> None:
    engine = FakeEngine()
    result = chat("/no_think", "a", "/think", "b", "/no_think c", engine=engine)
    assert [turn.thinking for turn in engine.turns] == [False, True, False]
    assert engine.turns[2].messages[-1].text == "/no_think c"
    assert "Thinking is off." in result.stderr
    assert "Thinking is on." in result.stderr


def test_thoughts_can_be_left_out_and_the_end_of_a_reply_is_said() -> None:
    engine = FakeEngine([Script("Paris.", thought="Hm, France.")])
    result = chat("/thoughts off", "a", "/thoughts on", "b", engine=engine)
    answered = ["Qwen3-0.6B answers:", "Paris."]
    assert result.stdout.splitlines() == ["thinking...", *answered, "thinking...", "Hm, France.", *answered]
    assert "Thoughts are not read out." in result.stderr
    assert result.stderr.splitlines()[-1] == "qwenchat: The reply has ended: 3 tokens in 1 s."


def test_help_names_every_command() -> None:
    out = chat("/help").stdout
    for name in ("new", "retry", "think", "no_think", "model", "list", "resume", "help", "quit"):
        assert f"\n/{name}" in out


def test_another_model_answers_the_next_message() -> None:
    engine = FakeEngine()
    result = chat("a", "/model other", "b", engine=engine)
    assert [load.name for load in engine.loads] == [None, "other"]
    assert "other answers:" in result.stdout


def test_another_model_may_be_on_a_server(home: Path) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text('[servers.box]\naddress = "localhost:8000"\n')
    engine = FakeEngine()
    chat("/model box", "/model localhost:9000 big", "/model qwen3-1.7b", engine=engine)
    places = [(load.name, load.server.address if load.server else "") for load in engine.loads]
    assert places == [(None, ""), (None, "localhost:8000"), ("big", "localhost:9000"), ("qwen3-1.7b", "")]


def test_a_saved_conversation_is_read_out_and_gone_on_with() -> None:
    library = Library.open(Paths.of_user().database)
    asked = Message(Role.USER, (TextPart("old question"),))
    reply = Message(Role.ASSISTANT, (TextPart("half an ans"),), asked.id, status=Status.INTERRUPTED)
    library.save_all("abc123", (asked, reply))
    library.close()
    for arguments, lines in (
        (("--plain", "--resume"), ("/read", "go on")),
        (("--plain",), ("/resume abc", "/read", "go on")),
        (("--plain",), ("/list", "/resume 1", "/read", "go on")),
    ):
        engine = FakeEngine()
        result = chat(*lines, engine=engine, arguments=arguments)
        assert "qwenchat: “old question”, " in result.stderr
        assert "You:\nold question\n\nModel [interrupted]:\nhalf an ans" in result.stdout
        assert [message.text for message in engine.turns[0].messages][:3] == ["old question", "half an ans", "go on"]
        reopened = Library.open(Paths.of_user().database)
        assert len(reopened.conversations()) == 1
        reopened.close()


def test_nothing_to_resume_is_said_and_a_new_one_begins() -> None:
    result = chat("a", arguments=("--plain", "--resume"))
    assert result.exit_code == 0
    assert "no saved conversation" in result.stderr


def test_errors_are_said_and_the_chat_goes_on() -> None:
    engine = FakeEngine([Script("fine")])
    result = chat("/retry", "/resume nix", b"caf\xe9", engine=engine)
    assert result.exit_code == 0
    assert "no message to answer" in result.stderr
    assert "no conversation nix" in result.stderr
    assert "replaced" in result.stderr
    assert engine.turns[0].messages[-1].text == "caf\ufffd"


def test_why_this_model_answers_is_said() -> None:
    engine = FakeEngine(model=MODEL.__class__("small", reason="Qwen3 cannot be reached."))
    assert "Qwen3 cannot be reached." in chat("a", engine=engine).stderr


def test_no_color_and_a_dumb_terminal_get_no_escapes_from_ask() -> None:
    pexpect = pytest.importorskip("pexpect")
    launch = str(Path(__file__).parents[1] / "support" / "launch.py")
    line = [launch, '{"scripts": [{"answer": "Paris.", "thought": "Hm."}]}', "ask", "q"]
    for variables, escaped in (({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False)):
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | variables
        child = pexpect.spawn(sys.executable, line, env=environment, timeout=30)
        assert (b"\x1b[2m" in child.read()) is escaped
        child.close()
    environment = os.environ | {"TERM": "xterm", "NO_COLOR": "1"}
    child = pexpect.spawn(sys.executable, line, env=environment, timeout=30)
    out = child.read()
    assert b"\x1b[2m" not in out
    assert b"Paris." in out
    child.close()


def test_where_no_line_can_be_redrawn_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("qwenchat.console.turn_printer.time.monotonic", lambda: now)
    report = LoadReport(lines=True)
    for at in range(50):
        now += 1
        report.show(LoadProgressed("downloading x", at * 1_000_000, 50_000_000))
    report.show(LoadProgressed("reading weights"))
    report.clear()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "qwenchat: downloading x: 0 of 50 MB"
    assert lines[1] == "qwenchat: downloading x: 10 of 50 MB"
    assert lines[-1] == "qwenchat: reading weights"
    assert len(lines) == 6


def test_ctrl_c_stops_the_reply_and_the_chat_goes_on() -> None:
    launch = str(Path(__file__).parents[1] / "support" / "launch.py")
    engine = '{"scripts": [{"answer": "one. two three", "hold_at": 1}, {"answer": "fine"}]}'
    process = subprocess.Popen(
        [sys.executable, launch, engine, "--plain"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"a\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"Qwen3-0.6B answers:\n"
    assert process.stdout.read(5) == b"one. "
    process.send_signal(2)
    assert process.stdout.readline() == b"\n"
    out, err = process.communicate(b"b\n", timeout=30)
    assert out == b"Qwen3-0.6B answers:\nfine\n"
    assert b"stopped" in err
    assert process.returncode == 0


BROKEN = Script(thought="Hm, France", answer="", breaks_off=True, finish=FinishReason.LENGTH)


def test_a_reply_that_ended_in_its_thought_answers_when_told_to() -> None:
    engine = FakeEngine([BROKEN, Script("Paris.")])
    result = chat("France?", "/answer", "/answer", engine=engine)
    assert engine.turns[1].begun == PartialReply("Hm, France", thinking=True)
    assert result.stdout.splitlines() == [
        "thinking...", "Hm, France", "", "", CLOSING.strip(), "", "Qwen3-0.6B answers:", "Paris.",
    ]  # fmt: skip
    assert result.stderr.splitlines()[-1].startswith("qwenchat: No reply was interrupted inside its thought.")


def test_ctrl_c_in_a_thought_and_a_line_answer_at_once() -> None:
    launch = str(Path(__file__).parents[1] / "support" / "launch.py")
    engine = '{"scripts": [{"thought": "one. two three", "hold_at": 1}, {"answer": "fine"}]}'
    process = subprocess.Popen(
        [sys.executable, launch, engine, "--plain"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"a\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"thinking...\n"
    assert process.stdout.read(5) == b"one. "
    process.send_signal(2)
    out, _ = process.communicate(b"/answer\n", timeout=30)
    assert out.endswith(b"Qwen3-0.6B answers:\nfine\n")
    assert process.returncode == 0


def test_the_budget_of_a_conversation_is_set_by_a_line() -> None:
    engine = FakeEngine()
    result = chat("a", "/budget 1,000", "b", "/budget", "/budget much", "/budget off", "c", "/budget 7", "/new", "d",
                  engine=engine, arguments=("--plain", "--thinking-budget", "50"))  # fmt: skip
    assert [turn.thinking_budget for turn in engine.turns] == [50, 1000, None, 50]
    assert result.stderr.count("Thoughts end after 1,000 tokens.") == 2
    assert "much is no thinking budget. Give a number of tokens, or off." in result.stderr
    assert "Thoughts have no limit." in result.stderr


def test_a_reply_that_repeated_itself_is_asked_for_again_with_a_penalty() -> None:
    engine = FakeEngine([Script("again and again", finish=FinishReason.REPETITION), Script("fine")])
    result = chat("a", "/retry", engine=engine)
    assert "Try --presence-penalty 1.5" in result.stderr
    assert engine.turns[1].sampling.presence_penalty == 1.5
    assert result.stdout.endswith("fine\n")
