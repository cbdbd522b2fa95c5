"""The clipboard of the system, through the tool it brings along."""

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress

PATIENCE_S = 2.0


def _tools() -> Iterator[tuple[str, ...]]:
    """The commands that take what is to be copied on their standard input, best first."""
    if sys.platform == "darwin":
        yield ("pbcopy",)
    if os.environ.get("WAYLAND_DISPLAY"):
        yield ("wl-copy",)
    if os.environ.get("DISPLAY"):
        yield ("xclip", "-selection", "clipboard")
        yield ("xsel", "--clipboard", "--input")


async def copy(text: str) -> str | None:
    """Copy `text` and return the name of the tool that took it; None where there is none that works."""
    for name, *arguments in _tools():
        if shutil.which(name) and await _feed(name, *arguments, data=text.encode("utf-8", errors="replace")):
            return name
    return None


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
