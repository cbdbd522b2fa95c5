"""The help can be read at every width, and says in words of its own what each key does."""

from itertools import pairwise

import pytest
from textual.widgets import Static

from qwenchat.tui.app import QwenChat
from qwenchat.tui.editing import EDITING, NOTHING
from qwenchat.tui.keys import inherited_bindings_of
from qwenchat.tui.widgets.composer import Composer

from .chat_driver import chat

LONG = "Copy the selection; else stop, clear the draft, or quit"


@pytest.mark.parametrize("width", [40, 80, 112, 200])
async def test_no_column_of_the_help_touches_the_next(width):
    async with chat(size=(width, 24)) as it:
        await it.press("f1")
        await it.sees("Keys and commands")
        for row in it.app.screen.query(".row"):
            shown = [cell for cell in row.query(Static) if cell.display and str(cell.render())]
            for cell, after in pairwise(shown):
                assert cell.content_region.right + 2 <= after.content_region.x


async def test_a_long_line_of_the_help_stands_on_one_line_where_there_is_room():
    async with chat(size=(200, 60)) as it:
        await it.press("f1")
        await it.sees(f"{LONG}  ", "chat.copy")
    async with chat(size=(60, 12)) as it:
        await it.press("f1")
        await it.sees("Keys and commands")
        for _ in range(3):
            await it.pilot.resize_terminal(1, 1)
            await it.pilot.resize_terminal(60, 12)
        await it.sees("Keys and commands")


async def test_the_help_says_what_editing_keys_do_in_words_of_its_own():
    async with chat(size=(100, 40)) as it:
        await it.press("f1")
        await it.sees("Keys and commands")
        await it.press("end")
        await it.sees("Home, Ctrl+A", "To the beginning of the line", "Delete the word before")
        assert "Cursor" not in it.screen


def test_there_are_words_for_every_editing_key():
    groups, _ = QwenChat.places()
    inherited = inherited_bindings_of(Composer, (place.node for place in groups))
    said = {action for actions in EDITING.values() for action in actions} | NOTHING
    assert {binding.action for binding in inherited.values()} <= said
