"""Damages files as disks, downloads and strangers do, and opens them in a process whose time and memory are bounded.

Run as a program, `python -m tests.support.damage SUBJECT FILE SEED COUNT`, it opens COUNT damaged versions of FILE and
prints one JSON object: how many were refused and how many opened, and whatever should not have happened.
"""

import contextlib
import json
import random
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from qwenchat.chat.errors import QwenchatError

LONGEST_S = 10
MOST_BYTES = 600_000_000
"""Memory that one damaged file may make the program take beyond what it has."""

_HUGE = [value.to_bytes(8, "little") for value in (2**63 - 1, 2**64 - 1, 2**40, 2**31, 2**31 - 1, 0)]
_TEXTS = (b'"', b"\\", b"{", b"}", b"[" * 200, b"\x00", b"\xff\xfe", b"\xed\xa0\xbd", b"\n", b"1e999", b"null", b"-1")


def damaged(data: bytes, dice: random.Random) -> bytes:
    """`data` with one to three faults."""
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(data) + 1)
        end = min(len(data), at + dice.choice((1, 4, 16, 200, 4096)))
        match dice.randrange(8):
            case 0:
                data = data[:at]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:at] + data[at:end] + data[at:]
            case 3:
                data = data[:at] + bytes(end - at) + data[end:]
            case 4:
                data = data[:at] + dice.randbytes(end - at) + data[end:]
            case 5:
                data = data[:at] + dice.choice(_HUGE) + data[at + 8 :]
            case 6:
                data = data[:at] + dice.choice(_TEXTS) + data[at:]
            case _ if data:
                at = min(at, len(data) - 1)
                data = data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
    return data


def _model(path: Path) -> None:

    from qwenchat.engine.base import StopSignal
    from qwenchat.engine.local.hardware import RunPlan
    from qwenchat.engine.local.loader import load
    from qwenchat.engine.local.prompt import ChatTemplate
    from qwenchat.engine.local.token_scorer import TokenScorer  # noqa: F401  (imported before memory is bounded)
    from tests.support.tiny_qwen3 import user

    plan, stop = RunPlan("cpu", "float32", packed=True), StopSignal()
    with tempfile.TemporaryDirectory() as cache:
        model = load(path, plan=plan, cache_folder=Path(cache), progress=lambda step: None, stop=stop)
        with contextlib.closing(model.network), contextlib.closing(ChatTemplate(model.tokenizer, stop)) as template:
            template.fitted([user("Hi")], True, model.window.tokens, 10)


def _folder(path: Path) -> None:
    _model(path.parent)


def _import(path: Path) -> None:
    from qwenchat.library.exchange.archive import opened
    from qwenchat.library.exchange.reading import conversations_in

    with path.open("rb") as file, opened(file) as members:
        for member in members:
            for _ in conversations_in(member):
                pass


def _config(path: Path) -> None:
    from qwenchat.settings.config import read

    read(path)


def _preset(path: Path) -> None:
    from qwenchat.settings.presets import read

    read(path.parent)


def _theme(path: Path) -> None:
    from qwenchat.tui.base.themes import read_themes

    read_themes([path.parent])


def _prompts(path: Path) -> None:
    from qwenchat.batch.prompts import read_prompts

    read_prompts(path)


SUBJECTS: dict[str, Callable[[Path], None]] = {
    "gguf": _model,
    "gguf-header": _model,
    "safetensors": _folder,
    "tokenizer": _folder,
    "model-config": _folder,
    "import": _import,
    "zip": _import,
    "config": _config,
    "preset": _preset,
    "theme": _theme,
    "prompts": _prompts,
}


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError("it took too long")


def main(subject: str, file: Path, seed: int, count: int) -> dict[str, object]:
    """Open `count` damaged versions of `file`; what is reported names the seed of each version that went wrong."""
    sound, open_one = file.read_bytes(), SUBJECTS[subject]
    open_one(file)  # so that everything that it needs is imported, and the file known to be sound
    signal.signal(signal.SIGALRM, _too_long)
    counts, wrong = {"refused": 0, "opened": 0}, []
    for number in range(count):
        dice = random.Random(f"{subject} {seed} {number}")
        cut = len(sound) if subject != "gguf-header" else min(len(sound), 65_536)
        file.write_bytes(damaged(sound[:cut], dice) + sound[cut:])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.alarm(LONGEST_S)
        try:
            open_one(file)
            counts["opened"] += 1
        except QwenchatError as error:
            str(error).encode()
            counts["refused"] += 1
        except Exception:
            wrong.append({"number": number, "error": traceback.format_exc()[-1500:]})
        finally:
            signal.alarm(0)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        if grown > MOST_BYTES:
            wrong.append({"number": number, "error": f"it took {grown:,} bytes"})
    file.write_bytes(sound)
    return {**counts, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
