"""The help can be read at every width, says in words of its own what each key does, and finds what is typed."""

import re

import pytest
from textual.events import Paste

from qwenchat.system import clipboard
from qwenchat.tui.app import QwenChat
from qwenchat.tui.keys.bindings import inherited_bindings_of
from qwenchat.tui.keys.text_area_keys import EDITING, NOTHING
from qwenchat.tui.screens.help import HelpScreen
from qwenchat.tui.widgets.composer import Composer
from tests.support.chat_driver import Chat, chat
from tests.tui.test_hostile import ESCAPES, MARKUP

LONG = "Copy the selection; else stop, clear the draft, or quit"


async def opened(it: Chat) -> None:
    await it.press("f1")
    await it.sees("Keys and commands", "Ctrl+N  ")


async def typed(it: Chat, text: str) -> None:
    """Type `text` in place of what was typed."""
    await it.press("ctrl+u")
    it.app.post_message(Paste(text))


def rows(it: Chat) -> list[str]:
    """The lines of the table on the screen."""
    panel = it.app.screen.query_one("#panel").content_region
    lines = it.screen.splitlines()[panel.y + 2 : panel.bottom]
    return [line[panel.x : panel.right - 2].rstrip() for line in lines]


async def test_no_column_of_the_help_touches_the_next_at_any_width():
    async with chat(size=(40, 24)) as it:
        await opened(it)
        for width, columns in (40, 2), (80, 2), (99, 2), (100, 3), (112, 3), (135, 3), (136, 3), (200, 3):
            await it.pilot.resize_terminal(width, 24)
            await it.pilot.pause()
            line = next(line for line in rows(it) if line.startswith("Ctrl+N"))
            cells = re.split(r"\s{2,}", line)
            assert len(cells) == columns
            assert "New conversation".startswith(cells[1])


async def test_what_is_too_long_goes_on_below_itself():
    async with chat(size=(44, 60)) as it:
        await opened(it)
        await typed(it, "chat.copy")
        await it.sees("shows all")
        at = next(number for number, line in enumerate(rows(it)) if line.startswith("Ctrl+C"))
        keys, words = zip(*(re.split(r"\s{2,}", line) for line in rows(it)[at : at + 2]), strict=True)
        assert keys == ("Ctrl+C,", "Super+C")
        assert LONG.startswith(" ".join(words))


async def test_a_long_line_of_the_help_stands_on_one_line_where_there_is_room():
    async with chat(size=(200, 60)) as it:
        await opened(it)
        await it.sees(f"{LONG}  ", "chat.copy", "Ctrl+J, Alt+Enter, Shift+Enter  ")
        await it.pilot.resize_terminal(60, 12)
        for _ in range(3):
            await it.pilot.resize_terminal(1, 1)
            await it.pilot.resize_terminal(60, 12)
        await it.sees("Keys and commands")


async def test_the_help_says_what_editing_keys_do_in_words_of_its_own():
    async with chat(size=(100, 40)) as it:
        await opened(it)
        await it.press("end")
        await it.sees("Home, Ctrl+A", "To the beginning of the line", "Delete the word before")
        assert "Cursor" not in it.screen


async def test_the_help_lists_no_key_of_the_text_area_that_means_something_else_here():
    async with chat(size=(200, 320)) as it:
        await opened(it)
        await it.sees("Delete the line")
        listed, group = [], ""
        for line in rows(it):
            keys, _, words = line.partition("  ")
            if keys and not words:
                group = keys
            elif not group.startswith(("In ", "On a ")):
                listed += keys.split(", ") if keys else []
        assert {"Enter", "F1", "Ctrl+K"} < set(listed)
        assert sorted(set(listed)) == sorted(listed)


async def test_keys_scroll_while_one_types():
    async with chat(size=(100, 20)) as it:
        await opened(it)
        first = rows(it)[2]
        await it.press("down")
        await it.until(lambda: rows(it)[1] == first, "a line further down")
        await it.press("pagedown")
        await it.no_longer_sees("Thinking on or off")
        await it.press("pageup", "up")
        await it.until(lambda: rows(it)[2] == first, "the beginning")
        await it.press("end")
        await it.sees("Delete the line")
        await it.press("home")
        await it.sees("Thinking on or off")
        await it.press(*"ctrl")
        await it.sees("Esc shows all")
        await it.press("end")
        await it.no_longer_sees("Thinking on or off")
        await it.press(*"+")
        await it.sees("Thinking on or off")


class TestFinding:
    async def test_what_is_typed_is_found_in_keys_words_and_names(self):
        async with chat(size=(100, 30)) as it:
            await it.press("f1", *"+g")
            await it.sees("Esc shows all")
            assert [line.split()[0] for line in rows(it) if line[:1].strip()] == ["Chat", "Alt+G", "Ctrl+G"]
            await typed(it, "limit THOUGHT")
            await it.no_longer_sees("Thinking on or off")
            await it.sees("chat.budget")
            await typed(it, "sidebar.pin")
            await it.sees("In the list of conversations", "Pin")
            await typed(it, "/retry")
            await it.sees("Commands, as a message", "/retry SETTING=VALUE ...")
            await it.press("x")
            await it.sees("Nothing found")
            await it.press("backspace")
            await it.sees("/retry SETTING=VALUE ...")

    async def test_it_says_that_one_can_type_and_escape_goes_back_step_by_step(self):
        async with chat(size=(40, 12)) as it:
            await it.press("f1")
            await it.sees("Type a key or a word", "Esc closes", "Ctrl+N")
            await it.press(*"budget")
            await it.sees("Alt+G", "Esc shows all")
            await it.no_longer_sees("Ctrl+N")
            await it.press("escape")
            await it.sees("Type a key or a word", "Esc closes", "Ctrl+N")
            await it.press("escape")
            await it.until(lambda: not isinstance(it.app.screen, HelpScreen), "the help closed")
            assert it.draft == ""

    @pytest.mark.parametrize("hostile", [ESCAPES, MARKUP, ".*[(", "你好👋"], ids=["escapes", "markup", "regex", "wide"])
    async def test_anything_can_be_typed_or_pasted(self, hostile):
        async with chat(size=(40, 12)) as it:
            await opened(it)
            await typed(it, hostile)
            await it.sees("Nothing found")
            await it.pilot.resize_terminal(1, 1)
            await it.press("x", "pagedown", "end")
            await it.pilot.resize_terminal(40, 12)
            await it.sees("Nothing found")
            assert not [c for c in it.screen if ord(c) < 32 and c != "\n"]


async def test_keys_of_the_users_own_count_in_the_help_and_are_found():
    async with chat(
        size=(100, 30), keys={"help.page_down": "ctrl+l", "help.close": "f8", "chat.thinking": "f11"}
    ) as it:
        await it.press("f1")
        await it.sees("F8 closes", "Thinking on or off")
        await it.press("ctrl+l")
        await it.no_longer_sees("Thinking on or off")
        await it.press(*"f11")
        await it.sees("Thinking on or off", "F8 shows all")
        await it.press("f8", "f8")
        await it.until(lambda: not isinstance(it.app.screen, HelpScreen), "the help closed")


async def test_the_mouse_selects_lines_to_copy(monkeypatch):
    copied = []

    async def copy(text):
        copied.append(text)
        return "xclip"

    monkeypatch.setattr(clipboard, "copy", copy)
    async with chat(size=(100, 30)) as it:
        await opened(it)
        await typed(it, "chat.re")
        await it.sees("Esc shows all", "chat.retry")
        lines = it.screen.splitlines()
        y = next(number for number, line in enumerate(lines) if "Ctrl+R" in line)
        x = lines[y].index("Ctrl+R")
        await it.pilot.mouse_down(offset=(x, y))
        await it.pilot.hover(offset=(x + 60, y + 1))
        await it.pilot.mouse_up(offset=(x + 60, y + 1))
        await it.press("ctrl+c")
        await it.until(lambda: copied, "the copy")
        assert [re.split(r"\s{2,}", line)[:2] for line in copied[0].splitlines()] == [
            ["Ctrl+R", "Ask again for the last reply"], ["Ctrl+O", "Open or fold the latest reasoning"],
        ]  # fmt: skip
        await it.press(*"p")
        await it.sees("chat.rep")


def test_there_are_words_for_every_editing_key():
    groups, _ = QwenChat.places()
    inherited = inherited_bindings_of(Composer, (place.node for place in groups))
    said = {action for actions in EDITING.values() for action in actions} | NOTHING
    assert {binding.action for binding in inherited.values()} <= said
