"""Measures a long conversation with Qwen3-0.6B's shape, turn by turn: python -m benchmarks.conversation

After each turn the engine reads the conversation ahead, as it does while the user reads and writes. Then the next
message comes, once all at once, as when it is pasted and sent, and once after its draft was read too, as when it is
typed. Its first token is compared with that of the same message in a conversation of its own. At the end: how soon a
stop ends the reading of a long prompt, how long loading took, and how much memory the process holds.

The weights are random, so the model never ends its thought by itself: the thinking budget does, and a limit of tokens
ends the answer.
"""

import argparse
import json
import statistics
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.random_qwen3 import random_qwen3
from qwenchat.chat.engine_commands import LoadModel, Prefill, StartTurn
from qwenchat.chat.events import TurnFinished, TurnStopped
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.sampling import THINKING
from qwenchat.engine.base import StopSignal, TurnSignals
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.system.paths import Paths

SENTENCE = "Please say how the quick brown fox came to jump over the lazy dog, and what the dog made of it."
STOPS = 10


@dataclass(frozen=True)
class Row:
    """One turn."""

    turn: int
    prompt_tokens: int
    cached_tokens: int
    """Of them, those that were read before the message came."""
    pasted_ms: float
    """The first token of a message that comes all at once."""
    typed_ms: float
    """The first token of a message that was read while it was written."""
    alone_ms: float
    """The first token of the same message without a conversation before it."""


@dataclass(frozen=True)
class Report:
    """The whole conversation."""

    quantization: str
    load_s: float
    rows: list[Row]
    stop_ms: float
    """The longest of several."""
    resident_gb: float


def said(role: Role, text: str) -> Message:
    return Message(role, (TextPart(text),))


def question(turn: int, sentences: int) -> Message:
    """A message that no other turn shares."""
    return said(Role.USER, f"Question {turn}. {' '.join([SENTENCE] * sentences)}")


class Conversation:
    """An engine and what was said."""

    def __init__(self, folder: Path, quantization: str, thought: int, answer: int) -> None:
        self.engine = LocalEngine(Paths.of_user())
        self.info = self.engine.load(LoadModel(str(folder), "cpu", quantization), lambda progress: None, StopSignal())
        self._thought, self._answer = thought, answer

    def ask(self, messages: list[Message], tokens: int | None = None) -> tuple[TurnFinished | TurnStopped, Message]:
        """One turn of at most `tokens`, by default the conversation's; its end, and the reply."""
        limit = tokens or self._thought + self._answer
        sampling = replace(THINKING, max_tokens=limit, seed=1)
        growing = GrowingReply()
        for event in self.engine.generate(StartTurn(1, tuple(messages), True, sampling, self._thought), TurnSignals()):
            if isinstance(event, TurnFinished | TurnStopped):
                end = event
            else:
                growing.add(event)
        return end, Message(Role.ASSISTANT, growing.parts())

    def read_ahead(self, messages: list[Message], draft: str = "") -> None:
        """Read what the next turn will see, as far as it is there."""
        self.engine.read_ahead(Prefill(tuple(messages), True, draft), StopSignal())

    def stop_ms(self, tokens: int) -> float:
        """How long the reading of a prompt goes on once it is to stop."""
        signals, set_at = TurnSignals(), [0.0]

        def stop() -> None:
            set_at[0] = time.perf_counter()
            signals.set()

        timer = threading.Timer(0.5, stop)
        timer.start()
        long = said(Role.USER, f"{time.time()} " + "word " * tokens)
        for _ in self.engine.generate(StartTurn(1, (long,), True, THINKING), signals):
            pass
        return (time.perf_counter() - set_at[0]) * 1e3


def resident_gb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e9


def measure(options: argparse.Namespace) -> Report:
    folder = random_qwen3(options.cache)
    chat = Conversation(folder, options.quantization, options.thought, options.answer)
    questions = [question(turn, options.sentences) for turn in range(options.turns)]
    path: list[Message] = []
    rows = []
    for turn, asked in enumerate(questions, 1):
        pasted, _ = chat.ask([*path, asked], 1)
        chat.read_ahead(path, asked.text)
        typed, reply = chat.ask([*path, asked])
        path += asked, reply
        chat.read_ahead(path)
        times = [end.timing.first_token_s * 1e3 for end in (pasted, typed)]
        rows.append(Row(turn, pasted.usage.prompt_tokens, pasted.usage.cached_tokens, *times, alone_ms=0))
    resident = resident_gb()
    alone = [chat.ask([said(Role.USER, "Again. " + asked.text)], 1)[0].timing.first_token_s for asked in questions]
    rows = [replace(row, alone_ms=seconds * 1e3) for row, seconds in zip(rows, alone, strict=True)]
    stops = max(chat.stop_ms(4000) for _ in range(STOPS))
    chat.engine.close()
    return Report(chat.info.quantization, chat.info.load_s, rows, stops, resident)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quantization", default="int8", help="default: %(default)s")
    parser.add_argument("--turns", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--sentences", type=int, default=3, help="length of each message; default: %(default)s")
    parser.add_argument("--thought", type=int, default=100, help="tokens; default: %(default)s")
    parser.add_argument("--answer", type=int, default=250, help="tokens; default: %(default)s")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "peers", help="where the weights are kept")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    report = measure(options)
    print(f"Loaded as {report.quantization} in {report.load_s:.1f} s.\n")
    heads = "turn", "prompt", "in the cache", "pasted, ms", "typed, ms", "message alone, ms"
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for row in report.rows:
        times = f"{row.pasted_ms:.0f} | {row.typed_ms:.0f} | {row.alone_ms:.0f}"
        print(f"| {row.turn} | {row.prompt_tokens} | {row.cached_tokens} | {times} |")
    pasted, typed = (
        statistics.median(getattr(row, name) / row.alone_ms for row in report.rows[-3:])
        for name in ("pasted_ms", "typed_ms")
    )
    print(f"\nThe last three turns, in parts of the message alone: {pasted:.2f} pasted, {typed:.2f} typed.")
    print(f"Stop: {report.stop_ms:.0f} ms at most.")
    print(f"Memory held: {report.resident_gb:.2f} GB.")
    if options.json:
        options.json.write_text(json.dumps(asdict(report), indent=2), "utf-8")


if __name__ == "__main__":
    main()
