"""Functions in a process that can be killed: every limit is one, and no process outlives the one that started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest

from qwenchat.system import isolation
from qwenchat.system.isolation import (
    CallFailed,
    CallStopped,
    IsolatedModule,
    IsolationError,
    Limit,
    LimitReached,
    Limits,
    NotIsolated,
)
from tests.support.patience import PATIENCE_S

LIMITS = Limits(seconds=5, processor_s=0.2, memory=80_000_000)
WORK = """
    import json, os, sys, time

    def echo(text): return text
    def pid(): return str(os.getpid())
    def times(text, number): return text * number
    def loop():
        while True: pass
    def number(): return str(9 ** (9 ** 9) % 7)
    def sleep(): time.sleep(60)
    def memory():
        held = []
        while True: held.append("x" * 1_000_000)
    def one_piece(): return "x" * 10**12
    def crash():
        import ctypes
        ctypes.string_at(0)
    def leave(): os._exit(3)
    def fail(text): raise ValueError(text)
    def fail_at_length(): raise ValueError(["x" * 10**6] * 10**6)
    def write(path): open(path, "w").write("x" * 9999)
    def around():
        return json.dumps([dict(os.environ), os.listdir("/dev/fd"), os.getcwd(), os.getsid(0), [*sys.modules]])
"""


@pytest.fixture
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., IsolatedModule]]:
    (tmp_path / "foreign_work.py").write_text(dedent(WORK))
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[IsolatedModule] = []

    def make(limits: Limits = LIMITS, module: str = "foreign_work") -> IsolatedModule:
        made.append(IsolatedModule(module, limits))
        return made[-1]

    yield make
    for module in made:
        module.close()


Make = Callable[..., IsolatedModule]


def call(module: IsolatedModule, *request: Any, output: int = 1_000) -> str:
    return module.call(*request, output=output)


def test_a_call_gives_what_the_function_gives_and_the_process_stays(isolated: Make) -> None:
    module = isolated()
    for text in ("", "a", "Größe 世界", "\ud800", "x" * 1_000):
        assert call(module, "echo", text) == text
    assert len(call(module, "times", "x" * 1_000_000, 3, output=3_000_000)) == 3_000_000
    assert call(module, "pid") == call(module, "pid") != str(os.getpid())


@pytest.mark.parametrize(
    ("function", "limit"),
    [
        ("loop", Limit.PROCESSOR),
        ("number", Limit.PROCESSOR),
        ("memory", Limit.MEMORY),
        ("one_piece", Limit.MEMORY),
        ("fail_at_length", Limit.MEMORY),
        ("crash", Limit.CRASH),
        ("leave", Limit.CRASH),
    ],
)
def test_a_limit_ends_the_call_and_the_next_one_has_a_new_process(isolated: Make, function: str, limit: Limit) -> None:
    processor_s = LIMITS.processor_s if limit is Limit.PROCESSOR else 60  # a busy machine gives memory slowly
    module = isolated(replace(LIMITS, seconds=60, processor_s=processor_s))
    first = call(module, "pid")
    with pytest.raises(LimitReached) as caught:
        call(module, function)
    assert caught.value.limit is limit
    assert not psutil.pid_exists(int(first))
    assert call(module, "pid") != first


def test_a_process_that_was_killed_while_it_had_nothing_to_do_is_replaced(isolated: Make) -> None:
    module = isolated()
    first = int(call(module, "pid"))
    os.kill(first, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first)], timeout=PATIENCE_S)
    assert call(module, "echo", "a") == "a"


def test_the_clock_and_the_length_of_the_answer_are_limits_too(isolated: Make) -> None:
    module = isolated(Limits(seconds=0.1, processor_s=5, memory=80_000_000))
    with pytest.raises(LimitReached, match="time"):
        call(module, "sleep")
    with pytest.raises(LimitReached, match="output"):
        call(module, "times", "ä", 501)
    assert call(module, "times", "ä", 500) == "ä" * 500


def test_what_the_function_raises_comes_with_its_name_and_cut(isolated: Make) -> None:
    module = isolated()
    first = call(module, "pid")
    with pytest.raises(CallFailed) as caught:
        call(module, "fail", "no\n" + "ö" * 100_000)
    assert (caught.value.kind, caught.value.text[:4], len(caught.value.text) < 2_000) == ("ValueError", "no\nö", True)
    assert call(module, "pid") == first, "an error is no limit"


@pytest.mark.parametrize("function", ["loop", "number", "sleep"])
def test_a_call_that_nobody_waits_for_ends_within_a_tenth_of_a_second(isolated: Make, function: str) -> None:
    module = isolated(Limits(seconds=60, processor_s=60, memory=80_000_000))
    pid = int(call(module, "pid"))
    answers = iter([False] * 5)
    with pytest.raises(CallStopped):
        module.call(function, output=1_000, stopped=lambda: next(answers, True))
    assert isolation.LOOK_EVERY_S <= 0.05, "so often it is asked"
    assert not psutil.pid_exists(pid)


def test_a_call_that_is_stopped_before_it_begins_starts_nothing(isolated: Make) -> None:
    with pytest.raises(CallStopped):
        isolated().call("pid", output=100, stopped=lambda: True)


def test_the_process_gets_no_secret_no_file_and_nothing_heavy(
    isolated: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import json

    monkeypatch.setenv("QWENCHAT_TEST_KEY", "sesame")
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        environment, files, folder, session, modules = json.loads(call(isolated(), "around", output=1_000_000))
    assert "sesame" not in str(environment)
    assert set(environment) <= {"TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LC_CTYPE", "__CF_USER_TEXT_ENCODING"}
    assert set(files) <= {"0", "1", "2", "3"}, "the way to the caller, nothing twice, and the listing itself"
    assert (folder, session != os.getsid(0)) == ("/", True)
    assert {"torch", "textual", "numpy", "qwenchat.system.isolation"}.isdisjoint(modules)
    with pytest.raises(IsolationError):
        call(isolated(), "write", str(tmp_path / "written"))
    assert not (tmp_path / "written").exists() or not (tmp_path / "written").read_bytes()


def test_memory_is_a_limit_where_the_kernel_sets_none(isolated: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    module = isolated()
    call(module, "pid")
    monkeypatch.setattr(isolation, "_OWN_BYTES", -79_999_999)
    with pytest.raises(LimitReached, match="memory"):
        call(module, "sleep")


@pytest.mark.parametrize("module", ["no_such_module", "sys.nothing"])
def test_a_process_that_does_not_start_is_an_error(isolated: Make, module: str) -> None:
    with pytest.raises(NotIsolated):
        call(isolated(module=module), "pid")


def test_a_python_that_is_not_there_is_an_error(isolated: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(NotIsolated, match="No such file"):
        call(isolated(), "pid")


PARENT = """
    import sys, time
    from qwenchat.system.isolation import IsolatedModule, Limits
    module = IsolatedModule("foreign_work", Limits(60, 60, 80_000_000))
    print(module.call("pid", output=100), flush=True)
    if sys.argv[1] != "idle":
        module.call(sys.argv[1], output=100)
    time.sleep(60)
"""


@pytest.mark.parametrize("doing", ["idle", "loop", "number", "sleep"])
def test_the_process_ends_with_a_program_that_is_killed(isolated: Make, tmp_path: Path, doing: str) -> None:
    path = os.pathsep.join((str(tmp_path), str(Path(isolation.__file__).parents[2])))
    command = [sys.executable, "-c", dedent(PARENT), doing]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    if doing != "idle":
        time.sleep(0.2)  # the call is on its way; it makes no difference whether it has begun
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it runs on"
        time.sleep(0.01)
