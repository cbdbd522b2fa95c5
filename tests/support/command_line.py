"""The command line without a process of its own: what a command prints and its exit code."""

import io
import subprocess
import sys
from typing import Any

import pytest

from qwenchat.cli import process, wiring
from qwenchat.cli.main import cli
from tests.support.fake_engine import engine_of

Ran = subprocess.CompletedProcess[bytes]


def run_here(*arguments: str, engine: dict[str, Any] | None = None, stdin: bytes = b"", scripted: bool = True) -> Ran:
    """Run a command as the program does, over the engine that is described, or over its own if none is `scripted`."""
    streams = {name: io.TextIOWrapper(io.BytesIO(stdin), "utf-8") for name in ("stdin", "stdout", "stderr")}
    for name in ("stdout", "stderr"):
        streams[name] = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="replace", write_through=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        patch.setattr(sys, "argv", ["qwenchat", *arguments])
        if scripted:
            patch.setattr(wiring, "make_engine", lambda: engine_of(engine or {}))
        code = process._exit_code(cli)
    out, err = (streams[name].buffer.getvalue() for name in ("stdout", "stderr"))  # type: ignore[attr-defined]
    return Ran(arguments, code, out, err)
