"""What is typed while the program starts reaches it, in order, and nothing of it is left in the shell."""

import os
import pty
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwenchat.cli.main import COMMANDS
from qwenchat.library.library import Library
from qwenchat.system.type_ahead import BESIDE
from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "tests" / "support" / "launch.py"


class Started:
    """The program in a pseudo-terminal of its own, from its first moment on."""

    def __init__(self, home: Path, *command: str, **environment: str) -> None:
        self.raw = b""
        self.home = home
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            given = {"QWENCHAT_HOME": str(home), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
            os.execve(command[0], command, os.environ | given | environment)
        self.before = termios.tcgetattr(self.terminal)

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def read(self, seconds: float = 0.05) -> bool:
        """Take what was written; False at the end."""
        if select.select([self.terminal], [], [], seconds)[0]:
            try:
                self.raw += os.read(self.terminal, 65536)
            except OSError:
                return False
        return True

    def until(self, wanted: bytes) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while wanted not in self.raw:
            assert time.monotonic() < deadline, self.raw[-3000:]
            assert self.read() or wanted in self.raw, self.raw[-3000:]

    def sent(self, count: int) -> list[str]:
        """The messages that the user has sent, once there are so many."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.read()
            file = self.home / "data" / "conversations.sqlite3"
            texts = self._sent(file) if file.exists() else []
            if len(texts) >= count:
                return texts
        raise AssertionError(self.raw[-3000:])

    @staticmethod
    def _sent(file: Path) -> list[str]:
        library = Library.open(file)
        try:
            latest = library.latest()
            return [m.text for m in library.read(latest).messages if m.role.value == "user"] if latest else []
        finally:
            library.close()

    def end(self) -> int:
        """Wait for the end; the exit code as a shell gives it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, self.raw[-3000:]

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Started]]:
    opened: list[Started] = []
    yield opened
    for one in opened:
        one.close()


def chat(started: list[Started], home: Path, *arguments: str) -> Started:
    started.append(Started(home, sys.executable, str(LAUNCH), "{}", *arguments))
    return started[-1]


def taken(one: Started) -> None:
    """Wait until the terminal does not echo any more."""
    deadline = time.monotonic() + PATIENCE_S
    while termios.tcgetattr(one.terminal)[3] & termios.ECHO:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_what_is_typed_at_once_is_sent_in_order(started: list[Started], tmp_path: Path) -> None:
    one = chat(started, tmp_path)
    one.type("abcde\rsecond line\n")
    taken(one)
    one.type("third\x1b[200~pasted\rtext\x1b[201~\r")
    one.type("a draft")
    assert one.sent(3) == ["abcde", "second line", "thirdpasted\ntext"]
    one.until(b"a draft")
    one.type("\x11")
    assert one.end() == 0
    assert termios.tcgetattr(one.terminal) == one.before


def test_nothing_is_echoed_once_the_program_runs(started: list[Started], tmp_path: Path) -> None:
    one = chat(started, tmp_path)
    taken(one)
    one.type("invisible\x1a\r")
    one.until(b"\x1b[?1049h")
    assert b"invisible" not in one.raw.partition(b"\x1b[?1049h")[0]
    assert b"^Z" not in one.raw


@pytest.mark.slow
@pytest.mark.parametrize("kitty", [False, True])
@pytest.mark.parametrize("delay_ms", [0, 20, 50, 100, 300, 1000, 3000])
def test_what_is_typed_at_any_moment_is_sent(
    started: list[Started], tmp_path: Path, delay_ms: int, kitty: bool
) -> None:
    one = chat(started, tmp_path)
    begun = time.monotonic()
    while time.monotonic() < begun + delay_ms / 1000:
        one.read(0.005)
    for letter in "abcde\r":
        on = kitty and b"\x1b[>25u" in one.raw
        code = ord(letter)
        one.type(letter if not on else f"\x1b[{code}u" if letter == "\r" else f"\x1b[{code};1;{code}u")
        one.read(0.01)
    on = kitty and b"\x1b[>25u" in one.raw
    one.type("\x1b[200~x\ry\x1b[201~" + ("\x1b[13u" if on else "\r"))
    assert one.sent(2) == ["abcde", "x\ny"]


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--temperature", "hot"], 2), (["--resume", "nowhere"], 1)], ids=["usage", "no such chat"]
)
def test_a_start_that_fails_gives_the_terminal_back(
    started: list[Started], tmp_path: Path, arguments: list[str], code: int
) -> None:
    one = chat(started, tmp_path, *arguments)
    taken(one)
    one.type("rm -rf nothing\r")
    assert one.end() == code
    assert termios.tcgetattr(one.terminal) == one.before
    assert b"rm -rf" not in one.raw


WAITING = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            FAILURE
sys.meta_path.insert(0, Slow())
sys.argv = ["qwenchat"]
from qwenchat.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda one: os.kill(one.pid, signal.SIGTERM), 143),
        (lambda one: os.kill(one.pid, signal.SIGHUP), 129),
        (lambda one: os.kill(one.pid, signal.SIGINT), 130),
        (lambda one: one.type("\x03"), 130),
    ],
    ids=["SIGTERM", "SIGHUP", "SIGINT", "Ctrl+C"],
)
def test_a_signal_while_it_imports_gives_the_terminal_back(
    started: list[Started], tmp_path: Path, end, code: int
) -> None:
    started.append(Started(tmp_path, sys.executable, "-c", WAITING.replace("FAILURE", "time.sleep(30)")))
    one = started[-1]
    taken(one)
    time.sleep(0.1)
    end(one)
    assert one.end() == code
    assert termios.tcgetattr(one.terminal) == one.before
    assert b"Traceback" not in one.raw


def test_an_import_that_fails_gives_the_terminal_back(started: list[Started], tmp_path: Path) -> None:
    started.append(Started(tmp_path, sys.executable, "-c", WAITING.replace("FAILURE", "raise ImportError('broken')")))
    assert started[-1].end() == 1
    assert b"broken" in started[-1].raw
    assert termios.tcgetattr(started[-1].terminal) == started[-1].before


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["list"], ["config", "path"]])
def test_what_shows_no_screen_leaves_the_terminal_alone(
    started: list[Started], tmp_path: Path, arguments: list[str]
) -> None:
    one = chat(started, tmp_path, *arguments)
    one.type("typed ahead")
    assert one.end() == 0
    assert b"typed ahead" in one.raw


def test_every_command_beside_the_chat_is_known_before_it_is_imported() -> None:
    assert set(COMMANDS) == BESIDE


def test_a_start_in_the_background_changes_nothing_and_ends(tmp_path: Path) -> None:
    program = (
        "import os; from qwenchat.system.type_ahead import type_ahead; type_ahead.take([], os.environ); print(1234)"
    )
    script = f"set -m; {sys.executable} -c '{program}' & wait $!; stty -a"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve("/bin/bash", ["bash", "-c", script], os.environ | {"TERM": "xterm", "PYTHONPATH": str(ROOT)})
    raw = b""
    while True:
        try:
            raw += os.read(terminal, 4096)
        except OSError:
            break
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"1234" in raw
    assert b" echo" in raw
