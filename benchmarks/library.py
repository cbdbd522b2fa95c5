"""How quick a library of 10,000 conversations is: open, list, search, read, save.

    python benchmarks/library.py                       makes one in a temporary folder, measures, removes it
    python benchmarks/library.py --keep DIR            makes it there, or measures the one that is there
    python benchmarks/library.py --conversations 1000 --json out.json

Words are drawn as in natural language: a few are in nearly every message, most are rare. Every seventh conversation is
Chinese. Half of the replies have thoughts.
"""

import argparse
import itertools
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart, new_id
from qwenchat.chat.provenance import FinishReason, ModelInfo, Provenance, ThinkingSupport, Timing, Usage
from qwenchat.chat.sampling import THINKING
from qwenchat.library.backup import back_up
from qwenchat.library.conversation import Conversation
from qwenchat.library.database import join, transaction
from qwenchat.library.library import Library
from qwenchat.library.saving import put_conversation

MODEL = ModelInfo("qwen3-0.6b", "main", "q8_0", "cpu", 40960, ThinkingSupport.SWITCHED)
HOW = Provenance(MODEL, THINKING, True, Usage(100, 50, 30, 20), Timing(0.1, 0.2, 0.3, 4.0), FinishReason.STOP)
COMMON = ("the", "of", "and", "to", "in", "is", "that", "it", "for", "you")
HAN = (
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后"
    "小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长"
)
NEEDLE, NEEDLE_HAN = "zyzzyva", "貔貅"
TURNS = 10


class Words:
    """Draws words and characters, a few of them nearly always."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        letters = ("bcdfghjklmnprstvw", "aeiou")
        made = {
            "".join(self.random.choice(letters[at % 2]) for at in range(length))
            for length in range(3, 10)
            for _ in range(6000)
        }
        self._words = [*COMMON, *self.random.sample(sorted(made), len(made))]
        self._weights = list(itertools.accumulate(1 / (at + 5) for at in range(len(self._words))))
        self._han = [*HAN, *map(chr, range(0x5000, 0x5000 + 2500))]
        self._han_weights = list(itertools.accumulate(1 / (at + 5) for at in range(len(self._han))))

    def text(self, low: int, high: int, *, han: bool) -> str:
        """Between `low` and `high` words, or twice as many characters."""
        count = self.random.randint(low, high)
        if han:
            return "".join(self.random.choices(self._han, cum_weights=self._han_weights, k=2 * count))
        return " ".join(self.random.choices(self._words, cum_weights=self._weights, k=count))


def conversation(words: Words, at: int) -> Conversation:
    """The conversation number `at`, of 20 messages."""
    han, start = at % 7 == 0, 1.6e9 + at * 3600
    messages: list[Message] = []
    for turn in range(TURNS):
        parent = messages[-1].id if messages else None
        asked = words.text(5, 40, han=han)
        if turn == 5 and at % 5000 == 77:
            asked += f" {NEEDLE} {NEEDLE_HAN}"
        messages.append(Message(Role.USER, (TextPart(asked),), parent, created=start + turn))
        thought = (ReasoningPart(words.text(50, 200, han=han), 100, 2.0),) if at % 2 else ()
        parts = (*thought, TextPart(words.text(40, 200, han=han)))
        messages.append(Message(Role.ASSISTANT, parts, messages[-1].id, created=start + turn, provenance=HOW))
    title = words.text(3, 8, han=han)
    return Conversation(
        new_id(), title, start, start + TURNS, tuple(messages), messages[-1].id, "", archived=at % 50 == 1
    )


def make(path: Path, count: int) -> None:
    """A library of `count` conversations."""
    words, library = Words(1), Library.open(path)
    for batch in range(0, count, 200):
        with transaction(library._connection):
            for at in range(batch, min(count, batch + 200)):
                put_conversation(library._connection, conversation(words, at), {})
    library.close()


def timed(what: Callable[[], Any], repeat: int = 7) -> dict[str, float]:
    """The first, the middle and the slowest of some runs, in ms."""
    took = []
    for _ in range(repeat):
        begun = time.perf_counter()
        what()
        took.append(1000 * (time.perf_counter() - begun))
    return {
        "first_ms": round(took[0], 2),
        "median_ms": round(statistics.median(took), 2),
        "worst_ms": round(max(took), 2),
    }


def opening(path: Path) -> dict[str, float]:
    """Opening and closing, as the program does it."""
    return timed(lambda: Library.open(path).close())


def backing_up(path: Path) -> dict[str, float]:
    """The daily backup, with nobody else writing."""
    with closing(join(path)) as connection:
        return timed(lambda: back_up(connection, path, lambda: False), 2)


def searches(library: Library) -> Iterator[tuple[str, str]]:
    """What is searched for, each with a name."""
    text = next(m.text for m in library.read(library.conversations(offset=5, limit=1)[0].id).messages)
    yield "a rare word", NEEDLE
    yield "a word in every message", "the"
    yield "two letters", "th"
    yield "three letters", "con"
    yield "one letter", "a"
    yield "three words", " ".join(text.split()[:3])
    yield "a phrase", '"' + " ".join(text.split()[:2]) + '"'
    yield "one common character", "的"
    yield "two common characters", "的人"
    yield "two rare characters", NEEDLE_HAN
    yield "four characters", "我们人有"
    yield "nothing like it", "qqqq"


def measure(path: Path) -> dict[str, Any]:
    """Everything, from opening on."""
    results: dict[str, Any] = {"open and close": opening(path)}
    library = Library.open(path)
    begun = time.perf_counter()
    library.search(NEEDLE)
    results["index everything, then search"] = {"first_ms": round(1000 * (time.perf_counter() - begun))}
    results["back up and examine"] = backing_up(path)
    results["list a page of 50"] = timed(lambda: library.conversations(limit=50))
    results["list all"] = timed(library.conversations)
    results["list the archive"] = timed(lambda: library.conversations(archived=True))
    for name, typed in searches(library):
        results[f"search: {name}"] = timed(lambda typed=typed: library.search(typed)) | {
            "hits": len(library.search(typed))
        }
    results["search: thoughts too"] = timed(lambda: library.search("the", thoughts=True))
    some = library.conversations(limit=1)[0].id
    results["read a conversation"] = timed(lambda: library.read(some))
    results["save a message"] = timed(lambda: library.save("bench", Message(Role.USER, (TextPart("word " * 30),))), 50)
    results["search after saving"] = timed(lambda: library.search("word"), 1)
    reply = Message(Role.ASSISTANT, (TextPart("word " * 500),), status=Status.STREAMING)
    results["checkpoint a reply"] = timed(lambda: library.save("bench", reply), 50)
    results["pin"] = timed(lambda: library.pin(some, False))
    library.delete("bench")
    results["close, purging 50 messages"] = timed(library.close, 1)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the library is made, or is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (given.keep or Path(folder)) / "conversations.sqlite3"
        begun = time.perf_counter()
        if not path.exists():
            make(path, given.conversations)
        results: dict[str, Any] = {
            "sqlite": sqlite3.sqlite_version,
            "python": sys.version.split()[0],
            "cores": os.cpu_count(),
            "made_s": round(time.perf_counter() - begun, 1),
            "measured": measure(path),
        }
        files = sorted(file for file in path.parent.rglob("*") if file.is_file())
        results["files_mb"] = {file.name: round(file.stat().st_size / 1e6, 1) for file in files}
    for name, figures in results["measured"].items():
        print(f"{name:<32}", "  ".join(f"{key} {value:>9,}" for key, value in figures.items()))
    print({key: value for key, value in results.items() if key != "measured"})
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
