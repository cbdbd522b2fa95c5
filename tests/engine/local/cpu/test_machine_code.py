"""The compiled `forward` on disk: loaded without numba, made anew where it is damaged or cannot be kept."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from weakref import ref

import pytest

from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.cpu import machine_code
from tests.engine.local.cpu.test_decoder import WINDOW, Model

ROOT = Path(__file__).parents[4]
RUN = """
import sys
import numpy as np
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.cpu.arrays import aligned
from qwenchat.engine.local.cpu.decoder import QuantizedDecoder
from qwenchat.engine.local.cpu.layout import WeightFormat
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.engine.local.decoder_config import DecoderConfig

random = np.random.default_rng(1)

def take(name, shape):
    if name.endswith("bias"):
        return None
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    groups = shape[0] // 32 * shape[1] // 32
    weights, scales = aligned(groups * 1024, np.uint8), aligned(groups * 32, np.float16)
    weights[:], scales[:] = random.integers(0, 256, weights.size), 0.001
    return PackedMatrix(WeightFormat.U8, *shape, weights, scales, aligned(0, np.float16))

config = DecoderConfig(64, 64, 2, 64, 2, 1, 32, 1e4, 1e-6, 256, True)
decoder = QuantizedDecoder(config, take, 2)
cache = decoder.new_cache(64)
logits = [decoder.read(ids, cache, StopSignal()) for ids in ([1, 2, 3], [4])]
decoder.close()
print(f"{np.abs(logits).sum():.4f}", "numba" in sys.modules)
"""
"""Reads a few tokens with a tiny model; says what the logits come to, and whether numba was imported for it."""


NUMBA_BEFORE_AND_AFTER = f"""
import numpy as np
from numba import njit

def halves(n):
    numbers = np.arange(n)
    return numbers[::2].copy().sum()

assert njit(halves)(10) == 20
{RUN}
assert njit(halves)(12) == 30
"""
"""Has numba compile functions that take and give back memory, before and after the kept code is loaded."""
CODE = (b"entry", b"function")


def run(home: Path, script: str = RUN) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_second_run_needs_no_compiler_and_gives_the_same() -> None:
    first, second = run(ROOT), run(ROOT)
    assert second == [first[0], "False"]


def test_numba_takes_and_gives_back_memory_beside_the_kept_code() -> None:
    found = run(ROOT)[0]
    assert run(ROOT, NUMBA_BEFORE_AND_AFTER) == [found, "True"]


@pytest.mark.slow
def test_damaged_code_is_compiled_anew_and_gives_the_same(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "qwenchat", tmp_path / "qwenchat", ignore=shutil.ignore_patterns("__pycache__"))
    found = run(tmp_path)
    assert found[1] == "True"
    (file,) = tmp_path.rglob("forward-*.code")
    garbled(file)
    assert run(tmp_path) == found
    assert run(tmp_path) == [found[0], "False"]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Where code is kept."""
    both = tmp_path / "beside", tmp_path / "cache"
    monkeypatch.setattr(machine_code, "_folders", lambda: iter(both))
    return both


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def garbled(file: Path) -> None:
    stored = bytearray(file.read_bytes())
    stored[len(stored) // 2] ^= 1
    file.write_bytes(stored)


@pytest.mark.parametrize("damage", [emptied, cut_short, garbled])
def test_damaged_code_is_never_run(folders: tuple[Path, Path], damage: Callable[[Path], None]) -> None:
    machine_code._keep("key", CODE)
    assert machine_code._kept("key") == CODE
    (file,) = folders[0].iterdir()
    damage(file)
    assert machine_code._kept("key") is None


def test_code_is_known_by_the_sources_the_arguments_and_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [machine_code._key("int,<f42"), machine_code._key("int,<f43")]
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx2")
    keys.append(machine_code._key("int,<f42"))
    monkeypatch.setattr(machine_code, "sources", lambda: "others")
    keys.append(machine_code._key("int,<f42"))
    assert len(set(keys)) == 4


def test_where_the_package_cannot_be_written_the_users_cache_serves(folders: tuple[Path, Path]) -> None:
    folders[0].write_text("a file where a folder should be")
    machine_code._keep("key", CODE)
    assert [file.name for file in folders[1].iterdir()] == ["forward-key.code"]
    assert machine_code._kept("key") == CODE


def test_a_full_disk_costs_only_the_next_compilation(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Path, data: bytes) -> int:
        file.touch()
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    machine_code._keep("key", CODE)
    assert machine_code._kept("key") is None
    assert not [file for folder in folders for file in folder.iterdir()]


def test_old_code_is_removed(folders: tuple[Path, Path]) -> None:
    for at in range(machine_code.MOST_FILES + 3):
        machine_code._keep(str(at), CODE)
        os.utime(folders[0] / f"forward-{at}.code", (at, at))
    machine_code._keep("new", CODE)
    assert len(list(folders[0].iterdir())) == machine_code.MOST_FILES
    assert machine_code._kept("new") == CODE
    assert machine_code._kept("0") is None


def test_a_cache_that_is_given_up_takes_its_memory_along() -> None:
    decoder = Model("qwen3").decoder()
    cache = decoder.new_cache(WINDOW)
    decoder.read([1, 2], cache, StopSignal())
    gone = ref(cache)
    del cache
    assert gone() is None
    decoder.read([1, 2], decoder.new_cache(WINDOW), StopSignal())
    decoder.close()
