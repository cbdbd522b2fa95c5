"""`qwenchat replay` without a screen: told line by line, as JSON, as a cast, from the library and from a file."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyte
import pytest
from click.testing import CliRunner, Result

from qwenchat.chat.messages import Message, Role, Status, TextPart, ToolCallPart, ToolResultPart
from qwenchat.cli.main import cli
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange import native
from qwenchat.library.library import Library
from qwenchat.replay.player import Replay
from qwenchat.replay.render import as_cast, as_json_lines, play_as_text
from qwenchat.system.paths import Paths
from tests.support.recordings import ANSWERED, CONVERSATION, TIMELINES, Clock, reply, said, store, ticks

TOLD = """\
You:
What is 2+2?

Qwen3-0.6B thinks:
Easy sum.

Qwen3-0.6B answers:
It is four.

You:
Thanks!

Qwen3-0.6B answers:
You're welcome.
"""
HOSTILE = "a\x1b[2Jb\x1b]0;title\x07c\x9b31md\u202ee\x00[red]f[/red]"
HARMLESS = "abcd⟨RLO⟩e[red]f[/red]"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def stored(messages: Sequence[Message] = CONVERSATION) -> str:
    library = Library.open(Paths.of_user().database)
    try:
        return store(library, messages)
    finally:
        library.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["replay", *arguments])


def reported(*messages: Message) -> str:
    """All that is told of these messages, without their recordings."""
    pieces: list[str] = []
    play_as_text(Replay(messages, {}, clock=(clock := Clock())), pieces.append, styled=False, sleep=clock.sleep)
    return "".join(pieces)


class TestTelling:
    def test_the_first_digits_of_the_id_are_enough_and_the_text_is_all_there(self) -> None:
        assert run(stored()[:4], "--speed", "instant").stdout == TOLD

    @pytest.mark.parametrize("speed", [0.25, 1.0, 16.0])
    def test_each_piece_is_said_at_its_recorded_time(self, speed: float) -> None:
        clock, began = Clock(), Clock().now
        pieces: list[tuple[float, str]] = []
        player = Replay(CONVERSATION, TIMELINES, clock=clock, speed=speed)
        play_as_text(player, lambda text: pieces.append((clock.now - began, text)), styled=False, sleep=clock.sleep)
        assert "".join(text for _, text in pieces) == TOLD
        at = {text.strip().rpartition("\n")[2]: at_s * speed for at_s, text in pieces}
        expected = {"What": 0.0, "is 2+2?": 1.0, "Easy": 2.0, "sum.": 2.5, "It": 3.5, "is four.": 4.5, "Thanks!": 8.5}
        assert {text: at[text] for text in expected} == pytest.approx(expected)

    def test_a_reply_that_ended_early_says_so(self) -> None:
        assert reported(reply("Half", 0, status=Status.STOPPED)).endswith("Half\n[stopped]\n")
        failed = reported(reply("", 0, status=Status.FAILED, note="out of\x1b[31m memory"))
        assert failed == "[failed: out of memory]\n"
        assert reported(reply("", 0, thought="Hm", status=Status.INTERRUPTED)).endswith("Hm\n[interrupted]\n")

    def test_tools_and_system_prompts_are_told(self) -> None:
        call = Message(Role.ASSISTANT, (ToolCallPart("1", "clock", '{"zone": "UTC"}'),))
        text = reported(
            said("Be brief.", 0, role=Role.SYSTEM),
            call,
            Message(Role.TOOL, (ToolResultPart("1", "clock", "noon"),)),
            Message(Role.ASSISTANT, (TextPart("It is noon."),)),
        )
        assert text.split("\n\n") == [
            "System:\nBe brief.\n[calls clock {\"zone\": \"UTC\"}]", "Tool:\nnoon", "Model answers:\nIt is noon.\n",
        ]  # fmt: skip

    def test_as_json_a_tool_says_what_it_gave(self) -> None:
        tool = Message(Role.TOOL, (ToolResultPart("1", "clock", "noon"),))
        (line,) = as_json_lines(Replay((tool,), {}))
        assert (json.loads(line)["role"], json.loads(line)["text"]) == ("tool", "noon")

    def test_thoughts_are_dimmed_where_that_can_be_seen_and_nowhere_else(self) -> None:
        pieces: list[str] = []
        play_as_text(Replay(CONVERSATION, TIMELINES, speed=float("inf")), pieces.append, styled=True)
        assert "\x1b[2mEasy \x1b[0m\x1b[2msum.\x1b[0m" in "".join(pieces)
        assert "\x1b" not in run(stored(), "--speed", "instant").stdout

    def test_hostile_text_is_told_harmlessly_however_it_was_cut(self) -> None:
        bad = replace(reply(HOSTILE, 0, thought=HOSTILE), status=Status.COMPLETE)
        for size in (1, 2, 5):
            cuts = ticks(*[(n, channel, size) for channel in "ta" for n in range(len(HOSTILE))])
            pieces: list[str] = []
            path = (said(HOSTILE, 0), bad)
            timelines = {path[0].id: cuts[len(HOSTILE) :], bad.id: cuts}
            play_as_text(Replay(path, timelines, speed=float("inf")), pieces.append, styled=False)
            blocks = "".join(pieces).split("\n\n")
            assert [block.partition(":\n")[2].strip() for block in blocks] == [HARMLESS] * 3

    def test_it_can_begin_later(self) -> None:
        id_ = stored()
        assert run(id_, "--speed", "instant", "--from", "3").stdout == TOLD[TOLD.index("You:\nThanks") :]
        assert run(id_, "--from", "5").exit_code == 2

    def test_an_empty_conversation_says_that_there_is_nothing(self, tmp_path: Path) -> None:
        file = tmp_path / "empty.json"
        conversation = replace(read(stored()), messages=(), leaf=None)
        file.write_text("".join(native.written([(conversation, {})])), "utf-8")
        result = run(str(file))
        assert (result.exit_code, result.stdout) == (0, "")
        assert "nothing to play" in result.stderr

    def test_the_branch_that_is_read_is_played(self) -> None:
        other = said("Never mind.", 1000, ANSWERED.id)
        assert "Never mind." in run(stored((*CONVERSATION, other)), "--speed", "instant").stdout
        library = Library.open(Paths.of_user().database)
        library.select("c0ffee00c0ffee00", CONVERSATION[-1].id)
        library.close()
        assert run("c0ff", "--speed", "instant").stdout == TOLD

    @pytest.mark.parametrize("speed", ["0", "17", "fast", "nan", "-1", ""])
    def test_a_speed_that_makes_no_sense_is_refused(self, speed: str) -> None:
        assert run(stored(), "--speed", speed).exit_code == 2

    def test_what_is_not_there_is_named(self) -> None:
        assert "There is no conversation beef" in str(run("beef").exception)


def read(id_: str) -> Conversation:
    library = Library.open(Paths.of_user().database)
    try:
        return library.read(id_)
    finally:
        library.close()


class TestFiles:
    def test_an_exported_file_plays_as_the_conversation_it_came_from(self, tmp_path: Path) -> None:
        id_ = stored()
        file = tmp_path / "conversation.json"
        CliRunner().invoke(cli, ["export", id_, "-o", str(file)])
        assert run(str(file), "--json").stdout == run(id_, "--json").stdout

    def test_a_file_of_something_else_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "notes.json"
        file.write_text("[1, 2]", "utf-8")
        result = run(str(file))
        assert result.exit_code == 1
        assert "no conversation" in str(result.exception)


class TestJson:
    def test_every_line_is_an_event_with_its_time(self) -> None:
        events = [json.loads(line) for line in run(stored(), "--json").stdout.splitlines()]
        assert [event["at_s"] for event in events] == sorted(event["at_s"] for event in events)
        thought = "".join(event["text"] for event in events if event["event"] == "thought")
        typed = "".join(event["text"] for event in events if event["event"] == "typed")
        assert (thought, typed) == ("Easy sum.", "What is 2+2?Thanks!")
        assert {event["message"] for event in events} == {message.id for message in CONVERSATION}
        assert events[-1] == {
            "at_s": 12.5, "message": CONVERSATION[-1].id, "event": "ended", "status": "complete", "note": "",
        }  # fmt: skip

    def test_hostile_text_is_spelled_out(self) -> None:
        output = run(stored((said(HOSTILE, 0),)), "--json").stdout
        assert not set(output) & set("\x1b\x07\x9b\u202e\x00")
        assert json.loads(output.splitlines()[-1])["text"] == HOSTILE


class TestCast:
    def test_it_is_an_asciicast_whose_terminal_shows_the_conversation(self, tmp_path: Path) -> None:
        file = tmp_path / "it.cast"
        assert run(stored(), "--cast", str(file), "--speed", "2").exit_code == 0
        header, *events = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        assert {key: header[key] for key in ("version", "width", "height")} == {"version": 2, "width": 80, "height": 24}
        assert header["title"] == "What is 2+2?"
        times = [at_s for at_s, _, _ in events]
        assert times == sorted(times)
        assert times[-1] == pytest.approx(12.5 / 2)
        assert {kind for _, kind, _ in events} == {"o"}
        screen = pyte.Screen(80, 24)
        pyte.Stream(screen).feed("".join(data for _, _, data in events))
        assert "\n".join(line.rstrip() for line in screen.display).strip() == TOLD.strip()

    def test_no_sequence_of_the_conversation_gets_into_a_cast(self) -> None:
        path = (said(HOSTILE, 0), reply(HOSTILE, 0))
        data = "".join(json.loads(line)[2] for line in [*as_cast(Replay(path, {}), HOSTILE, 0.0)][1:])
        assert data.count("\x1b") == data.count("\x1b[1m") + data.count("\x1b[2m") + data.count("\x1b[0m")
        assert not set(data) & set("\x07\x9b\u202e\x00")

    def test_a_file_that_is_there_is_left_alone_unless_asked(self, tmp_path: Path) -> None:
        file = tmp_path / "it.cast"
        file.write_text("precious")
        assert run(id_ := stored(), "--cast", str(file)).exit_code != 0
        assert file.read_text() == "precious"
        assert run(id_, "--cast", str(file), "--force").exit_code == 0
        assert file.read_text("utf-8").startswith('{"version": 2')

    def test_a_dash_prints_it(self) -> None:
        assert run(stored(), "--cast", "-").stdout.startswith('{"version": 2')
