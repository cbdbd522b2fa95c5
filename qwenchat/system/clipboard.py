"""The clipboard of the system, through the tool it brings along."""

import asyncio
import base64
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress

PATIENCE_S = 2.0
TERMINAL_TAKES = 74_000
"""Bytes that every terminal with OSC 52 takes; several refuse a sequence that, in base64, is longer than 100,000."""


def _tools() -> Iterator[tuple[str, ...]]:
    """The commands that take what is to be copied on their standard input, best first."""
    if sys.platform == "darwin":
        yield ("pbcopy",)
    if os.environ.get("WAYLAND_DISPLAY"):
        yield ("wl-copy",)
    if os.environ.get("DISPLAY"):
        yield ("xclip", "-selection", "clipboard")
        yield ("xsel", "--clipboard", "--input")
    if sys.platform == "win32" or os.environ.get("WSL_DISTRO_NAME"):
        yield ("clip.exe",)
    if os.environ.get("TERMUX_VERSION"):
        yield ("termux-clipboard-set",)
    if os.environ.get("TMUX"):
        yield ("tmux", "load-buffer", "-w", "-")


async def copy(text: str) -> str | None:
    """Copy `text` and return the name of the tool that took it; None where there is none that works."""
    for name, *arguments in _tools():
        if shutil.which(name) and await _feed(name, *arguments, data=_encoded(text, name)):
            return name
    return None


def fits_terminal(text: str) -> bool:
    """Whether a terminal takes a text of this length."""
    return len(text) <= TERMINAL_TAKES and len(text.encode("utf-8", errors="replace")) <= TERMINAL_TAKES


def sequence(text: str) -> str:
    """What makes a terminal copy a text, if it allows that (OSC 52)."""
    return f"\x1b]52;c;{base64.b64encode(text.encode('utf-8', errors='replace')).decode('ascii')}\a"


def _encoded(text: str, tool: str) -> bytes:
    """As the tool reads it: for clip.exe UTF-8 is the code page, and a mark of the byte order a character."""
    return text.encode("utf-16-le" if tool == "clip.exe" else "utf-8", errors="replace")


async def _feed(*command: str, data: bytes) -> bool:
    # Such a tool may stay to answer for the clipboard, so nobody waits for the end of what it says.
    quiet = asyncio.subprocess.DEVNULL
    try:
        tool = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
        )
    except OSError:
        return False
    try:
        await asyncio.wait_for(tool.communicate(data), PATIENCE_S)
    except (TimeoutError, OSError):
        with suppress(ProcessLookupError):
            tool.kill()
        return False
    return tool.returncode == 0
