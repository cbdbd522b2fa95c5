"""The command palette lists what can be done in groups, finds it by words, and writes commands in the composer."""

import pytest

from qwenchat.console.commands import WRITTEN
from qwenchat.library.library import Library
from qwenchat.tui.palette import rank
from tests.support.chat_driver import chat
from tests.support.fake_engine import Script


@pytest.mark.parametrize(
    ("typed", "better", "worse"),
    [
        ("mod", "Models", "Let several models answer"),
        ("model", "Let several models answer", "Supermodels"),
        ("models several", "Let several models answer", "Models"),
        ("new  Conv", "New conversation", "Renew conventions"),
    ],
)
def test_what_begins_with_what_is_typed_goes_first(typed, better, worse):
    assert rank(typed, better) > rank(typed, worse)


def test_scattered_letters_find_nothing_and_details_are_found_last():
    assert rank("stings", "Save something") == 0
    assert 0 < rank("ctrl+n", "New conversation", "Conversation · Ctrl+N") < rank("ctrl+n", "Ctrl+N explained")
    assert rank("(", "a") == rank("", "a") - 1 == 0


async def test_without_a_word_the_most_useful_stand_first_with_their_keys_and_commands():
    async with chat() as it:
        await it.press("ctrl+p")
        await it.sees("New conversation", "Conversation · Ctrl+N · /new", "Search in all conversations")
        lines = it.screen.splitlines()
        at = {
            text: next(n for n, line in enumerate(lines) if text in line) for text in ("New conv", "Models", "/export")
        }
        assert at["New conv"] < at["/export"] < at["Models"]


async def test_every_command_is_there():
    async with chat() as it:
        listed = [f"{title} {details}" for title, details, *_ in it.app.get_system_commands(it.app.screen)]
        for name in WRITTEN:
            assert any(f"/{name}" in line.split() for line in listed), name


async def test_a_command_that_wants_something_behind_it_is_written_and_the_draft_comes_back_after_it():
    library = Library.in_memory()
    async with chat(library=library) as it:
        await it.paste("half a thought")
        await it.press("ctrl+p", *"budget", "enter")
        await it.until(lambda: it.draft == "/budget ", "the command")
        assert it.composer.has_focus
        it.app._chat.keep_draft()
        assert library.draft(None).text == "half a thought"
        await it.press(*"500", "enter")
        await it.sees("Thoughts end after 500 tokens.")
        await it.until(lambda: it.draft == "half a thought", "the draft")


async def test_the_draft_comes_back_when_the_command_is_not_wanted_after_all():
    async with chat(Script("Yes.")) as it:
        await it.paste("half a thought")
        await it.press("ctrl+p", *"export", "enter")
        await it.sees("jsonl")
        await it.press("ctrl+c", "ctrl+p", *"/system", "enter")
        await it.until(lambda: it.draft == "/system ", "the command")
        await it.press("ctrl+c")
        await it.until(lambda: it.draft == "half a thought", "the draft")
        await it.press("enter")
        await it.sees("Yes.")
        assert it.draft == ""


async def test_the_theme_that_is_on_is_marked_and_comes_first():
    async with chat(theme="nord", size=(80, 24)) as it:
        await it.press("ctrl+p", *"theme", "enter")
        await it.sees("✓ nord", "  gruvbox")
        lines = [line.strip("▎▏▕▊│ ") for line in it.screen.splitlines()]
        assert lines.index("✓ nord") < lines.index("catppuccin-latte")
        await it.press(*"gruv", "enter")
        await it.until(lambda: it.app.theme == "gruvbox", "the theme")


@pytest.mark.parametrize("size", [(1, 1), (40, 12)])
async def test_the_palette_survives_a_small_terminal(size):
    async with chat(size=(100, 30)) as it:
        await it.press("ctrl+p")
        await it.sees("New conversation")
        await it.pilot.resize_terminal(*size)
        await it.press(*"[red]", "escape")
        await it.pilot.resize_terminal(100, 30)
        await it.press(*"ok")
        await it.until(lambda: it.draft == "ok", "the draft")
