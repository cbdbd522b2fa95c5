"""What a reader of messages notices: nothing covers the words, and hints fit, in every size."""

import re
from pathlib import Path

import pytest

from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.library.library import Library
from qwenchat.settings import config
from qwenchat.settings.settings import Width
from qwenchat.system.paths import Paths
from qwenchat.tui.transcript.long_list import LongList
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import Script
from tests.support.saved_conversations import put

WORDS = " ".join(["abcdefgh"] * 30)


def _words(it: Chat) -> int:
    return len(re.findall(r"abcdefgh", it.screen))


async def test_the_dots_of_a_chosen_message_cover_nothing() -> None:
    async with chat(Script(WORDS), size=(76, 30)) as it:
        for width in range(74, 80):
            await it.pilot.resize_terminal(width, 30)
            if not it.replies:
                await it.ask(WORDS)
            await it.press("ctrl+up")
            await it.sees("⋯")
            assert _words(it) == 60
            await it.press("up")
            await it.pilot.pause()
            assert _words(it) == 60
            await it.press("escape")


async def test_where_hints_do_not_fit_the_way_out_stays() -> None:
    async with chat(Script("Yes."), size=(100, 20)) as it:
        await it.ask("Go")
        await it.press("ctrl+up")
        await it.sees("m all  y copy  r again  i inspect  l lens  d delete")
        await it.pilot.resize_terminal(40, 20)
        await it.sees("m all  y copy  r again  Esc ─╯")
        await it.pilot.resize_terminal(16, 20)
        await it.sees(" Esc ─╯")


async def test_what_is_told_goes_with_its_screen() -> None:
    async with chat() as it:
        await it.send("/budget 500")
        await it.sees("500")
        await it.press("f2")
        await it.sees("Answers, from the next message on")
        assert not it.app._notifications
        await it.press("escape")
        await it.send("/budget off")
        await it.until(lambda: it.app._notifications, "a new notice")


WIDE = "x = [" + ", ".join(f"item_{n:02}" for n in range(20)) + "]"


async def test_long_lines_of_code_are_wrapped_and_scrolled_by_keys_and_copied_as_written() -> None:
    async with chat(Script(f"So:\n\n```python\n{WIDE}\n```\n\nThat is all."), size=(80, 30)) as it:
        await it.ask("Go")
        assert "item_19" not in it.screen
        await it.press("ctrl+up")
        await it.sees("Alt+Z wrap")
        await it.press(*["shift+right"] * 16)
        await it.sees("item_19")
        await it.press(*["shift+left"] * 16)
        await it.sees("x = [item_00")
        await it.press("alt+z")
        await it.sees("item_00", "item_19")
        await it.press("k")
        await it.until(lambda: it.app.clipboard == f"{WIDE}\n", "the code as it was written")
        await it.press("alt+z")
        await it.no_longer_sees("item_19")


async def test_a_message_without_code_says_so() -> None:
    async with chat(Script("Yes.")) as it:
        await it.ask("Go")
        await it.press("ctrl+up", "alt+z")
        await it.sees("There is no code in this message.")


TYPED = """Mend this:

```python
def half(n): return n / 2  # \x1b[31m[red]
```

| a | b |
```
not closed"""


async def test_code_that_the_user_typed_is_a_block_and_the_rest_is_as_typed() -> None:
    async with chat() as it:
        await it.ask(TYPED)
        await it.sees("Mend this:", "python ", "def half(n): return n / 2  # [red]", "| a | b |", "```", "not closed")
        assert "```python" not in it.screen
        await it.click_text("copy")
        await it.until(lambda: it.app.clipboard.startswith("def half(n)"), "the code")
        await it.press("ctrl+up", "up", "y")
        await it.until(lambda: it.app.clipboard == TYPED.replace("\x1b[31m", ""), "the message as it was typed")


@pytest.mark.parametrize("text", [f"```python\nx = 1\n```\n{'word ' * 5000}", "```python\nx = 1\n```\n" * 13])
async def test_a_very_long_message_and_one_with_many_blocks_stay_as_typed(text: str) -> None:
    async with chat() as it:
        it.session.library.save("c", Message(Role.USER, (TextPart(text),)))
        it.app._chat.opening.open("c")
        await it.sees(text.split()[-1])
        await it.pilot.pause()
        await it.press("ctrl+home")
        await it.sees("```python")


@pytest.mark.parametrize("size", [(40, 12), (1, 1)])
async def test_code_of_the_user_fits_every_screen(size: tuple[int, int]) -> None:
    async with chat(size=size) as it:
        await it.ask(TYPED)
        await it.press("ctrl+up", "up", "alt+z")
        await it.pilot.resize_terminal(100, 30)
        await it.sees("def half(n)")


async def test_text_is_as_wide_as_is_set_and_the_settings_change_that_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    async with chat(Script(WORDS), size=(200, 30), width=60) as it:
        reply = await it.ask("Go")
        assert reply.size.width <= 60 == it.composer.outer_size.width
        await it.press("f2")
        await it.sees("Answers, from the next message on")
        settings = it.app.screen.query_one(LongList)
        settings.highlighted = settings.index_of("width")
        await it.press("right")
        await it.until(lambda: it.composer.outer_size.width == 80, "the next width")
        await it.press("enter", *"full", "enter")
        await it.until(lambda: it.composer.outer_size.width > 190, "the whole width")
        await it.press("s")
        await it.until(lambda: 'width = "full"' in Paths.of_user().config_file.read_text(), "the setting in the file")


@pytest.mark.parametrize(
    ("written", "width", "problem"),
    [
        ("132", 132, ""),
        ('"full"', "full", ""),
        ("12", 100, "It must be at least 40"),
        ('"wide"', 100, "it should be a whole number or full"),
        ("true", 100, "it should be a whole number or full"),
    ],
)
def test_the_width_in_the_file_is_a_number_or_full(tmp_path: Path, written: str, width: Width, problem: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"width = {written}\n")
    settings, problems = config.read(file)
    assert settings.width == width
    assert bool(problems) == bool(problem)
    assert all(problem in said for said in problems)


@pytest.mark.parametrize("size", [(40, 12), (1, 1)])
async def test_the_whole_width_fits_every_screen(size: tuple[int, int]) -> None:
    async with chat(Script(WORDS), size=size, width="full") as it:
        await it.ask("Go")
        await it.pilot.resize_terminal(100, 30)
        await it.sees("abcdefgh")


async def test_titles_have_a_quarter_of_a_wide_terminal() -> None:
    library = Library.in_memory()
    title = "A title of a little more than forty columns"
    put(library, title)
    async with chat(library=library, size=(200, 30)) as it:
        await it.press("ctrl+b")
        await it.sees(title)
        await it.press("r", *" !", "enter")
        await it.sees(f"{title} !")
        await it.pilot.resize_terminal(60, 20)
        await it.no_longer_sees(title)
        await it.sees("Conversations")
