"""The program in a real terminal: what is left of it and of the terminal when it is stopped, hung up or suspended."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

from qwenchat.chat.messages import Status
from qwenchat.library.library import Library
from tests.support.patience import PATIENCE_S

LAUNCH = Path(__file__).parents[1] / "support" / "launch.py"
STREAM = {"scripts": [{"answer": " ".join(f"word{n}" for n in range(99)), "hold_at": 5}]}


class Terminal:
    """The program in a pseudo-terminal, and what the terminal shows."""

    def __init__(self, home: Path, engine: object, command: str = "", program: str = str(LAUNCH)) -> None:
        self.home = home
        environment = os.environ | {"QWENCHAT_HOME": str(home), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        program = f"exec '{sys.executable}' '{program}' '{json.dumps(engine)}' {command}"
        self.child = pexpect.spawn(
            "/bin/sh", ["-c", program], env=environment, dimensions=(30, 100), timeout=PATIENCE_S
        )
        self.raw = b""
        self._screen = pyte.Screen(100, 30)
        self._stream = pyte.ByteStream(self._screen)

    def read(self) -> bool:
        """Take what the program has written; False when it has closed the terminal."""
        try:
            data = self.child.read_nonblocking(65536, timeout=0.1)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data.replace(b"\x1b[>25u", b"").replace(b"\x1b[=4;2u", b"").replace(b"\x1b[<u", b""))
        return True

    def forget(self) -> None:
        """Show nothing but what comes from now on."""
        self._screen.reset()

    @property
    def screen(self) -> str:
        return "\n".join(self._screen.display)

    def sees(self, text: str) -> None:
        for _ in range(10 * PATIENCE_S):
            if text in self.screen:
                return
            if not self.read():
                break
        raise AssertionError(f"never came: {text}\n{self.screen}")

    def ends(self) -> int:
        """Wait for the end; the exit code as a shell gives it."""
        for _ in range(10 * PATIENCE_S):
            if not self.read():
                break
        self.child.wait()
        return self.child.exitstatus if self.child.exitstatus is not None else 128 + self.child.signalstatus

    def assert_restored(self) -> None:
        """The terminal is as it was before the program ran."""
        assert self.raw.rindex(b"\x1b[?1049l") > self.raw.rindex(b"\x1b[?1049h")
        assert self.raw.rindex(b"\x1b[?25h") > self.raw.rindex(b"\x1b[?25l")
        for mode in (b"1000", b"1003", b"2004"):
            assert self.raw.rindex(b"\x1b[?" + mode + b"l") > self.raw.rindex(b"\x1b[?" + mode + b"h"), mode

    def library(self) -> Library:
        return Library.open(self.home / "data" / "conversations.sqlite3")


@pytest.fixture
def terminals(tmp_path) -> Iterator[object]:
    opened: list[Terminal] = []

    def start(engine: object, command: str = "", **options: str) -> Terminal:
        opened.append(Terminal(tmp_path, engine, command, **options))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.child.close(force=True)


def _streaming(terminals) -> Terminal:
    """A program in mid-reply with a draft."""
    terminal = terminals(STREAM)
    terminal.sees("thinking on")
    terminal.child.send("Go\r")
    terminal.sees("word4")
    terminal.child.send("my draft")
    terminal.sees("my draft")
    return terminal


def _assert_saved(terminal: Terminal) -> None:
    library = terminal.library()
    conversation = library.read(library.latest())
    assert conversation.messages[-1].text.split() == ["word0", "word1", "word2", "word3", "word4"]
    assert conversation.messages[-1].status is Status.STOPPED
    assert conversation.draft == "my draft"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_to_end_saves_everything_and_restores_the_terminal(terminals, number):
    terminal = _streaming(terminals)
    terminal.child.kill(number)
    assert terminal.ends() == 128 + number
    terminal.assert_restored()
    _assert_saved(terminal)


def test_a_terminal_that_is_closed_ends_the_program_and_saves_everything(terminals):
    terminal = _streaming(terminals)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, terminal.child.child_fd)
    os.close(nothing)
    terminal.child.wait()
    _assert_saved(terminal)


def test_quitting_in_mid_reply_saves_everything_and_restores_the_terminal(terminals):
    terminal = _streaming(terminals)
    terminal.child.send("\x11")
    assert terminal.ends() == 0
    terminal.assert_restored()
    assert b"Traceback" not in terminal.raw
    _assert_saved(terminal)


def test_a_signal_while_the_model_loads_ends_the_program(terminals):
    terminal = terminals({"loading_holds": True})
    terminal.sees("thinking on")
    terminal.child.kill(signal.SIGTERM)
    assert terminal.ends() == 128 + signal.SIGTERM
    terminal.assert_restored()


def test_what_native_libraries_write_goes_to_the_log_and_not_to_the_screen(terminals):
    terminal = terminals({"noise": "native noise\n"})
    terminal.sees("Qwen/Qwen3-0.6B")
    terminal.child.send("Go\r")
    terminal.sees("Paris is the capital of France.")
    terminal.child.send("\x11")
    assert terminal.ends() == 0
    assert b"native noise" not in terminal.raw
    assert "native noise" in (terminal.home / "logs" / "qwenchat.log").read_text()


def test_standard_error_that_goes_elsewhere_stays_there(terminals, tmp_path):
    elsewhere = tmp_path / "stderr.txt"
    terminal = terminals({"noise": "native noise\n"}, f"2>'{elsewhere}'")
    terminal.sees("Qwen/Qwen3-0.6B")
    terminal.child.send("\x11")
    assert terminal.ends() == 0
    assert elsewhere.read_text() == "native noise\n"


def test_ctrl_z_gives_the_terminal_back_and_sigcont_returns(terminals):
    terminal = _streaming(terminals)
    terminal.child.send("\x1a")
    for _ in range(10 * PATIENCE_S):
        terminal.read()
        pid, status = os.waitpid(terminal.child.pid, os.WUNTRACED | os.WNOHANG)
        if pid:
            break
    assert os.WIFSTOPPED(status)
    terminal.read()
    terminal.assert_restored()
    before = len(terminal.raw)
    terminal.forget()
    terminal.child.kill(signal.SIGCONT)
    for _ in range(10 * PATIENCE_S):
        terminal.read()
        if b"my draft" in terminal.raw[before:]:
            break
    assert b"\x1b[?1049h" in terminal.raw[before:]
    for text in ("Go", "word4", "╭", "my draft", "Esc stops", "thinking on"):
        terminal.sees(text)
    terminal.child.send(" goes on")
    terminal.sees("my draft goes on")
    terminal.child.send("\x11")
    assert terminal.ends() == 0
    terminal.assert_restored()


FULL_DISK = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (131072, 131072))
sys.argv.pop(0)
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_quitting_with_a_reply_that_could_not_be_saved_says_so_and_is_a_failure(terminals, tmp_path):
    script = tmp_path / "full_disk.py"
    script.write_text(FULL_DISK)
    engine = {"scripts": [{"answer": "word ", "times": 40_000}]}
    terminal = terminals(engine, program=f"{script}' '{LAUNCH}")
    terminal.sees("thinking on")
    terminal.child.send("Go\r")
    terminal.sees("is not saved")
    terminal.child.send("\x11")
    assert terminal.ends() == 1
    assert b"The last reply could not be saved." in terminal.raw.rpartition(b"\x1b[?1049l")[2]


@pytest.mark.parametrize(("rows", "columns"), [(24, 65535), (65535, 80), (0, 0), (1, 1)])
def test_a_terminal_of_any_size_is_drawn_on_and_left(terminals, rows, columns):
    terminal = terminals({})
    terminal.child.setwinsize(rows, columns)
    terminal.read()
    terminal.child.send("\x11")
    assert terminal.ends() == 0
    terminal.assert_restored()
