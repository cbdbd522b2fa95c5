"""Compiled code that is kept on disk, in a copy of the package that these tests may change and damage."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
ROUND = """
import resource, sys
import numpy as np
if "no room" in sys.argv:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from qwenchat.engine.local.cpu.arrays import new_vectors
from qwenchat.engine.local.cpu.linear import quantize_row
vectors, row = new_vectors(1, 32), np.full(32, 0.6, np.float32)
row[0] = 127
quantize_row(row, vectors, 1, 0)
print(vectors.sums[0], sum(quantize_row.stats.cache_hits.values()))
"""
"""Quantizes 127 and 31 times 0.6; says what the sum comes to, times -128, and whether that needed no compiling."""
COMPILED, KEPT = "-20224 0", "-20224 1"


CODE = Path("qwenchat") / "engine" / "local" / "cpu"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder of the copied native code."""
    shutil.copytree(ROOT / "qwenchat", tmp_path / "qwenchat", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / CODE


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package whose code one run has compiled."""
    home = tmp_path_factory.mktemp("compiled")
    shutil.copytree(ROOT / "qwenchat", home / "qwenchat", ignore=shutil.ignore_patterns("__pycache__"))
    assert run(home / CODE) == COMPILED
    return home / CODE


@pytest.fixture
def compiled(compiled_once: Path, tmp_path: Path) -> Path:
    """A copy of it, with what was compiled, to be changed or damaged."""
    shutil.copytree(compiled_once.parents[3], tmp_path, dirs_exist_ok=True)
    return tmp_path / CODE


def run(package: Path, *options: str) -> str:
    home = package.parents[3]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": str(home), "HOME": str(home / "home"), "XDG_CACHE_HOME": str(home / "home")}
    command = [sys.executable, "-c", ROUND, *options]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_second_run_compiles_nothing(compiled: Path) -> None:
    assert run(compiled) == KEPT


def test_code_that_calls_changed_code_is_compiled_anew(compiled: Path) -> None:
    kernels = compiled / "groups.py"
    kernels.write_text(kernels.read_text("utf-8").replace("llvm.rint.v32f32", "llvm.floor.v32f32"), "utf-8")
    assert run(compiled) == "-16256 0"


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def garbled(file: Path) -> None:
    file.write_bytes(os.urandom(file.stat().st_size))


@pytest.mark.parametrize(
    ("suffix", "damage"), [(".nbi", emptied), (".nbi", garbled), (".nbc", cut_short)], ids=["empty", "garbled", "short"]
)
def test_damaged_files_are_compiled_anew(compiled: Path, suffix: str, damage: Callable[[Path], None]) -> None:
    kept = list(compiled.rglob(f"*{suffix}"))
    assert kept
    for file in kept:
        damage(file)
    assert run(compiled) == COMPILED


def test_a_disk_without_room_is_done_without(package: Path) -> None:
    assert run(package, "no room") == COMPILED


def test_nowhere_to_keep_it_is_done_without(package: Path) -> None:
    (package / "__pycache__").write_text("a file where a folder should be")
    (package.parents[3] / "home").write_text("and here too")
    assert run(package) == COMPILED
