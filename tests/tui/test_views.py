"""Every screen at any size and without colours: what a reader can tell then."""

import pytest
from rich.style import Style

from tests.support.chat_driver import Chat
from tests.support.views import VIEWS, lives_through_any_size, still, view_of

__all__ = ["still"]

pytestmark = pytest.mark.usefixtures("still")
NAMED = {view.name: view for view in VIEWS}


def styles_of(it: Chat, text: str) -> list[Style]:
    """How each piece of the screen that has `text` in it is drawn."""
    strips = it.app.screen._compositor.render_strips()
    return [style for strip in strips for said, style, _ in strip if style and text in said]


class TestWithoutColours:
    @pytest.fixture(autouse=True)
    def no_color(self, monkeypatch):
        monkeypatch.setenv("NO_COLOR", "1")

    @pytest.mark.slow
    @pytest.mark.parametrize("view", VIEWS, ids=str)
    async def test_no_screen_has_any(self, view):
        async with view_of(view, (80, 24)) as it:
            it.app.theme = "qwenchat-light"
            await it.pilot.pause()
            for style in styles_of(it, ""):
                assert style.color is None or style.color.is_default
                assert style.bgcolor is None or style.bgcolor.is_default

    @pytest.mark.parametrize(
        ("view", "chosen", "other"),
        [
            ("sidebar", "Tides", "Plums"),
            ("completion", "/rename", "/retry"),
            ("chosen", "Why do words", "It is"),
            ("selected", "ords", "A draft of"),
            ("search", "You:", "About"),
            ("settings", "thinking_budget", "temperature"),
            ("presets", "Precise", "Creative"),
            ("compare", "1 lab/first", "2 lab/second"),
            ("palette", "New conversation", "Saved conversations"),
        ],
    )
    async def test_what_is_chosen_is_told_by_reversed_text(self, view, chosen, other):
        async with view_of(NAMED[view], (80, 24)) as it:
            assert all(style.reverse for style in styles_of(it, chosen))
            assert not any(style.reverse for style in styles_of(it, other))
            assert styles_of(it, chosen)
            assert styles_of(it, other)

    @pytest.mark.parametrize("view", ["chat", "streaming", "settings", "told"])
    async def test_screens_of_every_kind_have_none(self, view):
        await self.test_no_screen_has_any(NAMED[view])

    async def test_the_cursor_can_be_seen(self):
        async with view_of(NAMED["welcome"], (80, 24)) as it:
            await it.paste("Hello")
            assert any(style.reverse for style in styles_of(it, " "))

    async def test_words_tell_how_a_message_of_the_program_is_meant(self):
        async with view_of(NAMED["told"], (80, 24)) as it:
            await it.sees("Warning", "Error")

    async def test_words_and_marks_tell_thinking_and_failure(self):
        async with view_of(NAMED["streaming"], (80, 24)) as it:
            await it.sees("▾ thinking for")
        async with view_of(NAMED["failed"], (80, 24)) as it:
            await it.sees("failed: The model failed.")


@pytest.mark.parametrize("view", [view for view in VIEWS if not view.steady], ids=str)
async def test_every_screen_lives_through_any_size_while_a_reply_streams(view):
    """The others do so in `test_snapshots.py`, once their pictures are taken."""
    async with view_of(view, (80, 24)) as it:
        await lives_through_any_size(it)
