"""Stands between this program and a server that it started, so that the server neither outlives nor floods it.

A program of its own: `leash.py PARENT COMMAND ...`. Server and leash are one process group; when the parent is gone,
however it went, both are killed. What the server says goes through as it is, but for a line that does not end; what it
complains about is kept to its last words.
"""

import os
import signal
import subprocess
import sys
import threading
import time

LONGEST_LINE = 4_000_000
"""Bytes."""
BYTES_PER_S = 8_000_000
LAST_WORDS = 2_000
LOOK_EVERY_S = 0.2
GRACE_S = 1.0
NOT_FOUND = 127


def main(arguments: list[str]) -> int:
    """The server's exit code."""
    parent, command = int(arguments[0]), arguments[1:]
    try:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}")
        return NOT_FOUND
    told_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_end.set())
    complaints = bytearray()
    out = threading.Thread(target=_forward, args=(server,), daemon=True)
    err = threading.Thread(target=_keep_last, args=(server, complaints), daemon=True)
    out.start()
    err.start()
    while server.poll() is None:
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)
        if told_to_end.is_set():
            _end(server)
        time.sleep(LOOK_EVERY_S)
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


def _forward(server: "subprocess.Popen[bytes]") -> None:
    """Hand on what the server says, no faster than can be read."""
    line, second, said = 0, time.monotonic(), 0
    while server.stdout is not None and (piece := os.read(server.stdout.fileno(), 65_536)):
        said += len(piece)
        _, newline, rest = piece.rpartition(b"\n")
        line = len(rest) if newline else line + len(piece)
        if line > LONGEST_LINE:
            server.kill()
            return
        try:
            while piece:
                piece = piece[os.write(1, piece) :]
        except OSError:
            server.kill()
            return
        if (now := time.monotonic()) - second > 1:
            second, said = now, 0
        elif said > BYTES_PER_S:
            time.sleep(1 - (now - second))


def _keep_last(server: "subprocess.Popen[bytes]", complaints: bytearray) -> None:
    while server.stderr is not None and (piece := os.read(server.stderr.fileno(), 65_536)):
        complaints += piece
        del complaints[:-LAST_WORDS]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
