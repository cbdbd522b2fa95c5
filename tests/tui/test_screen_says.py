"""The screen says what counts and what keys do: every offer can be carried out, every list opens on what is on."""

from dataclasses import replace
from pathlib import Path

import pytest

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.tools import BUILT_IN
from qwenchat.session.attachments import is_path
from qwenchat.settings.presets import built_in
from qwenchat.tui.screens.tools import ABOUT
from tests.support.chat_driver import chat
from tests.support.fake_engine import MODEL, FakeEngine, Script


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("word", ["@missing.txt", "@a/b", "@~/plan", "@../x", '@"my plan"', "@x.tar.gz"])
def test_a_word_that_looks_like_a_file_is_taken_for_one(word: str) -> None:
    assert is_path(word)


@pytest.mark.parametrize("word", ["@zoe", "@zoe@social.example", "@2.5", "@v1.2"])
def test_a_name_is_taken_for_no_file(word: str) -> None:
    assert not is_path(word)


def test_every_tool_of_the_program_says_what_it_does() -> None:
    assert set(ABOUT) == set(BUILT_IN)


async def test_a_file_that_is_not_there_is_said_while_it_is_written_and_when_it_is_sent() -> None:
    async with chat() as it:
        await it.paste("See @missing.txt please")
        await it.sees("@missing.txt: no such file")
        await it.press("enter")
        await it.sees("There is no file missing.txt;")


async def test_on_a_chosen_message_letters_that_are_no_shown_action_go_into_the_draft() -> None:
    async with chat(Script("No code here."), size=(80, 24)) as it:
        await it.ask("Hello")
        for letter in "eckunN":  # of a prompt, of an interrupted reply, of code, of a deletion, of hits
            await it.press("ctrl+up")
            await it.until(lambda: it.transcript.chosen, "the message chosen")
            await it.press(letter)
            await it.until(lambda: it.transcript.chosen is None, f"{letter} in the draft")
            assert it.draft.endswith(letter)
        await it.press("ctrl+up")
        await it.sees(
            "m all", "y copy", "r again", "i inspect", "l lens", "d delete", "Shift+D delete from here", "Esc"
        )
        assert "c go on" not in it.screen
        await it.press("d")
        await it.sees("u undelete", "e change")
        await it.press("escape")
        await it.sees("F1 help", "Qwen3-0.6B")


async def test_going_on_is_not_offered_where_it_has_just_failed() -> None:
    failing = Script("", error=EngineFailed("The model failed."), error_at=0)
    stops = Script("One two three", error=EngineFailed("The model failed."), error_at=2)
    async with chat(stops, failing) as it:
        await it.ask("Count")
        await it.sees("/continue goes on with it")
        await it.send("/continue")
        await it.until(lambda: len(it.engine.turns) == 2, "the second turn")
        await it.sees("Ctrl+R asks again")
        assert "/continue goes on" not in it.screen


async def test_esc_is_said_to_do_what_it_does() -> None:
    async with chat(Script("Fine."), Script("one two", hold_at=1)) as it:
        await it.ask("First")
        await it.send("Second")
        await it.sees("Esc stops")
        await it.press("slash")
        await it.sees("Esc closes the list")
        assert "Esc stops" not in it.screen
        await it.press("escape", "backspace")
        await it.sees("Esc stops")
        it.engine.release()
        await it.idle()
        await it.send("/edit")
        await it.sees("Esc leaves")
        assert "F1 help" not in it.screen


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (100, 30)])
async def test_no_edge_of_the_draft_peeks_out_below_a_list(size: tuple[int, int]) -> None:
    async with chat(size=size) as it:
        for key, title in (("f2", "Settings"), ("f5", "Presets"), ("f10", "Tools"), ("f3", "To download")):
            await it.press(key)
            await it.sees(title)
            await it.until(lambda: "╰─" not in it.screen and "╭─" not in it.screen, f"{key} without the draft")
            await it.press("escape")
            await it.sees("╰─", "F1 help")


async def test_one_model_alone_to_compare_says_where_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from qwenchat.tui.models.compared_models import ComparedModels

    monkeypatch.setattr(ComparedModels, "here", lambda self, paths: iter(()))
    monkeypatch.setattr("qwenchat.tui.models.servers._nearby", lambda named, unwanted: ())
    async with chat() as it:
        await it.ask("Hello")
        await it.press("f7")
        await it.sees("There is only one model here. F3 gets others")
        await it.press("enter")
        await it.sees("There is only one model here.")
        await it.press("f3")
        await it.sees("To download")


async def test_the_list_of_models_opens_on_the_one_that_answers_also_where_a_server_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from qwenchat.chat.server_profile import Server
    from qwenchat.engine.remote.offer import ServedModel
    from qwenchat.tui.models.screen import ModelsScreen
    from qwenchat.tui.models.servers import ServerListing

    monkeypatch.setattr("qwenchat.tui.models.servers._nearby", lambda named, unwanted: ())
    engine = FakeEngine(model=replace(MODEL, name="big", server="box"))
    async with chat(engine=engine) as it:
        await it.press("f3")
        await it.sees("To download")
        screen = it.app.screen
        assert isinstance(screen, ModelsScreen)
        screen._servers._found = (
            ServerListing(Server("http://box:1"), "box", "box", offers=(ServedModel("small"), ServedModel("big"))),
        )
        screen._show()
        row = screen._list.highlighted_row
        assert row is not None and row.key == "http://box:1\nbig"
        await it.press("up")
        screen._show()
        assert screen._list.highlighted_row is not None and screen._list.highlighted_row.key == "http://box:1\nsmall"


async def test_the_empty_screen_shows_what_will_count_for_the_first_message() -> None:
    async with chat(Script("Aye."), presets=built_in()) as it:
        await it.sees("thinking  on")
        await it.press("ctrl+t")
        await it.sees("thinking  off")
        await it.send("/system Talk like a [pirate]")
        await it.sees("system prompt  Talk like a [pirate]")
        await it.ask("Hello")
        await it.press("ctrl+n")
        await it.sees("system prompt  Talk like a [pirate]")
        it.session.tools.on = ("calculator",)
        await it.send("/preset Brief")
        await it.sees("preset         Brief", "tools          calculator", "system prompt  Answer in as few words")


async def test_the_way_out_is_said_in_each_list_however_narrow_and_nothing_is_said_twice() -> None:
    async with chat(Script("Fine."), size=(60, 20)) as it:
        await it.ask("Hello")
        for key in ("f2", "f3", "f5", "f7", "ctrl+f", "f8"):
            await it.press(key)
            await it.sees("Esc leaves")
            await it.press("escape")
        await it.press("ctrl+up", "l")
        await it.sees("N and P go to doubtful tokens", "Esc leaves")
        await it.no_longer_sees("Shift+D")  # a key of the chat, which does nothing here
        await it.press("escape", "escape")
        await it.sees("F1 help")
        await it.pilot.pause(0.1)  # what was told on the screen before is cleared
        await it.press("ctrl+o", "ctrl+o")
        await it.sees("There is no reasoning to open here.")
        await it.pilot.pause()
        assert it.screen.count("There is no reasoning to open here.") == 1
        for number in range(5):
            it.app.notify(f"message {number}")
        await it.sees("message 4")
        assert len(it.app._notifications) == 3


async def test_what_was_mistyped_is_guessed_and_stays_in_the_draft() -> None:
    async with chat(Script("Fine."), presets=built_in()) as it:
        await it.ask("Hello")
        for typed, said in (
            ("/theme gruvbx", "Did you mean gruvbox?"),
            ("/export jsn", "Did you mean json?"),
            ("/preset presise", "Did you mean Precise?"),
            ("/tools calculater", "There is no tool calculater."),
            ("/set temprature 1", "Did you mean temperature?"),
            ("/retyr", "Did you mean /retry?"),
        ):
            it.composer.write(typed)
            await it.pilot.pause()
            await it.press("enter")
            await it.sees(said)
            assert it.draft == typed


async def test_models_that_were_to_be_compared_stay_in_the_draft_where_there_is_nothing_to_answer() -> None:
    async with chat() as it:
        it.composer.write("/compare box other")
        await it.pilot.pause()
        await it.press("enter")
        await it.sees("There is no message to answer.")
        assert it.draft == "/compare box other"
