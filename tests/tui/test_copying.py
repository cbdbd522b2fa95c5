"""What is copied out of a message, and its code saved in a file."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from markdown_it.token import Token
from textual.events import MouseScrollDown
from textual.geometry import Offset

from qwenchat.chat.invisible import INVISIBLE
from qwenchat.chat.text import safe
from qwenchat.system import clipboard
from qwenchat.tui.markdown.pieces import parser
from qwenchat.tui.markdown.plain_text import CodeText, code_in, plain
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import Script

HIDDEN = re.compile(f"[{INVISIBLE}\x00-\x08\x0b-\x1f\x7f-\x9f]")
REPLY = """# Title

Some **bold** and `code`, a [link](https://example.org) and \\(x^2\\).

- one
- two
  1. deep

```python
print("hi")
```

| a | b |
|---|---|
| 中文 | 2 |

```sh
ls -l
```
"""


def test_plain_text_has_no_marks() -> None:
    assert plain(REPLY) == (
        "Title\n\nSome bold and code, a link (https://example.org) and x².\n\n- one\n- two\n  1. deep\n\n"
        'print("hi")\n\na     b\n中文  2\n\nls -l'
    )
    assert plain("> quoted\n> more\n\n1. a\n\n   b\n2. c") == "  quoted\n  more\n\n1. a\n\n   b\n\n2. c"
    assert plain("![a cat](cat.png) <b>x</b> a@b.org\\\nnext") == "a cat <b>x</b> a@b.org\nnext"


@pytest.mark.parametrize(
    "shape", ["a{}b", "# a{}b", "- a{}b", "> a{}b", "|a{}b|\n|-|\n|c{}d|", "[a{}b](x)", "![a{}b](x)", "*a*{}b"]
)
def test_no_spelling_of_an_invisible_character_makes_one(shape: str) -> None:
    """The parser reads entities, and what an address spells, after the text was made safe."""
    points = [
        0xAD,
        0x34F,
        0x61C,
        0x180E,
        0x200B,
        0x200D,
        0x200F,
        0x2028,
        0x202E,
        0x2061,
        0x2066,
        0xFEFF,
        0xE0041,
        0xE0100,
    ]
    spelled = [spelling for at in points for spelling in (f"&#x{at:x};", f"&#{at};", f"&#X{at:06X};")]
    spelled += [f" https://a.org/{quote(chr(at))} " for at in points]
    spelled += [
        "&ZeroWidthSpace;",
        "&shy;",
        "&lrm;",
        "&zwj;",
        "&NoBreak;",
        "&InvisibleTimes;",
        "&ApplyFunction;",
        "&#27;[2J",
        "&#155;2J",
    ]
    for text in spelled:
        markdown = shape.replace("{}", text)
        shown = [token.content for token in flat(parser().parse(safe(markdown))) if token.type == "text"]
        for said in (plain(markdown), *shown):
            assert not HIDDEN.search(said), text


def flat(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from flat(token.children or ())


def test_code_is_found_with_its_language() -> None:
    assert code_in(REPLY) == (CodeText("python", 'print("hi")\n'), CodeText("sh", "ls -l\n"))
    assert code_in("- ```\n  a\n  ```\n\n> ~~~c x=1\n> b\n") == (CodeText("", "a\n"), CodeText("c", "b\n"))


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("python", "reply.py"), ("sh", "reply.sh"), ("js", "reply.js"), ("C++", "reply.cpp"), ("", "reply.txt"),
        ("../../x", "reply.txt"), ("docker", "Dockerfile"), ("json", "reply.json"), ("toml", "reply.toml"),
    ],
)  # fmt: skip
def test_a_file_is_named_after_its_language(language: str, name: str) -> None:
    assert CodeText(language, "").file_name == name


async def copied(it: Chat, text: str) -> None:
    await it.until(lambda: it.app.clipboard == text, f"the copy of {text!r}, not {it.app.clipboard!r}")


async def test_a_message_is_copied_as_plain_text() -> None:
    async with chat(Script(answer="A **bold** word.")) as it:
        await it.ask("Say it")
        await it.press("ctrl+up", "Y")
        await copied(it, "A bold word.")


async def test_one_block_is_copied_at_once_and_several_are_listed() -> None:
    async with chat(Script(answer="So:\n\n```python\nx = 1\n```\n"), Script(answer=REPLY)) as it:
        await it.ask("One")
        await it.press("ctrl+up", "k")
        await copied(it, "x = 1\n")
        await it.press("k")
        await it.sees("Code in this message")
        await it.press("escape", "escape")
        await it.ask("Two")
        await it.press("ctrl+up", "k")
        await it.sees("python", 'print("hi")', "1 line", "ls -l")
        await it.press("down", "enter")
        await copied(it, "ls -l\n")


async def test_code_is_saved_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    async with chat(Script(answer=REPLY)) as it:
        await it.ask("Go")
        await it.press("ctrl+up", "k", "s")
        await it.sees("reply.py")
        await it.press("enter")
        await it.sees("Saved in")
        assert (tmp_path / "reply.py").read_text() == 'print("hi")\n'
        (tmp_path / "reply.py").write_text("mine")
        await it.press("s", "enter")
        await it.sees("Enter again replaces it")
        assert (tmp_path / "reply.py").read_text() == "mine"
        await it.press("enter")
        await it.sees("Saved in")
        assert (tmp_path / "reply.py").read_text() == 'print("hi")\n'
        await it.press("s", "ctrl+u", *"~/nowhere/a.py", "enter")
        await it.sees("~/nowhere/a.py cannot be written: there is no such folder")
        await it.press("ctrl+u", *"~/fol")
        await it.sees("~/folder/")
        await it.press("tab", *"a.py", "enter")
        await it.sees("Saved in")
        assert (tmp_path / "folder" / "a.py").exists()
        await it.press("s", "ctrl+u", *"folder", "enter")
        await it.sees("it is a folder")


async def test_whatever_is_copied_is_safe_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is pasted into a shell is obeyed there, so both ways to the clipboard are given what can be seen."""
    given: list[str] = []

    async def take(text: str) -> str:
        given.append(text)
        return "xclip"

    monkeypatch.setattr(clipboard, "copy", take)
    monkeypatch.chdir(tmp_path)
    hostile = "\x1b[201~rm -rf ~\x00\x9b2J\u202e&#x202e;"
    async with chat(Script(answer=f"Say {hostile}:\n\n```sh{hostile}\nls {hostile}\n```\n"), size=(80, 30)) as it:
        await it.ask(f"Go {hostile}")
        await it.press("ctrl+up", "y")
        await it.until(lambda: len(given) == 1, "the message")
        await it.press("Y")
        await it.until(lambda: len(given) == 2, "its words")
        await it.press("k")
        await it.until(lambda: len(given) == 3, "its code")
        await it.press("k", "s", "enter")
        await it.sees("Saved in")
        await it.press("enter")
        await it.until(lambda: len(given) == 4, "the block of the list")
        (saved,) = tmp_path.iterdir()
        for text in (*given, it.app.clipboard, saved.read_text()):
            assert "rm -rf ~" in text
            assert not HIDDEN.search(text)


async def test_a_message_without_code_says_so() -> None:
    async with chat(Script(answer="Nothing.")) as it:
        await it.ask("Go")
        it.app._chat.action_act("code")
        await it.sees("There is no code in this message.")


async def test_the_menu_says_and_does_what_can_be_done() -> None:
    async with chat(Script(answer="A **bold** word.")) as it:
        await it.ask("Go")
        await it.press("ctrl+up", "m")
        await it.sees("This message", "Shift+Y", "Copy the message as plain text")
        await it.press("Y")
        await copied(it, "A bold word.")
        assert "Change your message" not in it.screen
        await it.press("m", "down", "enter")
        await copied(it, "A **bold** word.")


async def test_the_mouse_opens_the_menu_and_copies_code() -> None:
    async with chat(Script(answer="So:\n\n```python\nx = 1\n```\n"), size=(80, 30)) as it:
        await it.ask("Go")
        assert "⋯" not in it.screen
        line = next(at for at, text in enumerate(it.screen.splitlines()) if "x = 1" in text)
        await it.pilot.hover(offset=Offset(20, line))
        await it.sees("⋯")
        await it.click_text("⋯")
        await it.sees("This message")
        await it.press("escape")
        await it.click_text("copy")
        await copied(it, "x = 1\n")
        await it.pilot.click(offset=Offset(8, line), button=3)
        await it.sees("This message")
        await it.pilot.click(offset=Offset(1, 1))
        await it.no_longer_sees("This message")


async def select(it: Chat, first: str, last: str) -> None:
    """Drag the mouse from the beginning of one text to the end of another."""
    lines = it.screen.splitlines()
    start, end = ((y, line) for text in (first, last) for y, line in enumerate(lines) if text in line)
    await it.pilot.mouse_down(offset=Offset(start[1].index(first), start[0]))
    await it.pilot.hover(offset=Offset(end[1].index(last) + len(last), end[0]))
    await it.pilot.mouse_up(offset=Offset(end[1].index(last) + len(last), end[0]))


async def test_what_is_selected_is_copied_as_it_is_shown() -> None:
    text = "First \\(x^2\\) **words**.\n\n```python\ny = 2\n```\n\n- last item\n"
    async with chat(Script(thought="Hmm, well.", answer=text)) as it:
        await it.ask("Go")
        await it.press("ctrl+o")
        await it.sees("Hmm, well.")
        await select(it, "well.", "last item")
        await it.press("ctrl+c")
        await it.until(lambda: it.app.clipboard, "the copy")
        assert it.app.clipboard.split("\n") == ["well.", "First x² words.", "y = 2", "• last item"]


async def test_the_end_of_a_reply_changes_nothing_that_is_shown() -> None:
    text = "So \\(x^2\\):\n\n```python\n" + "print(1)  # a line\n" * 5 + "```\n\nThen.\n\n```sh\nls -l\n```\n"
    tokens = len(text.split(" "))
    async with chat(Script(answer=text, hold_at=tokens - 1)) as it:
        await it.send("Go")
        await it.sees("So x²:", "print(1)  # a line", "Then.", "sh", "ls")
        before = [line for line in it.screen.splitlines() if "print" in line or "python" in line]
        it.engine.release()
        await it.idle()
        await it.sees("ls -l")
        assert [line for line in it.screen.splitlines() if "print" in line or "python" in line] == before
        assert len(before) == 6


async def test_a_wide_table_keeps_its_words_and_scrolls_sideways() -> None:
    cells = " | ".join(f"column{n}" for n in range(12))
    async with chat(Script(answer=f"| {cells} |\n{'|---' * 12}|\n| {cells} |\n"), size=(60, 20)) as it:
        await it.ask("Go")
        await it.sees("column0", "column3")
        line = next(at for at, text in enumerate(it.screen.splitlines()) if "column0" in text)
        for _ in range(60):
            await it.pilot._post_mouse_events([MouseScrollDown], offset=Offset(20, line), shift=True)
        await it.sees("column11")


async def test_long_lines_of_code_scroll_sideways() -> None:
    async with chat(Script(answer="```python\nstart = 1  # " + "x" * 200 + " end\n```\n"), size=(60, 20)) as it:
        await it.ask("Go")
        line = next(at for at, text in enumerate(it.screen.splitlines()) if "start" in text)
        for _ in range(100):
            await it.pilot._post_mouse_events([MouseScrollDown], offset=Offset(20, line), shift=True)
        await it.sees("xxx end")


@pytest.mark.parametrize("size", [(1, 1), (40, 12)])
async def test_hostile_code_and_small_screens(size: tuple[int, int]) -> None:
    hostile = "\x1b]0;pwned\x07[red]漢字[/red]"
    text = f"```{hostile}\n{hostile * 30}\n```\n\n```\nx\n```\n"
    async with chat(Script(answer=text), size=size) as it:
        await it.ask("Go")
        await it.press("ctrl+up", "k", "s", "escape", "escape", "m", "escape")
        assert "pwned" not in it.screen
        await it.press("k")
        await it.pilot.resize_terminal(80, 24)
        await it.sees("Code in this message", "[red]漢字")


async def test_another_name_takes_back_the_leave_to_replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reply.py").write_text("mine")
    async with chat(Script(answer=REPLY)) as it:
        await it.ask("Go")
        await it.press("ctrl+up", "k", "s", "enter")
        await it.sees("Enter again replaces it")
        await it.press("x", "backspace", "enter", "escape")
        await it.sees("Enter copies it")
        assert (tmp_path / "reply.py").read_text() == "mine"


async def test_vim_has_another_key_for_code() -> None:
    async with chat(Script(answer=REPLY), vim=True) as it:
        await it.ask("Go")
        await it.press("ctrl+up", "b")
        await it.sees("Code in this message")


PASTE_END = "\x1b[201~rm -rf ~\n"
"""Ends a bracketed paste in a shell, which then runs what follows."""


def test_code_and_plain_text_hold_nothing_that_a_terminal_obeys() -> None:
    hostile = f"```sh\nls\t-l {PASTE_END}\x9b201~\x00\x07\u200b\n```\n\n**b**{PASTE_END}"
    (code,) = code_in(hostile)
    assert code.text == "ls\t-l rm -rf ~\n⟨ZWSP⟩\n"
    assert plain(hostile) == "ls\t-l rm -rf ~\n⟨ZWSP⟩\n\nbrm -rf ~"


async def test_the_clipboard_and_a_saved_file_get_what_the_screen_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    taken: list[str] = []

    async def take(text: str) -> str:
        taken.append(text)
        return "a tool"

    monkeypatch.setattr("qwenchat.tui.app.clipboard.copy", take)
    answer = f"Run **this**:\u202e\n\n```sh\nls\t-l {PASTE_END}```\n"
    async with chat(Script(answer=answer)) as it:
        await it.ask(f"Go\x9b201~{PASTE_END}")
        for key, text in (
            ("y", "Run **this**:⟨RLO⟩\n\n```sh\nls\t-l rm -rf ~\n```\n"),
            ("Y", "Run this:⟨RLO⟩\n\nls\t-l rm -rf ~"),
            ("k", "ls\t-l rm -rf ~\n"),
        ):
            await it.press("escape", "ctrl+up", key)
            await copied(it, text)
            await it.until(lambda text=text: taken[-1:] == [text], "the tool")
        await it.press("k", "s", "enter")
        await it.sees("Saved in")
        assert (tmp_path / "reply.sh").read_text() == "ls\t-l rm -rf ~\n"
        it.app.copy_to_clipboard("x\ud83d\x1b[201~y")
        await copied(it, "x\N{REPLACEMENT CHARACTER}y")
