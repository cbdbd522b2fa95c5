"""`qwenchat replay ID --rerun`: the same questions, and where the replies part."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qwenchat.chat.errors import EngineFailed, LibraryUnwritable, ModelNotFound
from qwenchat.chat.messages import Message, Role, Status, TextPart
from qwenchat.chat.provenance import ThoughtCut
from qwenchat.chat.sampling import Sampling
from qwenchat.chat.thinking import CLOSING
from qwenchat.chat.tree import MessageTree
from qwenchat.cli.main import cli
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.library.conversation import Conversation
from qwenchat.library.library import Library
from qwenchat.replay.rerun import questions
from qwenchat.system.paths import Paths
from tests.support.fake_engine import FakeEngine, Script
from tests.support.recordings import ANSWERED, CONVERSATION, QUESTION, THANKS, WELCOME, reply, said, store

ID = "c0ffee00c0ffee00"
SAME = (Script("It is four.", thought="Easy sum."), Script("You're welcome."))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path / "home"


def rerun(*arguments: str, messages: Sequence[Message] = CONVERSATION, engine: FakeEngine) -> Result:
    """What comes of asking the questions of a saved conversation again."""
    if not Paths.of_user().database.exists():
        library = Library.open(Paths.of_user().database)
        store(library, messages, {}, ID)
        library.close()
    return CliRunner().invoke(cli, ["replay", ID[:6], "--rerun", *arguments], obj={"make_engine": lambda: engine})


def report(*scripts: Script, messages: Sequence[Message]) -> dict[str, object]:
    """The first reply of what `--json` prints."""
    result = rerun("--json", messages=messages, engine=FakeEngine(list(scripts)))
    first: dict[str, object] = json.loads(result.stdout)["replies"][0]
    return first


def saved() -> Conversation:
    library = Library.open(Paths.of_user().database)
    try:
        return library.read(ID)
    finally:
        library.close()


def test_the_same_replies_are_called_identical() -> None:
    result = rerun(engine=FakeEngine(list(SAME)))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "1 of 2: What is 2+2?", "Identical, 5 tokens.", "", "2 of 2: Thanks!", "Identical, 2 tokens.", "",
        "All 2 replies are identical.",
    ]  # fmt: skip
    assert saved().messages == CONVERSATION


def test_each_question_is_asked_with_its_recorded_history_and_settings() -> None:
    made = WELCOME.provenance
    assert made is not None
    sampling = Sampling(temperature=1.5, top_k=3, presence_penalty=0.5, seed=99, max_tokens=77)
    greeted = replace(WELCOME, provenance=replace(made, sampling=sampling, thinking=True, thinking_budget=5))
    engine = FakeEngine([Script("Something else."), Script("You're welcome.")])
    rerun("--model", "other/model", messages=(QUESTION, ANSWERED, THANKS, greeted), engine=engine)
    assert [turn.messages for turn in engine.turns] == [(QUESTION,), (QUESTION, ANSWERED, THANKS)]
    assert [(turn.sampling, turn.thinking, turn.thinking_budget) for turn in engine.turns] == [
        (Sampling(seed=7), True, None), (sampling, True, 5),
    ]  # fmt: skip
    assert [load.name for load in engine.loads] == ["other/model"]


def test_it_says_at_which_token_and_character_they_part_and_shows_both() -> None:
    result = rerun(engine=FakeEngine([Script("It is five.", thought="Easy sum."), SAME[1]]))
    assert result.exit_code == 1
    assert "They part at token 5, character 8 of the answer." in result.stdout
    assert any("It is four." in line and "It is five." in line for line in result.stdout.splitlines())
    assert "1 of 2 replies are identical." in result.stdout


def test_where_the_screen_is_narrow_they_stand_below_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    lines = rerun(engine=FakeEngine([Script("It is five.", thought="Easy sum."), SAME[1]])).stdout.splitlines()
    assert lines.index("It is four.") < lines.index("It is five.")


@pytest.mark.parametrize(
    ("old", "new", "channel", "character", "token"),
    [
        ("one two three", Script("one two four"), "answer", 9, 3),
        ("one two three", Script("one two"), "answer", 8, 3),
        ("one two", Script("one two three"), "answer", 8, 2),
        ("one", Script("two"), "answer", 1, 1),
        ("é 漢字 x", Script("é 漢語 x"), "answer", 4, 2),
    ],
)
def test_the_first_difference_is_found(old: str, new: Script, channel: str, character: int, token: int) -> None:
    first = report(new, messages=(QUESTION, reply(old, 0, QUESTION.id)))
    assert first["parts_at"] == {"channel": channel, "token": token, "character": character}
    assert first["identical"] is False


@pytest.mark.parametrize(
    ("thought", "character", "token"), [("Easy one.", 6, 2), ("Easy sum. Or", 10, 2), ("Easy", 5, 2)]
)
def test_a_difference_in_the_thought_goes_before_one_in_the_answer(thought: str, character: int, token: int) -> None:
    first = report(Script("It is five.", thought=thought), messages=(QUESTION, ANSWERED))
    assert first["parts_at"] == {"channel": "thought", "token": token, "character": character}


def test_a_thought_without_an_opening_tag_is_compared_as_a_thought() -> None:
    first = report(Script("It is four.", thought_untagged="Easy sum."), messages=(QUESTION, ANSWERED))
    assert first["identical"] is True


class TestPartialReplies:
    def test_a_stopped_reply_is_compared_as_far_as_it_goes_and_the_new_one_is_not_told_to_the_end(self) -> None:
        stopped = reply("one two ", 0, QUESTION.id, status=Status.STOPPED)
        engine = FakeEngine([Script("one two three " * 500, delay_s=0.002)])
        result = rerun("--json", messages=(QUESTION, stopped), engine=engine)
        first = json.loads(result.stdout)["replies"][0]
        assert (result.exit_code, first["identical"], first["parts_at"]) == (0, True, None)
        assert len(first["new"]["answer"]) < 2000
        assert first["new"]["status"] == "stopped"

    def test_a_stopped_reply_that_would_have_gone_otherwise_is_different(self) -> None:
        stopped = reply("one two ", 0, QUESTION.id, status=Status.STOPPED)
        assert report(Script("one three"), messages=(QUESTION, stopped))["identical"] is False

    def test_a_thought_that_broke_off_is_compared_without_an_answer(self) -> None:
        broken = reply("", 0, QUESTION.id, thought="Easy ", status=Status.INTERRUPTED, closed=False)
        assert report(*SAME, messages=(QUESTION, broken))["identical"] is True

    def test_a_thought_that_the_user_ended_is_compared_up_to_there(self) -> None:
        made = ANSWERED.provenance
        assert made is not None
        hurried = reply("Four!", 0, QUESTION.id, thought=f"Easy {CLOSING}")
        hurried = replace(hurried, provenance=replace(made, thought_cut=ThoughtCut.USER))
        assert report(*SAME, messages=(QUESTION, hurried))["identical"] is True

    def test_replies_that_say_nothing_are_left_out(self) -> None:
        empty = reply("", 0, QUESTION.id, status=Status.FAILED)
        assert questions((QUESTION, empty)) == []
        result = rerun(messages=(QUESTION, empty), engine=FakeEngine())
        assert result.exit_code == 2
        assert "no reply in this conversation" in result.stderr


def test_a_reply_of_unknown_making_is_asked_for_as_the_model_likes_it() -> None:
    imported = Message(Role.ASSISTANT, (TextPart("It is four."),), QUESTION.id)
    engine = FakeEngine([Script("It is four.")])
    assert rerun(messages=(QUESTION, imported), engine=engine).exit_code == 0
    assert engine.turns[0].sampling.seed is not None


class TestSaving:
    def test_what_differs_is_kept_beside_the_old_and_what_is_read_stays(self) -> None:
        result = rerun("--save", "--json", engine=FakeEngine([Script("Five."), SAME[1]]))
        first, second = json.loads(result.stdout)["replies"]
        kept = saved()
        tree = MessageTree(kept.messages, kept.leaf, kept.hidden)
        assert tree.path() == CONVERSATION
        assert set(tree.siblings(ANSWERED.id)) == {ANSWERED.id, first["saved"]}
        new = tree[first["saved"]]
        assert (new.text, new.parent, new.status) == ("Five.", QUESTION.id, Status.COMPLETE)
        assert new.provenance is not None
        assert new.provenance.sampling.seed == 7
        assert second["saved"] is None

    def test_a_new_reply_that_cannot_be_saved_is_shown_before_that_is_said(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def save(*arguments: object) -> None:
            raise LibraryUnwritable("The disk is full.", "Make room.")

        rerun(engine=FakeEngine(list(SAME)))
        monkeypatch.setattr(Library, "save", save)
        result = rerun("--save", engine=FakeEngine([Script("Five."), SAME[1]]))
        assert result.exit_code == 2
        assert "Five." in result.stdout
        assert "The disk is full." in result.stderr
        assert saved().messages == CONVERSATION

    def test_without_it_nothing_is_written(self) -> None:
        rerun(engine=FakeEngine([Script("Five.")]))
        assert saved().messages == CONVERSATION

    def test_it_goes_with_conversations_of_the_library_alone(self, tmp_path: Path) -> None:
        rerun(engine=FakeEngine(list(SAME)))
        file = tmp_path / "it.json"
        CliRunner().invoke(cli, ["export", ID, "-o", str(file)])
        wired = {"make_engine": lambda: FakeEngine(list(SAME))}
        assert CliRunner().invoke(cli, ["replay", str(file), "--rerun"], obj=wired).exit_code == 0
        assert CliRunner().invoke(cli, ["replay", str(file), "--rerun", "--save"], obj=wired).exit_code == 2
        assert CliRunner().invoke(cli, ["replay", ID, "--save"], obj=wired).exit_code == 2


class TestTheRealEngine:
    @pytest.mark.parametrize("budget", ["4", "500"])
    def test_the_same_seed_gives_the_same_thought_and_answer(self, tiny_qwen3: Path, budget: str) -> None:
        wired = {"make_engine": lambda: LocalEngine(Paths.of_user())}
        settings = ("--temperature", "1.2", "--thinking-budget", budget, "--max-tokens", "60")
        CliRunner().invoke(cli, ["ask", "--model", str(tiny_qwen3), *settings, "What is 2+2?"], obj=wired)
        library = Library.open(Paths.of_user().database)
        id_ = library.latest() or ""
        library.close()
        again = CliRunner().invoke(cli, ["replay", id_, "--rerun", "--json", "--model", str(tiny_qwen3)], obj=wired)
        assert again.exit_code == 0, again.output
        first = json.loads(again.stdout)["replies"][0]
        assert first["identical"]
        assert first["new"]["thinking"]


class TestFailures:
    def test_a_model_that_cannot_be_loaded_ends_with_2_and_is_named_in_json(self) -> None:
        engine = FakeEngine(load_error=ModelNotFound("There is no model nope.", "Choose another."))
        result = rerun("--json", "--model", "nope", engine=engine)
        assert result.exit_code == 2
        assert json.loads(result.stdout)["error"] == "There is no model nope. Choose another."

    def test_a_turn_that_fails_ends_with_2(self) -> None:
        result = rerun(engine=FakeEngine([Script(error=EngineFailed("The model broke.", "Ask again."))]))
        assert result.exit_code == 2
        assert "The model broke." in result.stderr

    def test_an_unknown_conversation_ends_with_2(self) -> None:
        result = CliRunner().invoke(cli, ["replay", "beef", "--rerun"], obj={"make_engine": FakeEngine})
        assert result.exit_code == 2


@pytest.mark.parametrize("columns", ["50", "100"])
def test_hostile_text_is_shown_harmlessly_beside_its_repetition(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    hostile = "a\x1b[2Jb\x1b]0;t\x07c [red]d[/red]\u202ee"
    path = (said(hostile, 0), reply(hostile, 0, thought=hostile))
    output = rerun(messages=path, engine=FakeEngine([Script(hostile + "\x1b[31m!", thought=hostile)])).stdout
    assert not set(output) & set("\x1b\x07\u202e")
    assert "abc [red]d[/red]⟨RLO⟩e" in output
