"""What people stumbled over who saw the program for the first time."""

from dataclasses import replace
from pathlib import Path

import pytest

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.console.commands import SOFT_SWITCHES, WRITTEN
from tests.support.chat_driver import chat
from tests.support.fake_engine import MODEL, FakeEngine, Script


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing yet."""
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    return tmp_path


async def test_settings_show_what_a_model_brings_that_is_loaded_meanwhile() -> None:
    model = replace(MODEL, sampling=SamplingOverrides(temperature=0.25))
    engine = FakeEngine(model=model, loading_holds=True)
    async with chat(engine=engine, ready=False) as it:
        await it.press("f2")
        await it.sees("temperature         0.6")
        engine.release()
        await it.sees("temperature         0.25")


async def test_without_colours_the_theme_is_not_taken_for_one_that_was_chosen(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with chat() as it:
        await it.press("f2", "down", "down", "down", "right", "s")
        await it.sees("Saved sampling.temperature in")
    written = next(home.rglob("config.toml")).read_text()
    assert "theme =" not in written


async def test_leaving_a_reply_for_a_new_conversation_says_that_it_was_stopped() -> None:
    async with chat(Script("one two", hold_at=1)) as it:
        await it.send("Go")
        await it.sees("one")
        await it.press("ctrl+n")
        await it.sees("The reply was stopped; what came is kept in its conversation.")
        await it.press("ctrl+n")
        await it.no_longer_sees("The reply was stopped")


async def test_a_reply_of_which_nothing_came_is_asked_for_again_not_gone_on_with() -> None:
    async with chat(Script("nothing", error=EngineFailed("The model failed."), error_at=0)) as it:
        await it.send("Go")
        await it.sees("failed: The model failed.", "Ctrl+R asks again")
        assert "/continue" not in it.screen


async def test_escape_puts_away_what_was_told_for_a_moment() -> None:
    async with chat() as it:
        await it.press("ctrl+y")
        await it.sees("There is no reply to copy yet.")
        await it.press("escape")
        await it.no_longer_sees("There is no reply to copy yet.")


async def test_a_narrow_status_line_keeps_the_model() -> None:
    async with chat(size=(30, 12)) as it:
        await it.ask("Go")
        assert "Qwen3-0.6B" in it.screen.splitlines()[-1]


@pytest.mark.parametrize("command", ["/set nothing 1", "/retry temperature=abc", "/preset Foo", "/budget x"])
async def test_a_command_that_cannot_be_heeded_stays_in_the_draft(command: str) -> None:
    async with chat() as it:
        await it.send(command)
        await it.sees("Warning")
        assert it.draft == command


async def test_a_soft_switch_alone_is_no_message() -> None:
    async with chat() as it:
        await it.send("/no_think")
        await it.sees("thinking off")
        assert it.session.conversation.path == ()
    async with chat(engine=FakeEngine(model=replace(MODEL, thinking=ThinkingSupport.NONE))) as it:
        await it.send("/think")
        await it.sees("This model does not think before it answers.")
        assert it.draft == ""
        assert it.session.conversation.path == ()


async def test_a_path_that_names_no_file_is_said(tmp_path: Path) -> None:
    async with chat() as it:
        await it.ask(f"Look at @{tmp_path}/none.txt and mail me@home, @zoe")
        await it.sees("There is no file")
        assert "zoe goes as plain text" not in it.screen


async def test_a_file_counts_without_what_is_put_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.md").write_text("one\ntwo\nthree\n")
    async with chat() as it:
        await it.ask("Read @notes.md")
        await it.sees("3 lines, 13 B")


async def test_an_empty_last_reply_is_said_to_be_left_out_of_copying() -> None:
    async with chat(Script("Words."), Script("none", error=EngineFailed("No."), error_at=0)) as it:
        await it.ask("One")
        await it.ask("Two")
        await it.press("ctrl+y")
        await it.sees("The last reply has no words")


async def test_the_list_of_commands_says_how_many_more_there_are() -> None:
    async with chat() as it:
        await it.press("slash")
        await it.sees(f"↓ {len(WRITTEN) + len(SOFT_SWITCHES) - 8}")
        await it.press("up")
        await it.sees(f"↑ {len(WRITTEN) + len(SOFT_SWITCHES) - 8}")
        assert "↓" not in it.screen
