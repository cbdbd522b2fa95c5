"""Keys that come at once act in the order in which they were pressed."""

from textual.events import Paste

from qwenchat.tui.settings.screen import SettingsScreen
from qwenchat.tui.transcript.long_list import LongList
from tests.support.chat_driver import chat
from tests.support.fake_engine import Script
from tests.tui.test_composer import burst


class TestBurst:
    async def test_what_is_typed_on_a_chosen_message_becomes_the_draft_as_a_whole(self):
        async with chat(Script("Paris.")) as it:
            await it.ask("Go")
            for typed in ("how old are you", "/delete", "what did you say"):
                await it.press("ctrl+up")
                await it.until(lambda: it.transcript.chosen, "a chosen message")
                burst(it, *typed)
                await it.until(lambda typed=typed: it.draft == typed, typed)
                it.composer.write("")
            assert len(it.session.conversation.path) == 2

    async def test_a_letter_behind_the_choice_acts_on_the_chosen_message(self):
        async with chat(Script("Paris.")) as it:
            await it.ask("Go")
            burst(it, "ctrl+up", "ctrl+up", "d")
            await it.sees("One message deleted.")
            assert it.draft == ""
            assert "Go" not in it.screen
            burst(it, "u", "escape", "d", Paste("raft"), "ctrl+up", "down", "s")
            await it.until(lambda: it.draft == "drafts", "the draft")
            await it.sees("Go")

    async def test_a_key_behind_others_in_a_screen_acts_on_what_those_have_highlighted(self):
        async with chat() as it:
            burst(it, "f2", "down", "down", "down", "right")
            await it.until(lambda: isinstance(it.app.screen, SettingsScreen), "the settings")
            rows = it.app.screen.query_one(LongList)
            await it.until(lambda: it.session.overrides.temperature is not None, "the value")
            assert rows.highlighted_row and rows.highlighted_row.key == "temperature"
            assert it.session.thinks

    async def test_what_follows_a_screen_that_is_closed_is_written(self):
        async with chat() as it:
            burst(it, "a", "f2", "down", "escape", "b", "f1", "f1", "c")
            await it.until(lambda: it.draft == "abc", "the draft")


class TestCtrlC:
    async def test_anything_done_in_between_takes_the_first_back(self):
        async with chat() as it:
            for between in (("/", "c", "o", "p", "y", "enter"), ("f1", "f1"), ("left",)):
                burst(it, "end", "ctrl+c", *between, "ctrl+c")
                await it.until(lambda: it.draft == "", "an empty draft")
                await it.pilot.pause()
                assert it.app.is_running
                assert it.app._exit is False
            burst(it, "ctrl+c")
            await it.until(lambda: not it.app.is_running, "the end")
