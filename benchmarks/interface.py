"""Measures the interface in a pseudo-terminal: python -m benchmarks.interface [--only NAME] [--model NAME].

While replies of several kinds stream at 80 tokens a second below a conversation of 1,000 messages, how long a
key takes to the screen, how long the event loop is held up, and how much processor time a token takes, at the start of
each reply and near its end; what idling costs; how long a paste of a megabyte takes.
With --model, how fast that model decodes inside the interface, against the same session without one. The two take
turns, and need a machine that has nothing else to do.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT
from benchmarks.random_qwen3 import random_qwen3
from qwenchat.chat.engine_commands import LoadModel, StartTurn
from qwenchat.chat.events import (
    Channel,
    LoadProgressed,
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    TurnEvent,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.provenance import FinishReason, ModelInfo, ThinkingSupport, Timing, Usage
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.engine.base import Engine, StopSignal
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session

HISTORY = 1000
"""Messages above the reply."""
RATE = 80.0
"""Tokens a second."""
TOKENS = 10_000
MEASURED = 400
"""Tokens at the start and at the end that are streamed at RATE; those between come in a rush."""
SAMPLE_S = 0.005
DECODED = 200
"""Tokens the embedded model is asked for."""
COLUMNS, LINES = 120, 40
TYPED = [chr(0x0180 + n) for n in range(0xC0)]
"""Letters that nothing else on the screen has, so that each can be seen to arrive."""
TYPED_EVERY_S = 0.1
MARKS = {"start": b"\x1b]2;start\x07", "end": b"\x1b]2;end\x07", "": b"\x1b]2;rest\x07"}
"""Titles of the window by which the program tells when keys are to come."""

WORDS = "the quick brown fox jumps over the lazy dog and runs on through the wood until the evening comes"
KINDS: dict[str, Callable[[int], str]] = {
    "paragraphs": lambda n: f"Paragraph {n}: {WORDS}, {WORDS}.\n\n",
    "code fence": lambda n: ("" if n else "```python\n") + f"def function_{n}(value):\n    return value + {n}  # {n}\n",
    "table": lambda n: (
        "" if n else "| number | name | what it is |\n|---|---|---|\n"
    ) + f"| {n} | name {n} | {WORDS[: 20 + n % 30]} |\n",
    "list": lambda n: f"- item {n}, {WORDS[: 20 + n % 30]}\n",
    "one line": lambda n: f"word {n} ",
    "thought": lambda n: f"Step {n}: {WORDS}.\n",
}  # fmt: skip
ROWS_OF_A_TABLE = 200


class Typist:
    """Writes letters into a terminal while it is told to, and sees when each is on the screen."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._left = iter(TYPED)
        self._when = ""
        self._letter = ""
        self._typed_at = 0.0
        self._unseen = b""
        self.took_ms: dict[str, list[float]] = {"start": [], "end": []}

    def see(self, output: bytes) -> None:
        """What the program has written to the screen; type the next letter when it is time."""
        now = time.perf_counter()
        self._unseen += output
        for when, mark in MARKS.items():
            if mark in self._unseen:
                self._when, self._letter = when, ""
                self._unseen = self._unseen.split(mark)[-1]
        if self._letter and self._letter.encode() in self._unseen:
            self.took_ms[self._when].append(1000 * (now - self._typed_at))
            self._letter = ""
        if not self._letter and self._when and now - self._typed_at > TYPED_EVERY_S:
            self._letter, self._typed_at, self._unseen = next(self._left, ""), now, b""
            self._write(self._letter)
        self._unseen = self._unseen[-64_000:]

    def figures(self) -> dict[str, float]:
        """How long keys took to the screen, in milliseconds."""
        return {
            f"{when}_key_{name}_ms": sorted(took)[int(share * (len(took) - 1))]
            for when, took in self.took_ms.items()
            if took
            for name, share in (("p50", 0.5), ("p95", 0.95), ("worst", 1.0))
        }


class Streamer:
    """An engine that says what it is given, a token of four characters at a time, as fast as `rate` says now."""

    def __init__(self) -> None:
        self.text = ""
        self.channel = Channel.ANSWER
        self.rate = RATE
        self.said = 0
        self.pauses: list[int] = []
        """The counts of tokens at which it waits for `go`."""
        self.go = StopSignal()

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> ModelInfo:
        """Return a model at once."""
        return ModelInfo("scripted", "", "", "cpu", 32_768, ThinkingSupport.SWITCHED, 0, 0)

    def generate(self, command: StartTurn, stop: StopSignal) -> Iterator[TurnEvent]:
        """Say the text."""
        started = due = time.perf_counter()
        self.said = 0
        if self.channel is Channel.THOUGHT:
            yield ThoughtStarted(command.turn, 0.0)
        for at in range(0, len(self.text), 4):
            if self.said in self.pauses:
                while not (self.go.is_set() or stop.is_set()):
                    time.sleep(0.01)
                self.go = StopSignal()
                due = time.perf_counter()
            due += 1 / self.rate
            time.sleep(max(0.0, due - time.perf_counter()))
            if stop.is_set():
                yield TurnStopped(command.turn)
                return
            self.said += 1
            yield TextProduced(command.turn, self.channel, self.text[at : at + 4], 1, time.perf_counter() - started)
        if self.channel is Channel.THOUGHT:
            yield ThoughtEnded(command.turn, time.perf_counter() - started)
        yield TurnFinished(command.turn, FinishReason.STOP, Usage(), Timing())

    def prefill(self, command: StartTurn, stop: StopSignal) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@dataclass
class Lag:
    """How late the event loop was, in milliseconds, and how much processor time its thread took."""

    late_ms: list[float]
    cpu_s: float
    wall_s: float

    def percentile(self, share: float) -> float:
        """The lateness that `share` of the samples do not exceed."""
        return sorted(self.late_ms)[int(share * (len(self.late_ms) - 1))]


async def lag_until(done: Callable[[], bool]) -> Lag:
    """Watch the loop until `done`."""
    late: list[float] = []
    began, cpu = time.perf_counter(), time.thread_time()
    while not done():
        before = time.perf_counter()
        await asyncio.sleep(SAMPLE_S)
        late.append(1000 * max(0.0, time.perf_counter() - before - SAMPLE_S))
    return Lag(late, time.thread_time() - cpu, time.perf_counter() - began)


async def lag_for(seconds: float) -> Lag:
    """Watch the loop for so long."""
    end = time.perf_counter() + seconds
    return await lag_until(lambda: time.perf_counter() > end)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


def filled(library: Library) -> str:
    """The id of a conversation of HISTORY messages."""
    messages: list[Message] = []
    parent = None
    for number, role in zip(range(HISTORY), cycle((Role.USER, Role.ASSISTANT)), strict=False):
        messages.append(Message(role, (TextPart(KINDS["paragraphs"](number)),), parent))
        parent = messages[-1].id
    library.save_all("history", messages)
    return "history"


def run_app(engine: Callable[[], Engine], drive: Callable[[Any], Coroutine[Any, Any, None]], **options: Any) -> None:
    """The program as the user has it, over `engine`, in this process's terminal; `drive` plays the user."""
    from qwenchat.system.paths import shipped_themes
    from qwenchat.tui.app import QwenChat

    library = Library.in_memory()
    resume = filled(library) if options.pop("history", False) else None
    load = LoadModel(options.pop("model", None))
    session = Session(Worker(engine), library, **options)
    app = QwenChat(session, load, theme_folders=(shipped_themes(),), resume=resume)

    async def play(pilot: Any) -> None:
        await until(lambda: session.model.info is not None or session.model.error is not None)
        await drive(app)
        app.exit()

    app.run(auto_pilot=play)


def streaming(kind: str) -> dict[str, Any]:
    """One reply of that kind: its loop lag and cost at the start and at the end."""
    engine, found = Streamer(), {}
    made, number = "", 0
    while len(made) < 4 * TOKENS and not (kind == "table" and number == ROWS_OF_A_TABLE):
        made += KINDS[kind](number)
        number += 1
    engine.text = made
    tokens = len(made) // 4
    engine.channel = Channel.THOUGHT if kind == "thought" else Channel.ANSWER
    engine.pauses = [MEASURED, tokens - MEASURED]

    async def drive(app: Any) -> None:
        app.session.send("Go on.")
        app._chat.feed.show_path()
        await until(lambda: engine.said)
        app._driver.write(MARKS["start"].decode())
        found["start"] = await lag_until(lambda: engine.said >= MEASURED)
        app._driver.write(MARKS[""].decode())
        engine.rate = 1000.0
        engine.go.set()
        await until(lambda: engine.said >= tokens - MEASURED)
        await until(lambda: app._chat.feed.live.answer.settled)
        await asyncio.sleep(1.0)
        engine.rate = RATE
        engine.go.set()
        app._driver.write(MARKS["end"].decode())
        found["end"] = await lag_until(lambda: engine.said >= tokens)
        app._driver.write(MARKS[""].decode())
        found["close"] = await lag_until(lambda: app._chat.feed.live is None)
        found["after"] = await lag_for(1.0)

    run_app(lambda: engine, drive, history=True)
    return {
        f"{name}_{what}": round(value, 2)
        for name, lag in found.items()
        for what, value in (
            ("p50_ms", lag.percentile(0.5)),
            ("p95_ms", lag.percentile(0.95)),
            ("worst_ms", lag.percentile(1.0)),
            ("cpu_ms_per_token", 1000 * lag.cpu_s / MEASURED),
        )
        if lag.late_ms
    }


def idling() -> dict[str, Any]:
    """The processor time of an idle program, in percent of one core, below an empty and a long conversation."""
    found: dict[str, Any] = {}

    async def drive(app: Any, name: str) -> None:
        await asyncio.sleep(2.0)
        lag = await lag_for(3.0)
        found[f"{name}_cpu_percent"] = round(100 * lag.cpu_s / lag.wall_s, 2)

    run_app(Streamer, lambda app: drive(app, "empty"))
    run_app(Streamer, lambda app: drive(app, "history"), history=True)
    return found


def pasting() -> dict[str, Any]:
    """Seconds until a pasted megabyte is in the draft and drawn."""
    found: dict[str, Any] = {}
    texts = {"lines": "some words of the book\n" * 43_500, "one_line": "some words of the book " * 43_500}

    async def drive(app: Any) -> None:
        from textual.events import Paste

        from qwenchat.tui.widgets.composer import Composer

        composer = app._chat.query_one(Composer)
        for name, text in texts.items():
            composer.clear()
            await asyncio.sleep(0.5)
            began = time.perf_counter()
            drawn = asyncio.Event()
            app.post_message(Paste(text))
            await until(lambda: composer.text)
            app._chat.call_after_refresh(drawn.set)
            await drawn.wait()
            found[f"{name}_s"] = round(time.perf_counter() - began, 2)

    run_app(Streamer, drive)
    return found


def decoding(model: str, *, inside: bool) -> dict[str, Any]:
    """Tokens a second of a model."""
    from qwenchat.system.paths import Paths

    def make() -> Engine:
        from qwenchat.engine.local.engine import LocalEngine

        return LocalEngine(Paths.of_user())

    options = {"overrides": SamplingOverrides(temperature=0.0, max_tokens=DECODED, seed=1)}
    rates: list[float] = []

    def rate(session: Session) -> float:
        made = session.conversation.path[-1].provenance
        return made.timing.tokens_per_s if made else 0.0

    question = "Tell a long story about a fox and a crow."
    if not inside:
        session = Session(Worker(make), Library.in_memory(), **options)
        session.model.load(LoadModel(model))
        for _ in range(3):
            session.new()
            session.send(question)
            while session.busy:
                session.wait(0.5)
            rates.append(rate(session))
        session.close()
        return {"tokens_per_s": max(rates)}

    async def drive(app: Any) -> None:
        for _ in range(3):
            app._chat.action_new()
            app.session.send(question)
            app._chat.feed.show_path()
            await until(lambda: app._chat.feed.live is None)
            rates.append(rate(app.session))

    run_app(make, drive, model=model, **options)
    return {"tokens_per_s": max(rates)}


MEASUREMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    **{kind: (lambda kind=kind: streaming(kind)) for kind in KINDS},
    "idle": idling,
    "paste": pasting,
}
DECODINGS = ("headless", "inside")


def measured(name: str, model: str = "") -> dict[str, Any]:
    """One measurement in a process and a terminal of its own."""
    import pexpect

    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = ["-m", "benchmarks.interface", "--child", name, "--result", str(result), "--model", model]
        terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        child = pexpect.spawn(
            sys.executable,
            command,
            dimensions=(LINES, COLUMNS),
            env=os.environ | terminal,
            timeout=300,
            maxread=1 << 16,
        )
        child.delaybeforesend = None
        tail, typist = b"", Typist(child.send)
        while not child.eof():
            output = b""
            try:
                output = child.read_nonblocking(1 << 16, timeout=300 if model else 0.002)
            except pexpect.TIMEOUT:
                pass
            except pexpect.EOF:
                break
            tail = (tail + output)[-2000:]
            typist.see(output)
        child.close()
        if not result.exists():
            raise SystemExit(f"{name} gave no result:\n{tail.decode(errors='replace')}")
        return json.loads(result.read_text()) | typist.figures()


def table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(
                cell.rjust(width) if at else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )


def scripted(only: str | None) -> None:
    rows = [
        (
            "reply",
            "key p50 start",
            "end",
            "p95 start",
            "end",
            "worst start",
            "end",
            "lag worst start",
            "end",
            "cpu ms/token start",
            "end",
            "closing worst",
        )
    ]
    for kind in KINDS:
        if only in (None, kind):
            found = measured(kind)
            pairs = [
                f"{found.get(f'{when}_{what}', float('nan')):.1f}"
                for what in ("key_p50_ms", "key_p95_ms", "key_worst_ms", "worst_ms", "cpu_ms_per_token")
                for when in ("start", "end")
            ]
            closing = max(found.get("close_worst_ms", 0.0), found["after_worst_ms"])
            rows.append((kind, *pairs, f"{closing:.1f}"))
    if len(rows) > 1:
        table(rows)
    for name in ("idle", "paste"):
        if only in (None, name):
            print(name, measured(name))


def decoded(model: str, rounds: int = 3) -> None:
    """Headless and inside take turns, and the best of each counts: other load on the machine only slows down."""
    rates: dict[str, list[float]] = {"headless": [], "inside": []}
    for _ in range(rounds):
        for name, found in rates.items():
            found.append(measured(name, model)["tokens_per_s"])
    table(
        [
            ("", "best tok/s", "median"),
            *((name, f"{max(r):.1f}", f"{statistics.median(r):.1f}") for name, r in rates.items()),
        ]
    )
    print(f"inside / headless: {max(rates['inside']) / max(rates['headless']):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="Measure decoding of this model; `random` is Qwen3-0.6B's shape.")
    parser.add_argument("--only", choices=list(MEASUREMENTS))
    parser.add_argument("--child", choices=[*MEASUREMENTS, *DECODINGS], help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model == "random":
        options.model = str(random_qwen3(ROOT / "build" / "peers"))
    if options.child in DECODINGS:
        options.result.write_text(json.dumps(decoding(options.model, inside=options.child == "inside")))
    elif options.child:
        options.result.write_text(json.dumps(MEASUREMENTS[options.child]()))
    elif options.model:
        decoded(options.model)
    else:
        scripted(options.only)


if __name__ == "__main__":
    main()
