"""Lists in Markdown while they grow, and after."""

import pytest

from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import Script

NUMBERS = "".join(f"{number}. item {number}\n" for number in range(1, 12))
NESTED = "- one\n- two **bold**\n  - inner `code`\n\n  and more\n- three\n"
LONG = "- " + "a long item that does not fit in one line of the screen " * 3 + "\n- short\n"


def lines_of(it: Chat) -> list[str]:
    """The lines of the list."""
    lines = [line.rstrip() for line in it.screen.splitlines()]
    start = next(at for at, line in enumerate(lines) if "Here:" in line)
    end = next((at for at, line in enumerate(lines) if "That is" in line), len(lines))
    return [line for line in lines[start + 1 : end] if line]


@pytest.mark.parametrize("text", [NUMBERS, NESTED, LONG, "> - quoted\n> - too\n"])
async def test_a_list_looks_the_same_while_it_grows_as_in_the_end(text: str):
    answer = "Here:\n\n" + text + "\nThat is all."
    async with chat(Script(answer, hold_at=len(answer.split(" ")) - 1)) as it:
        await it.send("Go")
        await it.sees("That is")
        grown = lines_of(it)
        it.engine.release()
        await it.sees("That is all.", "tok/s")
        assert lines_of(it) == grown != []


async def test_numbers_stand_below_each_other():
    async with chat(Script("Here:\n\n" + NUMBERS)) as it:
        await it.ask("Go")
        await it.sees("  9. item 9", " 10. item 10")


async def test_the_lines_of_an_item_stand_clear_of_its_mark():
    async with chat(Script("Here:\n\n" + LONG)) as it:
        await it.ask("Go")
        first, second, *_ = lines_of(it)
        assert first.index("a long") == len(second) - len(second.lstrip())


async def test_an_item_is_pointed_at_and_dragged_over_like_any_text():
    async with chat(Script("Here:\n\n- first item\n- second item\n")) as it:
        await it.ask("Go")
        await it.sees("• second item")
        lines = it.screen.splitlines()
        row = next(at for at, line in enumerate(lines) if "• first item" in line)
        column = lines[row].index("first")
        await it.pilot.mouse_down(offset=(column + 6, row))
        await it.pilot.mouse_up(offset=(column + 6, row + 1))
        await it.pilot.pause()
        assert it.app.screen.get_selected_text() in ("item\n• second", "item\n• second ")


@pytest.mark.parametrize("mark", ["- ", "1. "])
async def test_a_long_list_has_no_empty_lines_but_two_lists_have(mark: str):
    items = "".join(f"{mark}item {at} of many\n" for at in range(40))
    async with chat(Script(f"Here:\n\n{items}\n\n* another\n"), size=(80, 60)) as it:
        await it.ask("Go")
        rows = [line.strip() for line in it.screen.splitlines()]
        start = next(at for at, line in enumerate(rows) if "item 0 of" in line)
        assert all("of many" in line for line in rows[start : start + 40])
        assert rows[start + 40 : start + 42] == ["", "• another"]


@pytest.mark.parametrize("text", ["- " * 12 + "deep", "> " * 12 + "deep", "1. " * 15 + "deep", "1. " * 300 + "deep"])
async def test_what_is_nested_deeply_is_shown(text: str):
    async with chat(Script(f"Here: {text.count(' ')}\n\n{text}\n\nOver."), size=(140, 60)) as it:
        await it.ask("Go")
        await it.sees("Here:", "Over.")
        await it.sees("deep" if len(text) < 60 else "1. 1. 1. 1.")
