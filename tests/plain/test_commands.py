"""The commands of the chat line by line that are not about branches."""

import re
from pathlib import Path

import pytest

from qwenchat.chat.errors import ModelNotFound
from qwenchat.system import clipboard
from qwenchat.system.paths import Paths
from tests.plain.test_plain import chat
from tests.support.fake_engine import MODEL, FakeEngine, Script


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the program is started in."""
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_command_that_is_none_is_said_with_what_was_meant() -> None:
    engine = FakeEngine()
    result = chat("/", "//", "/retri", "/nonsense now", engine=engine)
    assert engine.turns == []
    assert result.stderr.count("There is no command /") == 4
    assert "Did you mean /retry?" in result.stderr


def test_thinking_is_switched_by_the_words_on_and_off() -> None:
    engine = FakeEngine()
    result = chat("/think off", "a", "/think on", "b", "/thoughts maybe", engine=engine)
    assert [turn.thinking for turn in engine.turns] == [False, True]
    assert "maybe is no switch. Say on or off." in result.stderr


def test_a_system_prompt_is_quoted_and_taken_away() -> None:
    engine = FakeEngine()
    result = chat("/system Be brief.", "a", "/new", "/system off", "/system", "b", engine=engine)
    assert engine.turns[0].messages[0].text == "Be brief."
    assert "The system prompt is “Be brief.”." in result.stderr
    assert "There is no system prompt." in result.stderr
    assert [message.text for message in engine.turns[1].messages] == ["b"]


def test_a_tool_that_is_none_is_refused_and_all_are_told_in_words() -> None:
    result = chat("/tools foo", "/tools calculator", "/tools")
    assert "There is no tool foo. There are: " in result.stderr
    assert "calculator: on" in result.stdout
    assert ": off" in result.stdout


def test_what_was_not_answered_ends_with_code_1() -> None:
    failed = chat("a", engine=FakeEngine(load_error=ModelNotFound("There is no model x.", "Choose another.")))
    assert failed.exit_code == 1
    assert chat("/resume nix", "a").exit_code == 0


def test_a_model_is_loaded_at_once_and_the_one_before_goes_on_where_that_fails() -> None:
    engine = FakeEngine(missing=("nix",))
    result = chat("a", "/model nix", "b", "/retry model=nix", "/model other", "/model", engine=engine)
    assert [load.name for load in engine.loads] == [None, "nix", None, "nix", None, "other"]
    assert result.stderr.count("There is no model nix.") == 2
    assert "Qwen/Qwen3-0.6B goes on." in result.stderr
    assert "other is ready (cpu bf16)." in result.stderr
    assert "other answers (cpu bf16)." in result.stderr
    assert result.stdout.count("Qwen3-0.6B answers:") == 2


def test_a_reason_is_said_once() -> None:
    engine = FakeEngine(model=MODEL.__class__("small", reason="Qwen3 cannot be reached."))
    assert chat("a", "b", "c", engine=engine).stderr.count("cannot be reached") == 1


def test_in_private_nothing_is_said_to_be_saved() -> None:
    result = chat("a", "/quit", arguments=("--plain", "--private"))
    assert "private" in result.stderr
    assert "saved" not in result.output


def test_files_are_attached_or_said_to_be_none(folder: Path) -> None:
    (folder / "notes.md").write_text("one\ntwo\n")
    engine = FakeEngine()
    result = chat("read @notes.md and @nothing.md", engine=engine)
    assert engine.turns[0].messages[-1].text.endswith("\n\nnotes.md:\n```md\none\ntwo\n```")
    assert "Attached notes.md: 2 lines, 8 B." in result.stderr
    assert "There is no file nothing.md; @nothing.md goes as plain text." in result.stderr


def test_a_conversation_is_named_pinned_found_put_away_and_written_into_a_file(folder: Path) -> None:
    result = chat(
        "/rename x", "a lake", "/rename Lake Geneva", "/pin", "/list", "/search lake", "/export json", "/export pdf",
        "/stats", "/archive", "/new", "/resume 1", "/resume",
    )  # fmt: skip
    assert "Nothing was said in this conversation yet." in result.stderr
    assert "It is called “Lake Geneva”." in result.stderr
    assert re.search(r"1\. Lake Geneva, \S+ \S+, 2 messages, pinned\n", result.stdout)
    assert re.search(r"1\. Lake Geneva, \S+ \S+: Lake Geneva\n", result.stdout)
    assert len(list(folder.glob("*.json"))) == 1
    assert "Formats are md, json, jsonl." in result.stderr
    assert "1 reply" in result.stdout
    assert "It is archived; /search still finds it." in result.stderr
    assert "qwenchat: “Lake Geneva”, " in result.stderr
    assert "Say which conversation." in result.stderr


def test_help_is_in_groups_or_about_one_command() -> None:
    assert "Conversation:\n/new: New conversation\n" in chat("/help").stdout
    assert chat("/help /undo").stdout == "/undo: Bring back what was deleted last\n"


def test_settings_are_kept() -> None:
    result = chat("/save", "/set temperature 0.3", "/save")
    assert "Nothing was changed that could be saved." in result.stderr
    assert "Saved sampling.temperature in " in result.stderr
    assert "temperature = 0.3" in Paths.of_user().config_file.read_text()


def test_how_a_reply_came_to_be_is_told() -> None:
    assert "  temperature: 0.6" in chat("a", "/details", "/details 9").stdout


def test_a_message_is_written_in_an_editor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = folder / "editor.sh"
    editor.write_text('#!/bin/sh\nprintf "one\\ntwo\\n" > "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    engine = FakeEngine()
    chat("/editor", engine=engine)
    assert engine.turns[0].messages[-1].text == "one\ntwo"


def test_an_empty_reply_says_so() -> None:
    assert "Qwen/Qwen3-0.6B:\n(empty)" in chat("a", "/read", engine=FakeEngine([Script("")])).stdout


def test_the_end_of_a_thought_is_said_with_its_length() -> None:
    result = chat("/thoughts off", "a", engine=FakeEngine([Script("Paris.", thought="Hm, well then.")]))
    assert "The thought has ended: 3 tokens." in result.stderr


def test_the_models_are_listed_as_on_the_command_line() -> None:
    listed = chat("/models").stdout
    assert "qwen3-0.6b" in listed
    assert "smollm2" in listed


def test_a_reply_is_copied_by_the_tool_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = []

    async def copy(text: str) -> str | None:
        copied.append(text)
        return "xclip" if len(copied) < 3 else None

    monkeypatch.setattr(clipboard, "copy", copy)
    said = Script("Ye\x1b[201~s\u202e.")
    result = chat("/copy", "a", "/copy", "/copy 1", "/copy 9", "/copy", engine=FakeEngine([said]))
    assert copied == ["Yes⟨RLO⟩.", "a", "Yes⟨RLO⟩."]
    said = result.stderr
    assert "There is no reply to copy yet." in said
    assert "Copied 9 characters through xclip." in said
    assert "There is no message 9." in said
    assert "/read reads the message." in said


def test_a_setting_that_is_none_of_an_answer_says_where_it_is_changed() -> None:
    said = chat("/set theme nord", "/set top-k=5 context=4096", "/set heat 1").stderr
    assert "theme cannot be changed while this chat runs. `qwenchat config edit`" in said
    assert "context cannot be changed" in said
    assert "There is no setting heat." in said
