"""Tables in Markdown: their columns, what is selected in them, and how they grow."""

import pytest
from rich.cells import cell_len

from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import Script
from tests.tui.test_copying import select

TABLE = "| word | what it is | n |\n|:--|:-:|--:|\n| **fig** | a `fruit` | 777 |\n| 漢字 | two characters | 42 |\n"


def frame_of(it: Chat) -> list[str]:
    """The lines of the table."""
    lines = [line.strip() for line in it.screen.splitlines()]
    return [line for line in lines if line[:1] in tuple("┌│├└") and "Write a message" not in line]


async def test_columns_are_as_wide_as_they_need_to_be_and_aligned():
    async with chat(Script(TABLE)) as it:
        await it.ask("Go")
        assert frame_of(it) == [
            "┌──────┬────────────────┬─────┐",
            "│ word │   what it is   │   n │",
            "├──────┼────────────────┼─────┤",
            "│ fig  │    a fruit     │ 777 │",
            "├──────┼────────────────┼─────┤",
            "│ 漢字 │ two characters │  42 │",
            "└──────┴────────────────┴─────┘",
        ]


async def test_what_has_no_room_is_wrapped_in_its_column():
    text = "| a | b |\n|---|---|\n| one | " + "many words " * 20 + "|\n| two | x |\n"
    async with chat(Script(text), size=(60, 24)) as it:
        await it.ask("Go")
        lines = frame_of(it)
        assert len({cell_len(line) for line in lines}) == 1
        assert " ".join(lines).count("many words") > 10
        assert sum(line.startswith("│ one") for line in lines) == 1


async def test_it_is_the_same_while_it_grows_and_in_the_end():
    async with chat(Script(TABLE + "\nThat is all.", hold_at=(TABLE + "\nThat is all.").count(" "))) as it:
        await it.send("Go")
        await it.sees("That is")
        grown = frame_of(it)
        it.engine.release()
        await it.sees("That is all.", "tok/s")
        assert frame_of(it) == grown != []


@pytest.mark.parametrize(
    ("first", "last", "copied"),
    [
        ("fig", "777", "fig\ta fruit\t777"),
        ("fruit", "42", "fruit\t777\nplum\ttwo words\t42"),
        ("what", "it is", "what it is"),
    ],
)
async def test_what_is_selected_has_tabs_between_the_cells(first: str, last: str, copied: str):
    async with chat(Script(TABLE.replace("漢字", "plum").replace("characters", "words"))) as it:
        await it.ask("Go")
        await select(it, first, last)
        await it.press("ctrl+c")
        await it.until(lambda: it.app.clipboard, "the copy")
        assert it.app.clipboard == copied


async def test_a_link_in_a_cell_is_followed(monkeypatch: pytest.MonkeyPatch):
    async with chat(Script("| a |\n|---|\n| see [the page](https://example.org/x) |\n")) as it:
        await it.ask("Go")
        opened: list[str] = []
        monkeypatch.setattr(it.app, "open_url", lambda url, **_: opened.append(url))
        row, line = next((y, line) for y, line in enumerate(it.screen.splitlines()) if "the page" in line)
        await it.pilot.click(offset=(line.index("the page") + 2, row))
        await it.until(lambda: opened == ["https://example.org/x"], "the page")


@pytest.mark.parametrize("size", [(1, 1), (20, 8), (40, 12), (200, 60)])
async def test_rows_of_any_length_and_hostile_cells_in_any_size(size: tuple[int, int]):
    text = "| a | b |\n|---|---|\n| [red]x[/red] \x1b[2J |\n| 1 | 2 | 3 |\n|  |  |\n| " + "漢" * 50 + " | |\n\nOver."
    async with chat(Script(text), size=size) as it:
        await it.ask("Go")
        await it.press("ctrl+up", "alt+z", "shift+right", "escape")
        assert it.session.conversation.path[-1].text == text
        if size[0] >= 40:
            await it.sees("Over.")
