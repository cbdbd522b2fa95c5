"""Branches in the chat line by line."""

from pathlib import Path

import pytest

from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.provenance import FinishReason
from tests.plain.test_plain import chat
from tests.support.fake_engine import FakeEngine, Script


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))


def asked(engine: FakeEngine) -> list[list[str]]:
    """What the model read in each turn."""
    return [[message.text for message in turn.messages] for turn in engine.turns]


def test_the_last_message_or_another_is_said_anew() -> None:
    engine = FakeEngine([Script(f"answer {n}") for n in range(4)])
    chat("one", "two", "/edit three", "/edit 1: 4: four", engine=engine)
    assert asked(engine) == [
        ["one"], ["one", "answer 0", "two"], ["one", "answer 0", "three"], ["4: four"],
    ]  # fmt: skip


def test_messages_are_numbered_and_their_versions_walked() -> None:
    engine = FakeEngine([Script("first"), Script("second"), Script("third")])
    result = chat("one", "/retry", "/versions", "/versions 2 1", "more", engine=engine)
    out = result.stdout
    assert "1. You: one\n2. Qwen/Qwen3-0.6B, version 2 of 2: second\n" in out
    assert "\nQwen/Qwen3-0.6B:\nfirst\n" in out
    assert asked(engine)[-1] == ["one", "first", "more"]


@pytest.mark.parametrize("line", ["/versions 9 1", "/versions 2 9", "/versions x 1", "/versions 2 x", "/delete 9"])
def test_numbers_that_make_no_sense_are_said(line: str) -> None:
    result = chat("one", line)
    assert result.exit_code == 0
    assert "There is no message" in result.stderr or "has 1 version." in result.stderr


def test_an_earlier_reply_is_asked_for_again_with_other_settings() -> None:
    engine = FakeEngine([Script("first"), Script("second"), Script("again")])
    result = chat("one", "two", "/retry 2 temperature=0.1 think=off model=other", "/retry warmth=1", engine=engine)
    assert asked(engine)[-1] == ["one"]
    assert (engine.turns[-1].sampling.temperature, engine.turns[-1].thinking) == (0.1, False)
    assert [load.name for load in engine.loads] == [None, "other"]
    assert "warmth=1 is no setting" in result.stderr
    assert len(engine.turns) == 3


def test_a_reply_that_was_cut_off_goes_on() -> None:
    engine = FakeEngine([Script("one two ", finish=FinishReason.LENGTH), Script("three")])
    result = chat("a", "/continue", "/continue", engine=engine)
    assert engine.turns[1].begun == PartialReply(answer="one two ")
    assert "Going on after “…one two”." in result.stderr
    assert "not an interrupted reply" in result.stderr


def test_messages_are_deleted_alone_or_with_all_after_them_and_brought_back() -> None:
    engine = FakeEngine([Script(f"answer {n}") for n in range(6)])
    result = chat("one", "two", "/delete 2", "three", "/undo", "/delete 3 on", "four", "/delete", "/undo", "five",
                  "/undo", "/undo", engine=engine)  # fmt: skip
    assert asked(engine)[2:] == [
        ["one", "two", "answer 1", "three"],
        ["one", "answer 0", "four"],
        ["one", "answer 0", "four", "answer 3", "five"],
    ]
    assert "Deleted message 2, Qwen/Qwen3-0.6B: “answer 0”." in result.stderr
    assert "Deleted message 3, yours: “two”, and all after it." in result.stderr
    assert "2 messages are left. /undo brings back" in result.stderr
    assert "nothing to bring back" in result.stderr


def test_with_nothing_said_there_is_nothing_to_change_or_delete() -> None:
    result = chat("/edit x", "/delete", "/versions", "/continue", "/undo")
    assert result.exit_code == 0
    assert result.stderr.count("There is no message") == 3
