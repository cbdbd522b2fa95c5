"""The program as a user has it: in a terminal, by keys, over a scripted engine."""

import json
import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest

from qwenchat.chat.messages import Message, Status
from qwenchat.library.library import Library
from qwenchat.system.paths import Paths
from tests.support.patience import PATIENCE_S
from tests.support.unprivileged import unprivileged

LAUNCH = str(Path(__file__).parents[1] / "support" / "launch.py")
"""Long enough for a loaded machine; nothing waits this long unless it fails."""
ROWS, COLUMNS = 30, 100
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=][0-9;]*[A-Za-z]|\x1bP[^\x1b]*\x1b\\")
ALTERNATE_SCREEN = (b"\x1b[?1049h", b"\x1b[?1049l")
HIDDEN_CURSOR = (b"\x1b[?25l", b"\x1b[?25h")


class Terminal:
    """A pseudo-terminal with the program in it: what it wrote, and what its screen shows."""

    def __init__(
        self, engine: dict[str, Any], *arguments: str, without_root: bool = False, term: str = "xterm-256color"
    ) -> None:
        self.raw = b""
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        environment = os.environ | {"TERM": term, "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        command = [sys.executable, LAUNCH, json.dumps(engine), *arguments]
        command = unprivileged(command) if without_root else command
        self.child = pexpect.spawn(
            command[0], command[1:],
            env=environment, dimensions=(ROWS, COLUMNS), timeout=PATIENCE_S,
        )  # fmt: skip

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def read(self) -> bool:
        """Take in what has come; False at the end."""
        try:
            data = self.child.read_nonblocking(65536, timeout=0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", data))
        return True

    def until(self, condition: Callable[[str], object]) -> None:
        """Read until the screen satisfies the condition."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition(self.text):
            assert time.monotonic() < deadline, f"never came; the screen:\n{self.text}"
            assert self.read() or condition(self.text), f"the program ended:\n{self.text}\n{self.raw[-2000:]!r}"

    def shows(self, *texts: str) -> None:
        """Read until the screen shows all of these, on one line or wrapped."""
        self.until(lambda text: all(wanted in text or wanted in " ".join(text.split()) for wanted in texts))

    def keys(self, keys: str) -> None:
        self.child.send(keys)

    def end(self) -> int:
        """Read to the end; the exit code, negative for a signal that killed."""
        deadline = time.monotonic() + PATIENCE_S
        while self.read():
            assert time.monotonic() < deadline, f"it does not end; the screen:\n{self.text}"
        self.child.wait()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -self.child.signalstatus)

    def is_restored(self) -> bool:
        """Whether the screen from before is back and the cursor is seen."""
        return all(
            self.raw.rfind(undone) > self.raw.rfind(done) >= 0 for done, undone in (ALTERNATE_SCREEN, HIDDEN_CURSOR)
        )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("QWENCHAT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def start() -> Iterator[Callable[..., Terminal]]:
    """Starts the program; what still runs at the end of the test is killed."""
    terminals: list[Terminal] = []

    def begin(engine: dict[str, Any], *arguments: str, without_root: bool = False) -> Terminal:
        terminals.append(Terminal(engine, *arguments, without_root=without_root))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.child.close(force=True)


def saved() -> list[tuple[str, Status]]:
    """Text and status of every message of the latest conversation."""
    library = Library.open(Paths.of_user().database)
    try:
        assert library.notice == ""
        messages: tuple[Message, ...] = library.read(str(library.latest())).messages
        return [(message.text, message.status) for message in messages]
    finally:
        library.close()


def numbered(count: int) -> str:
    return " ".join(f"word{at}" for at in range(count))


def test_type_while_it_loads_send_see_it_stream_toggle_stop_quit_and_resume(
    start: Callable[..., Terminal], tmp_path: Path
) -> None:
    release = tmp_path / "release"
    engine = {
        "loading_holds": True,
        "release": str(release),
        "scripts": [{"answer": numbered(2000), "delay_s": 0.02}],
    }
    terminal = start(engine)
    terminal.shows("F1 help")
    terminal.keys("Tell me a story")
    terminal.shows("Tell me a story")
    assert not release.exists()
    terminal.keys("\r")
    terminal.shows("waiting for the model")
    assert saved() == [("Tell me a story", Status.COMPLETE)]
    release.touch()
    terminal.shows("word1 word2")
    terminal.keys("my next thought")
    terminal.shows("my next thought")
    before = terminal.text
    terminal.keys("\x14")
    terminal.until(lambda text: ("thinking off" in text) != ("thinking off" in before))
    terminal.keys("\x1b")
    terminal.shows("stopped")
    terminal.keys("\x11")
    assert terminal.end() == 0
    assert terminal.is_restored()
    (asked, reply) = saved()
    assert asked == ("Tell me a story", Status.COMPLETE)
    assert reply[0].startswith("word0 word1 word2")
    assert reply[1] is Status.STOPPED

    again = start({"scripts": [{"answer": "And so on."}]}, "--resume")
    again.shows("Tell me a story", "word0 word1 word2", "stopped", "my next thought")
    again.keys("\r")
    again.shows("And so on.")
    again.keys("\x11")
    assert again.end() == 0
    assert [text for text, _ in saved()][2:] == ["my next thought", "And so on."]


@pytest.mark.parametrize("words", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 25, 60)), 130])
def test_a_reply_that_was_killed_is_there_again_marked_and_not_asked_again(
    start: Callable[..., Terminal], words: int
) -> None:
    terminal = start({"scripts": [{"answer": numbered(5000), "delay_s": 0.01}]})
    terminal.shows("F1 help")
    terminal.keys("Tell me a story\r")
    terminal.until(lambda text: re.search(rf"\bword{words}\b", text))
    terminal.child.kill(signal.SIGKILL)
    assert terminal.end() == -signal.SIGKILL
    with sqlite3.connect(Paths.of_user().database) as connection:
        assert connection.execute("pragma integrity_check").fetchone()[0] == "ok"
    connection.close()

    again = start({}, "--resume")
    again.shows("Tell me a story", "interrupted", "F1 help")
    assert "Paris" not in again.text
    again.keys("\x11")
    assert again.end() == 0
    (asked, reply) = saved()
    assert asked == ("Tell me a story", Status.COMPLETE)
    assert reply[1] is Status.INTERRUPTED
    assert numbered(5000).startswith(reply[0])


FOREIGN = [
    "\x1b]0;OWNED\x07", "\x1b]52;c;T1dORUQ=\x07", "\x1b]8;;file:///etc/passwd\x1b\\", "\x1b[6n", "\x1b[?1000;1006;77h",
    "\x1b[3J", "\x1bP$qm\x1b\\", "\x1bc", "\x9b5i", "\x1b[21t", "\x07",
]  # fmt: skip


def foreign(raw: bytes) -> list[str]:
    """Which of the sequences were written to the terminal; the shape of the mouse pointer is Textual's own."""
    raw = re.sub(rb"\x1b\]22;[a-z-]*\x07", b"", raw)
    return [sequence for sequence in (*FOREIGN, "OWNED", "T1dORUQ=") if sequence.encode() in raw]


def test_a_reply_of_escapes_and_markup_is_nothing_but_text(start: Callable[..., Terminal]) -> None:
    answer = " ".join(f"{sequence}mark{at}" for at, sequence in enumerate(FOREIGN))
    answer += " [bold red]loud[/] [@click=app.quit]press[/] end"
    terminal = start({"scripts": [{"answer": answer, "thought": answer}]})
    terminal.shows("F1 help")
    terminal.keys("Be evil\r")
    shown = ("mark0", "mark10", "[bold red]loud[/]", "[@click=app.quit]press[/] end")
    terminal.until(lambda text: all(wanted in " ".join(text.split()) for wanted in shown))
    terminal.keys("\x11")
    assert terminal.end() == 0
    assert foreign(terminal.raw) == []
    again = start({}, "--resume")
    again.until(lambda text: all(wanted in " ".join(text.split()) for wanted in shown[1:]))
    again.keys("\x11")
    assert again.end() == 0
    assert foreign(again.raw) == []


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda terminal: terminal.keys("\x11"), 0),
        (lambda terminal: terminal.child.kill(signal.SIGTERM), 143),
        (lambda terminal: terminal.child.kill(signal.SIGHUP), 129),
        (lambda terminal: terminal.keys("/quit\r"), 0),
    ],
    ids=["Ctrl+Q", "SIGTERM", "SIGHUP", "/quit"],
)
def test_leaving_in_mid_reply_ends_soon_restores_the_terminal_and_keeps_what_came(
    start: Callable[..., Terminal], leave: Callable[[Terminal], None], code: int
) -> None:
    terminal = start({"scripts": [{"answer": numbered(5000), "delay_s": 0.02}]})
    terminal.shows("F1 help")
    terminal.keys("Tell me a story\r")
    terminal.shows("word1 word2 ")
    leave(terminal)
    assert terminal.end() == code
    assert terminal.is_restored()
    assert saved()[1][1] is Status.STOPPED
    assert saved()[1][0].startswith("word0 word1 word2")


def test_quitting_waits_for_no_engine_that_is_still_being_made(start: Callable[..., Terminal]) -> None:
    terminal = start({"never_made": True})
    terminal.shows("F1 help")
    terminal.keys("Capital?\r")
    terminal.shows("waiting for the model")
    terminal.keys("\x11")
    assert terminal.end() == 0
    assert terminal.is_restored()
    assert saved()[0] == ("Capital?", Status.COMPLETE)


def test_what_is_wrong_with_the_settings_is_on_the_screen_and_it_works(
    start: Callable[..., Terminal], home: Path
) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text('theme = "nix"\nthnik = true\n[sampling]\ntemperature = "hot"\n')
    terminal = start({})
    terminal.shows("thnik", "sampling.temperature", "nix")
    terminal.keys("Capital?\r")
    terminal.shows("Paris")
    terminal.keys("\x11")
    assert terminal.end() == 0


def test_in_a_read_only_home_the_chat_works_and_a_banner_says_that_nothing_is_saved(
    start: Callable[..., Terminal], home: Path
) -> None:
    home.mkdir()
    home.chmod(0o555)
    terminal = start({}, without_root=True)
    terminal.shows("not saved", "F1 help")
    terminal.keys("Capital?\r")
    terminal.shows("Paris is the capital of France.")
    terminal.keys("unsent words")
    terminal.shows("unsent words")
    terminal.keys("\x11")
    assert terminal.end() == 1
    said = terminal.raw.rpartition(b"\x1b[?1049l")[2]
    assert b"What was said in this chat is not saved." in said
    assert b"unsent words" in said
    assert list(home.iterdir()) == []
    home.chmod(0o755)
