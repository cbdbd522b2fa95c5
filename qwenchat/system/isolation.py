"""Runs functions of this program on foreign input in a process that can be killed, within limits.

A template, a page or a sum of numbers comes from strangers and may take for ever or all of the memory, in code that no
thread of this process could end. The process that does such work is another Python, not a copy of this one: it has no
environment, no open files and nothing of torch or of the screen. It ends when this program does, however that ends.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil

from qwenchat.system import isolated_child as child

T = TypeVar("T")

LOOK_EVERY_S = 0.02
"""How often a waiting caller looks whether it was stopped, and at the clock."""
LONGEST_START_S = 60.0
"""Until the process is there and has imported what it needs; a busy machine may need seconds."""
_OWN_BYTES = 200_000_000
"""What the process may have in memory besides what a call may take, where only this program looks."""
_KEPT = ("TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What of the environment the process gets: what the time is here, and what some Pythons need to start."""


class Limit(StrEnum):
    """What a call can run into."""

    TIME = "time"
    PROCESSOR = "processor time"
    MEMORY = "memory"
    OUTPUT = "output"
    CRASH = "crash"
    """None of them: the process ended by itself, as it does when the stack overflows in native code."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What each call may use."""

    seconds: float
    """By the clock."""
    processor_s: float
    memory: int
    """Bytes, beyond what the process has when it starts."""


class IsolationError(Exception):
    """A call in the process that came to nothing."""


class LimitReached(IsolationError):
    """The call was ended, and its process with it; `limit` says by what."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(str(limit))
        self.limit = limit


class CallFailed(IsolationError):
    """The function raised; `kind` is the name of the exception's class, and `text` is its own, cut."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


class CallStopped(IsolationError):
    """Nobody wants the answer any more; the process was killed."""


class NotIsolated(IsolationError):
    """The process cannot be started on this machine."""


class IsolatedModule:
    """The functions of one module, called in a process of their own, which starts with the first call.

    They take what JSON can say and give text. The process stays for further calls, until one runs into a limit; the
    next has a new one. One thread at a time may call.
    """

    def __init__(self, module: str, limits: Limits) -> None:
        self._module, self.limits = module, limits
        self._running: _Running | None = None

    def call(self, function: str, *arguments: Any, output: int, stopped: Callable[[], bool] = lambda: False) -> str:
        """What the function gives, `output` bytes of UTF-8 at most.

        `stopped` is asked all the while, and ends the call within moments.

        Raises CallFailed for what the function raises, LimitReached, CallStopped and NotIsolated.
        """
        request = json.dumps([function, arguments, output]).encode()
        try:
            if self._running is None or self._running.is_gone():
                self.close()
                self._running = _Running(self._module, self.limits, stopped)
            return self._running.answer(request, output, stopped)
        except CallFailed:
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process. A later call starts another."""
        if self._running is not None:
            self._running.end()
            self._running = None


class _Running:
    """One process and the way to it."""

    def __init__(self, module: str, limits: Limits, stopped: Callable[[], bool]) -> None:
        self._limits = limits
        package = str(Path(__file__).parents[2])
        path = [os.path.abspath(entry) for entry in (*sys.path, package)]  # noqa: PTH100
        options = json.dumps({"path": path, "module": module, **asdict(limits)})
        self._connection, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(Path(child.__file__)), options],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={name: os.environ[name] for name in _KEPT if name in os.environ},
                    cwd="/",
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                self._connection.close()
                raise NotIsolated(str(error)) from error
        self.end = weakref.finalize(self, _end, self._process, self._connection)
        self._connection.settimeout(LOOK_EVERY_S)
        self._stopped, self._ends = stopped, time.monotonic() + LONGEST_START_S
        try:
            self._received(0)
        except BaseException as error:
            self.end()
            if isinstance(error, LimitReached):
                raise NotIsolated(str(error)) from error
            raise

    def is_gone(self) -> bool:
        """Whether something ended the process while it had nothing to do."""
        return self._process.poll() is not None

    def answer(self, request: bytes, output: int, stopped: Callable[[], bool]) -> str:
        """Send a call and wait for what comes of it."""
        self._stopped, self._ends = stopped, time.monotonic() + self._limits.seconds
        unsent = memoryview(child.HEADER.pack(child.CALL, len(request)) + request)
        while unsent:
            unsent = unsent[self._patiently(partial(self._connection.send, unsent)) :]
        kind, answer = self._received(output)
        match kind:
            case child.RESULT:
                return answer.decode("utf-8", "surrogatepass")
            case child.ERROR:
                name, _, text = answer.decode("utf-8", "replace").partition("\n")
                raise CallFailed(name, text)
            case child.OUT_OF_MEMORY:
                raise LimitReached(Limit.MEMORY)
            case child.TOO_LONG:
                raise LimitReached(Limit.OUTPUT)
        raise LimitReached(Limit.CRASH)

    def _received(self, most: int) -> tuple[bytes, bytes]:
        kind, size = child.HEADER.unpack(self._exactly(child.HEADER.size))
        if size > max(most, child.LONGEST_ERROR):
            raise LimitReached(Limit.OUTPUT)
        return kind, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            piece = self._patiently(partial(self._connection.recv, min(size - len(received), 1 << 20)))
            if not piece:
                raise LimitReached(self._why_it_ended())
            received += piece
        return bytes(received)

    def _patiently(self, step: Callable[[], T]) -> T:
        """`step`, tried until it can be done, or until a limit is reached or nobody waits."""
        while True:
            if self._stopped():
                raise CallStopped
            try:
                return step()
            except TimeoutError:
                if time.monotonic() > self._ends:
                    raise LimitReached(Limit.TIME) from None
                if _resident(self._process.pid) > self._limits.memory + _OWN_BYTES:
                    raise LimitReached(Limit.MEMORY) from None
            except OSError:
                raise LimitReached(self._why_it_ended()) from None

    def _why_it_ended(self) -> Limit:
        self._process.kill()  # no harm to one that is gone
        code = self._process.wait()
        return {-signal.SIGPROF: Limit.PROCESSOR, -signal.SIGALRM: Limit.TIME, -signal.SIGKILL: Limit.MEMORY}.get(
            code, Limit.CRASH
        )


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds, for systems whose kernel sets it no bound."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _end(process: "subprocess.Popen[bytes]", connection: socket.socket) -> None:
    connection.close()
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
