"""The other side of `isolation`: a process that runs one module's functions on foreign input, within limits.

A program of its own: `isolated_child.py OPTIONS`. It is started without environment and without the site module, so
that it is there within milliseconds and holds no secret. What bounds it are the kernel's own limits and signals, which
also reach code that never gives the interpreter back, such as one operation on huge numbers.
"""

import contextlib
import fcntl
import importlib
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from typing import Any

HEADER = struct.Struct("!cQ")
"""Before each message: its kind, and how many bytes follow."""
READY, CALL, RESULT, ERROR, OUT_OF_MEMORY, TOO_LONG = b"s", b"c", b"r", b"e", b"m", b"t"
LONGEST_ERROR = 2_000
"""Bytes of an error."""
_ORPHAN_S = 2.0
"""How much longer than its caller would wait a call may last, should the caller be gone."""
_DESCRIPTORS = 32


def main(options: dict[str, Any]) -> None:
    """Answer calls until the caller hangs up."""
    sys.path[:] = options["path"]
    connection = socket.socket(fileno=0)
    module = importlib.import_module(options["module"])
    _give_up_rights(options["memory"])
    connection.sendall(HEADER.pack(READY, 0))
    while (call := _received(connection)) is not None:
        with _watched(connection, options):
            kind, answer = _answered(module, call)
        del call
        connection.sendall(HEADER.pack(kind, len(answer)) + answer)
        if kind not in (RESULT, ERROR):
            return


def _answered(module: Any, call: bytes) -> tuple[bytes, bytes]:
    """What kind of answer, and the answer."""
    try:
        name, arguments, most = json.loads(call)
        try:
            answer = getattr(module, name)(*arguments).encode("utf-8", "surrogatepass")
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - the caller raises it again
            # Its text may be as large, and as slow to make, as anything else: so it is made within the limits as well.
            said = f"{type(error).__name__}\n{str(error)[:LONGEST_ERROR]}"
            return ERROR, said.encode("utf-8", "surrogatepass")[:LONGEST_ERROR]
    except MemoryError:
        return OUT_OF_MEMORY, b""
    return (RESULT, answer) if len(answer) <= most else (TOO_LONG, b"")


@contextlib.contextmanager
def _watched(connection: socket.socket, options: dict[str, Any]) -> Any:
    """Within this the kernel ends the process when its time is over, or when the caller hangs up.

    macOS ignores the signal of a hang-up, so there an orphan ends with its time.
    """
    signal.setitimer(signal.ITIMER_REAL, options["seconds"] + _ORPHAN_S)
    signal.setitimer(signal.ITIMER_PROF, options["processor_s"])
    flags = fcntl.fcntl(connection, fcntl.F_GETFL)
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, flags | os.O_ASYNC)  # from now on a hang-up is a signal
    if select.select([connection], [], [], 0)[0]:  # it was there before, for a caller sends nothing meanwhile
        os._exit(0)
    try:
        yield
    finally:
        fcntl.fcntl(connection, fcntl.F_SETFL, flags)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _received(connection: socket.socket) -> bytes | None:
    """The next call; None when the caller has hung up."""
    header = _exactly(connection, HEADER.size)
    return None if header is None else _exactly(connection, HEADER.unpack(header)[1])


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    received = bytearray()
    while len(received) < size:
        piece = connection.recv(min(size - len(received), 1 << 20))
        if not piece:
            return None
        received += piece
    return bytes(received)


def _give_up_rights(memory: int) -> None:
    """No more memory than that, no files written, no process started; every signal that ends a process ends this."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for kind in (signal.SIGALRM, signal.SIGPROF, signal.SIGIO, signal.SIGTERM):
        signal.signal(kind, signal.SIG_DFL)
    bounds = {"CORE": 0, "FSIZE": 0, "NPROC": 0, "NOFILE": _DESCRIPTORS}
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm", "rb") as file:  # noqa: PTH123
        bounds["AS"] = int(file.read().split()[0]) * resource.getpagesize() + memory
    for name, bound in bounds.items():
        with contextlib.suppress(OSError, ValueError, AttributeError):  # not every system has each
            limit = getattr(resource, f"RLIMIT_{name}")
            _, hard = resource.getrlimit(limit)
            bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
            resource.setrlimit(limit, (bound, bound))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
