"""What several test files share; heavy things are made once a run, whichever worker comes first."""

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import settings

from qwenchat.system.paths import Paths
from tests.support.examples import EVERYDAY, register_profiles

if TYPE_CHECKING:
    from qwenchat.engine.local.engine import LocalEngine

# Small matrices gain nothing from threads, and threads that wait for a busy core cost ten times the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Kernels of a GPU run on the CPU, if Triton learns of that before it is imported.
os.environ.setdefault("TRITON_INTERPRET", "1")

# `make test-slow` says --hypothesis-profile=full.
register_profiles()
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", EVERYDAY))

# Programs that the tests start compile the package once, not each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Who starts the tests in the background may have them ignore these, and the programs that they start would do so too.
for _kind, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_kind) is signal.SIG_IGN:
        signal.signal(_kind, _usual)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a long text by how it begins: workers send the names of tests to one another."""
    return f"{val[:60]!a} and more" if isinstance(val, str | bytes) and len(val) > 100 else None


def pytest_collection_finish() -> None:
    """Leave what was imported out of Python's searches for garbage: each takes a third of a second with torch."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 10, 20)


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of this run, filled by `make` in exactly one of its processes."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def qwen3_tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real tokenizer.json and tokenizer_config.json of Qwen3-0.6B."""
    from tests.support.tiny_qwen3 import unpack_tokenizer

    return _once(tmp_path_factory, "qwen3-tokenizer", unpack_tokenizer)


@pytest.fixture(scope="session")
def tiny_qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small Qwen3 that knows the lessons of `tiny_qwen3.py`."""
    from tests.support.tiny_qwen3 import save_tiny_qwen3

    return _once(tmp_path_factory, "tiny-qwen3", save_tiny_qwen3)


@pytest.fixture(scope="session")
def tiny_caller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small Qwen3 that calls the calculator, as `tiny_caller.py` says."""
    from tests.support.tiny_caller import save_tiny_caller

    return _once(tmp_path_factory, "tiny-caller", save_tiny_caller)


@pytest.fixture(scope="session")
def toy_tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tokenizer of 200 tokens that loads at once."""
    from tests.support.tiny_qwen3 import save_toy_tokenizer

    return _once(tmp_path_factory, "toy-tokenizer", save_toy_tokenizer)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """The folders of a user who has nothing yet."""
    return Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache", tmp_path / "logs")


@pytest.fixture(scope="module")
def engine(tiny_qwen3: Path, tmp_path_factory: pytest.TempPathFactory) -> "LocalEngine":
    """An engine that goes from test to test of a file with whatever it has read."""
    return _engine_with(tiny_qwen3, Paths(*[tmp_path_factory.mktemp("engine")] * 4))


@pytest.fixture
def fresh(tiny_qwen3: Path, paths: Paths) -> "LocalEngine":
    """An engine that has read nothing."""
    return _engine_with(tiny_qwen3, paths)


def _engine_with(model: Path, paths: Paths) -> "LocalEngine":
    from qwenchat.engine.local.engine import LocalEngine
    from tests.support.engine_driver import load

    engine = LocalEngine(paths)
    load(engine, model)
    return engine


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """What a test makes of the program's log, the next one does not find."""
    logger = logging.getLogger("qwenchat")
    before = logger.propagate, logger.level, logger.handlers, logging.raiseExceptions
    yield
    logger.propagate, logger.level, logger.handlers, logging.raiseExceptions = before
