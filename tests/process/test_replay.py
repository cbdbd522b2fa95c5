"""A replay as a user has it: in a pseudo-terminal, on the screen and line by line."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qwenchat.library.library import Library
from qwenchat.system.paths import Paths
from tests.cli.test_replay import TOLD
from tests.process.test_chat import Terminal
from tests.support.recordings import store

SGR = re.compile(rb"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    library = Library.open(Paths.of_user().database)
    store(library)
    library.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Terminal]]:
    """Starts the program; what still runs at the end of the test is killed."""
    terminals: list[Terminal] = []

    def begin(*arguments: str) -> Terminal:
        terminals.append(Terminal({}, "replay", "c0ff", *arguments))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.child.close(force=True)


def test_it_plays_on_the_screen_and_gives_the_terminal_back(start: Callable[..., Terminal]) -> None:
    terminal = start("--speed", "16")
    terminal.shows("▌ What is 2+2?", "It is four.", "▌ Thanks!", "You're welcome.", "■ ended")
    terminal.keys("q")
    assert terminal.end() == 0
    assert terminal.is_restored()


def test_a_signal_ends_it_as_a_program_that_was_signalled(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.shows("▸ playing")
    terminal.child.kill(15)
    assert terminal.end() == 143
    assert terminal.is_restored()


def test_line_by_line_it_says_the_same_text_and_moves_no_cursor(start: Callable[..., Terminal]) -> None:
    terminal = start("--plain", "--speed", "16")
    assert terminal.end() == 0
    assert b"\x1b[2mEasy \x1b[0m" in terminal.raw
    assert SGR.sub(b"", terminal.raw).decode().replace("\r\n", "\n") == TOLD
