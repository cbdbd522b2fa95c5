"""The chat line by line as somebody has it who types at a terminal."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qwenchat.chat.messages import Role
from qwenchat.library.library import Library
from qwenchat.system.paths import Paths
from tests.process.test_chat import Terminal

PASTE_ON, PASTE_OFF = b"\x1b[?2004h", b"\x1b[?2004l"
"""What readline tells a terminal so that a paste can be told from typing; nothing of it is seen or heard."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INPUTRC", "/dev/null")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def start() -> Iterator[Callable[..., Terminal]]:
    terminals: list[Terminal] = []

    def begin(engine: dict[str, Any], *arguments: str, term: str = "xterm-256color") -> Terminal:
        terminals.append(Terminal(engine, "--plain", *arguments, term=term))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.child.close(force=True)


def said() -> list[str]:
    """What the user said in the latest conversation."""
    library = Library.open(Paths.of_user().database)
    try:
        return [m.text for m in library.read(str(library.latest())).messages if m.role is Role.USER]
    finally:
        library.close()


def leave(terminal: Terminal) -> None:
    terminal.keys("/quit\r")
    assert terminal.end() == 0


def test_nothing_moves_the_cursor(start: Callable[..., Terminal]) -> None:
    terminal = start({"scripts": [{"answer": "Paris.", "thought": "Hm."}]})
    terminal.shows("You:")
    terminal.keys("Capital?\r")
    terminal.shows("thinking...", "Hm.", "Qwen3-0.6B answers:", "Paris.")
    terminal.keys("\x03")
    terminal.shows("Ctrl+C again leaves")
    terminal.keys("More?\r")
    terminal.shows("More?")
    leave(terminal)
    assert b"\x1b" not in terminal.raw.replace(PASTE_ON, b"").replace(PASTE_OFF, b"")


def test_a_dumb_terminal_gets_no_escape_sequence(start: Callable[..., Terminal]) -> None:
    terminal = start({}, term="dumb")
    terminal.shows("You:")
    terminal.keys("Capita\x7fal?\r")
    terminal.shows("Paris")
    leave(terminal)
    assert b"\x1b" not in terminal.raw
    assert said() == ["Capital?"]


def test_a_paste_of_several_lines_is_one_message(start: Callable[..., Terminal]) -> None:
    terminal = start({})
    terminal.shows("You:")
    terminal.keys("\x1b[200~one\ntwo\n\tthree\x1b[201~")
    terminal.keys("\r")
    terminal.shows("Paris")
    leave(terminal)
    assert said() == ["one\ntwo\n\tthree"]


def test_a_long_line_is_sent_whole(start: Callable[..., Terminal]) -> None:
    terminal = start({})
    terminal.shows("You:")
    text = "x" * 6000
    terminal.keys(text + "\r")
    terminal.shows("Paris")
    leave(terminal)
    assert said() == [text]


def test_without_line_editing_what_a_terminal_drops_of_a_long_line_is_said(
    start: Callable[..., Terminal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "readline.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    terminal = start({})
    terminal.shows("You:")
    terminal.keys("x" * 5000 + "\r")
    terminal.shows("4,095 bytes a line and dropped the rest", "More:")
    terminal.keys("the rest\r")
    terminal.shows("Paris")
    leave(terminal)
    assert said() == ["x" * 4095 + "the rest"]


def test_up_brings_back_what_was_said_before_and_what_ctrl_c_dropped(start: Callable[..., Terminal]) -> None:
    terminal = start({})
    terminal.shows("You:")
    terminal.keys("Tell me of Rome\r")
    terminal.shows("Paris")
    leave(terminal)
    again = start({})
    again.shows("You:")
    again.keys("\x1b[A")
    again.shows("You: Tell me of Rome")
    again.keys(" and Athens")
    again.shows("Rome and Athens")
    again.keys("\x03")
    again.shows("Ctrl+C again leaves")
    again.keys("\x1b[A\r")
    again.shows("Paris")
    leave(again)
    assert said() == ["Tell me of Rome and Athens"]


def test_three_quotes_begin_and_end_a_block(start: Callable[..., Terminal]) -> None:
    terminal = start({})
    terminal.shows("You:")
    terminal.keys('"""\rone\\\r\rtwo"""\r')
    terminal.shows("Paris")
    leave(terminal)
    assert said() == ["one\\\n\ntwo"]


def test_tab_completes_commands_and_files(start: Callable[..., Terminal], tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("What stands there.\n")
    terminal = start({})
    terminal.shows("You:")
    terminal.keys("/vers\t\r")
    terminal.shows("/versions", "There is no message yet.")
    terminal.keys("read @no\t\r")
    terminal.shows("Attached notes.md: 1 line, 19 B.", "Paris")
    leave(terminal)
    assert said() == ["read @notes.md\n\nnotes.md:\n```md\nWhat stands there.\n```"]


def test_how_a_reply_that_broke_off_goes_on_is_said(start: Callable[..., Terminal]) -> None:
    terminal = start({"scripts": [
        {"answer": "one two", "finish": "length"}, {"thought": "Hm", "answer": "", "breaks_off": True},
        {"answer": "again and again", "finish": "repetition"},
    ]})  # fmt: skip
    terminal.shows("You:")
    terminal.keys("a\r")
    terminal.shows("The reply was interrupted. /continue lets it go on from there.")
    terminal.keys("b\r")
    terminal.shows("/answer makes the model answer from there.")
    terminal.keys("c\r")
    terminal.shows("/retry asks again with presence")
    leave(terminal)


def test_ctrl_d_leaves_on_a_line_of_its_own(start: Callable[..., Terminal]) -> None:
    terminal = start({})
    terminal.shows("You:")
    terminal.keys("\x04")
    assert terminal.end() == 0
    assert terminal.raw.replace(PASTE_OFF, b"").rstrip(b"\r").endswith(b"\n")


def test_a_model_that_cannot_be_loaded_is_said_before_the_first_message(start: Callable[..., Terminal]) -> None:
    terminal = start({"load_error": "There is no model nix."}, "--server", "localhost:1")
    terminal.shows("localhost:1 is being loaded", "There is no model nix.", "You:")
    terminal.keys("a\r")
    terminal.shows("/retry asks again.")
    assert "/continue" not in terminal.text
    assert re.search(r"no model nix.*You:", terminal.text, re.DOTALL)
    leave(terminal)
