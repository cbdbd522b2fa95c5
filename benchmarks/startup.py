"""Measures how soon the program is there: python -m benchmarks.startup [--runs N] [--model NAME] [--json].

first frame: from starting `qwenchat` in a pseudo-terminal to the moment its first screen, down to the composer's lower
edge, has arrived; `--help` and `--version`: to the end of the process; `ask`: to the first byte of the answer, with the
model's files on this machine, so that importing the engine, loading the weights and reading the prompt are all in it.

Nothing is written but below a temporary folder; a model that is missing is fetched into the user's cache before the
clock starts. A machine that does something else meanwhile gives worse figures: the load is printed with them.
"""

import argparse
import contextlib
import fcntl
import json
import os
import platform
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyte

from qwenchat.system.paths import Paths

QWENCHAT = str(Path(sys.executable).with_name("qwenchat"))
QUESTION = "What is the capital of France? Answer in one sentence."
COLUMNS, LINES = 100, 32
PATIENCE_S = 60.0
QUIT = b"\x11"
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=][0-9;]*[A-Za-z]|\x1bP[^\x1b]*\x1b\\")


@dataclass(frozen=True)
class Goal:
    """One promise and how it is measured, in seconds."""

    name: str
    measure: Callable[[dict[str, str]], float]
    at_most_s: float | None = None


def first_frame(environment: dict[str, str]) -> float:
    """Seconds until the first complete screen has arrived."""
    started = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        os.execve(QWENCHAT, [QWENCHAT], environment)
    try:
        return _complete_after(_output(terminal, started))
    finally:
        with contextlib.suppress(OSError):  # it may have ended
            os.write(terminal, QUIT)
        _end(pid, terminal)


def _output(terminal: int, started: float) -> list[tuple[float, bytes]]:
    """What came up to a pause after the composer, piece by piece, with the seconds at which it came."""
    pieces: list[tuple[float, bytes]] = []
    while time.perf_counter() - started < PATIENCE_S:
        shown = b"Write a message" in b"".join(data for _, data in pieces)
        if select.select([terminal], [], [], 0.1 if shown else 1.0)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError as error:  # it has ended
                said = b"".join(data for _, data in pieces).decode(errors="replace")
                raise RuntimeError(f"the program ended:\n{said}") from error
            pieces.append((time.perf_counter() - started, data))
        elif shown:
            return pieces
    raise TimeoutError(f"no composer within {PATIENCE_S:.0f} s")


def _complete_after(pieces: list[tuple[float, bytes]]) -> float:
    """When the pieces first made up a whole screen; drawn afterwards, so that drawing delays no reading."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    for seconds, data in pieces:
        stream.feed(_UNKNOWN_TO_PYTE.sub(b"", data))
        edge = screen.display[-2].strip()
        if "Write a message" in "".join(screen.display) and edge.startswith("╰") and edge.endswith("╯"):
            return seconds
    raise ValueError("no complete screen came:\n" + "\n".join(screen.display))


def _end(pid: int, terminal: int) -> None:
    """Take in what is still written, so that it can leave, and end it if it does not."""
    deadline = time.perf_counter() + 5
    while not os.waitpid(pid, os.WNOHANG)[0]:
        if time.perf_counter() > deadline:
            os.kill(pid, signal.SIGKILL)
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:  # the other end is closed
                time.sleep(0.01)
    os.close(terminal)


def finished(*arguments: str) -> Callable[[dict[str, str]], float]:
    """A measurement of the seconds until the program, given these arguments, has ended."""

    def measure(environment: dict[str, str]) -> float:
        started = time.perf_counter()
        subprocess.run([QWENCHAT, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - started

    return measure


def first_answer(model: str) -> Callable[[dict[str, str]], float]:
    """A measurement of the seconds until the first byte of an answer."""
    command = [QWENCHAT, "ask", "--no-save", "--no-think", "--model", model, QUESTION]

    def measure(environment: dict[str, str]) -> float:
        started = time.perf_counter()
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as asked:
            assert asked.stdout is not None and asked.stderr is not None
            first = os.read(asked.stdout.fileno(), 1)
            seconds = time.perf_counter() - started
            if not first:
                raise RuntimeError(asked.stderr.read().decode(errors="replace"))
            asked.kill()
        return seconds

    return measure


def environment_of(home: Path) -> dict[str, str]:
    """A user without settings or conversations, whose models are those of this user."""
    cache = Paths.of_user().cache
    cache.mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(cache)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("QWENCHAT_")}
    return ours | {"QWENCHAT_HOME": str(home), "TERM": "xterm-256color", "COLORTERM": "truecolor"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--model", default="smollm2", help="the model that `ask` is measured with")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    goals = [
        Goal("first frame", first_frame, 0.5),
        Goal("--help", finished("--help"), 0.15),
        Goal("--version", finished("--version"), 0.15),
        Goal(f"ask, first token of {options.model}", first_answer(options.model)),
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_of(Path(folder))
        for goal in goals:
            goal.measure(environment)  # what is read from the disk for the first time is not what is measured
            seconds = sorted(goal.measure(environment) for _ in range(options.runs))
            median = statistics.median(seconds)
            met = None if goal.at_most_s is None else median < goal.at_most_s
            rows.append(
                {"name": goal.name, "median_s": median, "best_s": seconds[0], "worst_s": seconds[-1],
                 "goal_s": goal.at_most_s, "met": met}
            )  # fmt: skip
    report = {
        "python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(),
        "load": os.getloadavg()[0], "runs": options.runs, "rows": rows,
    }  # fmt: skip
    print(json.dumps(report, indent=2) if options.as_json else table(report))
    sys.exit(any(row["met"] is False for row in rows))


def table(report: dict[str, object]) -> str:
    """The figures in milliseconds, for people."""
    lines = [f"{'':<36}{'median':>9}{'best':>9}{'worst':>9}{'goal':>9}"]
    rows = report["rows"]
    assert isinstance(rows, list)
    for row in rows:
        figures = "".join(f"{1000 * row[name]:>6.0f} ms" for name in ("median_s", "best_s", "worst_s"))
        goal = "" if row["goal_s"] is None else f"{1000 * row['goal_s']:>6.0f} ms" + ("" if row["met"] else "  missed")
        lines.append(f"{row['name']:<36}{figures}{goal}")
    facts = [f"{report[name]} {name}" for name in ("runs", "cores")]
    lines.append(f"Python {report['python']}, {', '.join(facts)}, load {report['load']:.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
