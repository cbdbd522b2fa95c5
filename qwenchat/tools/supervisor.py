"""Stands between this program and a server that it started, so that the server neither outlives nor floods it.

A program of its own: `leash.py PARENT COMMAND ...`. When the parent is gone, however it went, or the server ends, all
that the server started is killed: what lives below it or in its process group, and on Linux also what left both. Of
what the server says, lines that are JSON objects go through, their damage repaired; what it complains about is kept to
its last words.
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LONGEST_LINE = 4_000_000
"""Bytes."""
BYTES_PER_S = 8_000_000
LINES_PER_S = 300
"""Of those that are handed on; reading one takes this program up to a millisecond."""
DEEPEST = 100
"""Brackets in each other that are handed on; parsers give up somewhere above that."""
LAST_WORDS = 2_000
LOOK_EVERY_S = 0.2
GRACE_S = 1.0
NOT_FOUND = 127
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of Linux: whose parent dies becomes a child of this process."""
_MOST_ROUNDS = 50
_BLANK = b"\xef\xbb\xbf \t\r"
"""What may stand before a message: some systems begin what they say with a mark of the byte order."""
_LOG = re.compile(rb'(?<!\\)"method"\s*:\s*"notifications/(?:message|progress)"')
_ID = re.compile(rb'(?<!\\)"id"\s*:')
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]')
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def main(arguments: list[str]) -> int:
    """The server's exit code."""
    parent, command = int(arguments[0]), arguments[1:]
    _adopt()
    try:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}")
        return NOT_FOUND
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    complaints = bytearray()
    out = threading.Thread(target=_forward, args=(server,), daemon=True)
    err = threading.Thread(target=_keep_last, args=(server, complaints), daemon=True)
    out.start()
    err.start()
    while server.poll() is None:
        if os.getppid() != parent:
            _end_descendants()
            os.killpg(0, signal.SIGKILL)
        if asked_to_end.is_set():
            _end(server)
        _reap(server.pid)
        time.sleep(LOOK_EVERY_S)
    _end_descendants()
    out.join(GRACE_S)
    err.join(GRACE_S)
    os.write(2, bytes(complaints[-LAST_WORDS:]))
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        server.kill()


def _adopt() -> None:
    """Become the parent of what the server leaves behind, where the system can do that."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _end_descendants() -> None:
    """Kill all that came of the server, until there is nothing left."""
    for _ in range(_MOST_ROUNDS):
        if not (found := _descendants()):
            return
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _reap(0)
        time.sleep(0.01)


def _descendants() -> set[int]:
    """What lives below this process, or in its group."""
    own, group = os.getpid(), os.getpgrp()
    there = list(_processes())
    found = {pid for pid, _, its_group in there if its_group == group and pid != own}
    above = reached = {own}
    while above := {pid for pid, parent, _ in there if parent in above} - reached:
        reached = reached | above
    return (found | reached) - {own}


def _processes() -> Iterator[tuple[int, int, int]]:
    """All processes that live, each with its parent and its group."""
    if Path("/proc/self/stat").exists():
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError):
                state, *others = (place / "stat").read_bytes().rpartition(b")")[2].split()[:3]
                if state != b"Z":
                    yield int(place.name), int(others[0]), int(others[1])
        return
    with suppress(OSError, ValueError):
        listed = subprocess.Popen(["/bin/ps", "-A", "-o", "pid=,ppid=,pgid="], stdout=subprocess.PIPE)
        for line in listed.communicate()[0].splitlines():
            pid, parent, group = map(int, line.split())
            if pid != listed.pid:
                yield pid, parent, group


def _reap(server: int) -> None:
    """Take note of adopted children that have ended; the server itself is left to who waits for it."""
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid == server:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)


def _forward(server: "subprocess.Popen[bytes]") -> None:
    """Hand on what the server says line by line, no faster than can be read."""
    rest, second, said, lines = bytearray(), time.monotonic(), 0, 0
    while server.stdout is not None and (piece := os.read(server.stdout.fileno(), 65_536)):
        rest += piece
        if b"\n" in piece:
            *whole, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            reported = [sound(line) + b"\n" for line in whole if _matters(line)]
            lines += len(reported)
            ready = b"".join(reported)
        else:
            ready = b""
        if len(rest) > LONGEST_LINE:
            server.kill()
            return
        try:
            while ready:
                ready = ready[os.write(1, ready) :]
        except OSError:
            server.kill()
            return
        said += len(piece)
        if (now := time.monotonic()) - second > 1:
            second, said, lines = now, 0, 0
        elif said > BYTES_PER_S or lines > LINES_PER_S:
            time.sleep(1 - (now - second))


def _matters(line: bytes) -> bool:
    """Whether a line is a message that anyone reads: not noise, not a log, not how far something is."""
    return line.lstrip(_BLANK).startswith(b"{") and (_LOG.search(line) is None or _ID.search(line) is not None)


def sound(line: bytes) -> bytes:
    """A line of JSON without half characters, which no parser takes, and not nested deeper than one can read."""
    line = line.lstrip(_BLANK)
    if b"\\u" in line:
        line = _ESCAPES.sub(lambda found: b"\\ufffd" if found[1] else found[0], line)
    if line.count(b"[") + line.count(b"{") <= DEEPEST:
        return line
    depth, kept, start = 0, list[bytes](), 0
    for found in _BRACKETS.finditer(line):
        if found[0] in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                kept.append(line[start : found.start()] + b"null")
        elif found[0] in b"]}":
            depth -= 1
            if depth == DEEPEST:
                start = found.end()
    return b"".join(kept) + (line[start:] if depth <= DEEPEST else b"")


def _keep_last(server: "subprocess.Popen[bytes]", complaints: bytearray) -> None:
    while server.stderr is not None and (piece := os.read(server.stderr.fileno(), 65_536)):
        complaints += piece
        del complaints[:-LAST_WORDS]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
