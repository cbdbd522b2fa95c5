"""What a reader of messages notices: nothing covers the words, and hints fit, in every size."""

import re

import pytest

from qwenchat.chat.messages import Message, Role, TextPart

from .chat_driver import Chat, chat
from .fake_engine import Script

WORDS = " ".join(["abcdefgh"] * 30)


def _words(it: Chat) -> int:
    return len(re.findall(r"abcdefgh", it.screen))


async def test_the_dots_of_a_chosen_message_cover_nothing() -> None:
    async with chat(Script(WORDS), size=(76, 30)) as it:
        for width in (74, 75, 76, 77, 78, 79, 80, 81, 82):
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
        await it.sees("m all  y copy  r again  i inspect  l lens  Esc")
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


WIDE = "x = [" + ", ".join(f"item_{n:02}" for n in range(30)) + "]"


async def test_long_lines_of_code_are_wrapped_and_scrolled_by_keys_and_copied_as_written() -> None:
    async with chat(Script(f"So:\n\n```python\n{WIDE}\n```\n\nThat is all."), size=(80, 30)) as it:
        await it.ask("Go")
        assert "item_29" not in it.screen
        await it.press("ctrl+up")
        await it.sees("w wrap")
        await it.press(*["shift+right"] * 40)
        await it.sees("item_29")
        await it.press(*["shift+left"] * 40)
        await it.sees("x = [item_00")
        await it.press("w")
        await it.sees("item_00", "item_29")
        await it.press("k")
        await it.until(lambda: it.app.clipboard == f"{WIDE}\n", "the code as it was written")
        await it.press("w")
        await it.no_longer_sees("item_29")


async def test_a_message_without_code_says_so() -> None:
    async with chat(Script("Yes.")) as it:
        await it.ask("Go")
        await it.press("ctrl+up", "w")
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


async def test_a_very_long_message_is_not_looked_through_for_code() -> None:
    async with chat() as it:
        it.session.library.save("c", Message(Role.USER, (TextPart(f"```python\nx = 1\n```\n{'word ' * 5000}"),)))
        it.app._chat.opening.open("c")
        await it.press("ctrl+home")
        await it.sees("```python")


@pytest.mark.parametrize("size", [(40, 12), (1, 1)])
async def test_code_of_the_user_fits_every_screen(size: tuple[int, int]) -> None:
    async with chat(size=size) as it:
        await it.ask(TYPED)
        await it.press("ctrl+up", "up", "w")
        await it.pilot.resize_terminal(100, 30)
        await it.sees("def half(n)")
