"""What could be meant is offered while it is written: commands, their arguments, soft switches."""

import pytest

from qwenchat.console.commands import WRITTEN
from qwenchat.library.exchange.export import ExportFormat
from qwenchat.tui.text.completion import offer
from tests.support.chat_driver import chat
from tests.tui.test_composer import burst


def offered(before: str, first_line: bool = True) -> list[str]:
    found = offer(before, first_line)
    return [choice.insert for choice in found.choices] if found else []


class TestWhatIsOffered:
    def test_commands_by_their_beginning_and_first_the_one_that_is_complete(self):
        assert offered("/re") == ["/rename ", "/retry "]
        assert {f"/{name}" for name in WRITTEN} <= {choice.rstrip() for choice in offered("/")}
        assert offered("/xyz") == offered("/usr/bin") == offered("see /re") == []
        assert offered("/re", first_line=False) == []

    def test_the_fixed_arguments_of_commands(self):
        assert offered("/export ") == [str(form) for form in ExportFormat]
        assert offered("/export js") == ["json", "jsonl"]
        assert "qwen3-4b" in offered("/model ")
        assert offered("/retry temperature=0.2 th") == ["think=on", "think=off"]
        assert offered("/budget ") == ["off"]
        assert offered("/set top") == ["top_k", "top_p"]
        assert offered("/set top_k ") == []

    @pytest.mark.parametrize("before", ["/no", "What is it? /no", "a\t/no_th"])
    def test_the_soft_switches_anywhere_in_a_message(self, before):
        assert offered(before) == offered(before, first_line=False) == ["/no_think "]


class TestTheList:
    async def test_a_slash_lists_the_commands_and_enter_writes_and_sends_one(self):
        async with chat() as it:
            await it.ask("First question")
            await it.press("slash")
            await it.sees("/new", "New conversation", "/search WORDS")
            await it.press("n", "e")
            await it.no_longer_sees("/search")
            await it.press("enter")
            assert it.draft == "/new"
            await it.press("enter")
            await it.no_longer_sees("First question")
            assert it.draft == ""

    async def test_tab_accepts_the_arrows_choose_and_escape_closes(self):
        async with chat() as it:
            await it.press("slash", "r", "e", "down", "down", "up", "tab")
            assert it.draft == "/retry "
            await it.sees("temperature=", "top_k=")
            await it.press("escape")
            await it.no_longer_sees("top_k=")
            await it.press("t", "e")
            assert "temperature=" not in it.screen
            assert it.draft == "/retry te"

    async def test_nothing_is_chosen_before_an_argument_is_begun_so_that_enter_sends(self):
        async with chat() as it:
            await it.press(*"/budget", "space")
            await it.until(lambda: it.composer.dropdown.display, "the list")
            await it.press("enter")
            await it.sees("Thoughts have no limit.")

    async def test_a_command_typed_in_one_burst_is_heeded(self):
        async with chat() as it:
            await it.ask("First question")
            burst(it, *"/new", "enter", *"hello")
            await it.no_longer_sees("First question")
            await it.until(lambda: it.draft == "hello", "the next draft")

    async def test_a_click_accepts(self):
        async with chat() as it:
            await it.press("slash", "e")
            await it.click_text("/export")
            await it.until(lambda: it.draft == "/export ", "the command")
            await it.sees("jsonl")

    async def test_it_moves_nothing_and_fits_any_screen(self):
        async with chat() as it:
            await it.ask("First question")
            at = it.transcript.region, it.composer.region
            await it.press("slash")
            await it.sees("/search")
            assert (it.transcript.region, it.composer.region) == at
            for size in ((1, 1), (40, 12), (3, 4), (100, 40)):
                await it.pilot.resize_terminal(*size)
                await it.pilot.pause()
            await it.sees("/search")
