"""Takes the terminal before anything slow is imported, so that what is typed while the program starts reaches it."""

import atexit
import fcntl
import os
import signal
import struct
import sys
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType

BESIDE = frozenset({
    "ask", "bench", "models", "config", "stats", "list", "search", "show", "rename", "pin", "archive", "delete",
    "replay", "export", "tools", "import", "doctor", "completion",
})  # fmt: skip
"""The commands beside the chat; known here without importing them."""
_OTHERWISE = frozenset({"--help", "--version", "--plain"})
_INPUT = 0
_CHARACTERS = 6
"""Where in the attributes the special characters stand."""


class TypeAhead:
    """The terminal as it was found, and what had been typed into it by then."""

    def __init__(self) -> None:
        self._found: list[int | list[bytes | int]] | None = None
        self._pending = 0
        self._handed_over = False

    def take(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Switch echo and line editing off where the chat on the whole screen begins with these arguments.

        Ctrl+C still interrupts; Ctrl+Z and Ctrl+\\ are keys. The terminal is given back when the process ends.
        """
        if not _on_screen(arguments, environment) or not _in_foreground():
            return
        with suppress(termios.error):
            found = termios.tcgetattr(_INPUT)
            atexit.register(self.give_back)
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, _end)
            self._found = found
            termios.tcsetattr(_INPUT, termios.TCSANOW, _raw(found))
            if found[0] & termios.ICRNL:
                self._pending = _waiting()

    def hand_over(self) -> list[int | list[bytes | int]] | None:
        """The attributes of the terminal as they were found, for who gives it back from now on; None if not taken."""
        self._handed_over = True
        return self._found

    def as_typed(self, data: bytes) -> bytes:
        """The next bytes of the input; those typed before it was taken get back the Enter that was changed then."""
        before, self._pending = min(self._pending, len(data)), max(0, self._pending - len(data))
        return data[:before].replace(b"\n", b"\r") + data[before:]

    def give_back(self) -> None:
        """Leave the terminal as it was found; what was typed for a chat that never began is no shell command."""
        found, self._found = self._found, None
        if found is not None and _in_foreground():
            with suppress(termios.error):
                termios.tcsetattr(_INPUT, termios.TCSANOW if self._handed_over else termios.TCSAFLUSH, found)


type_ahead = TypeAhead()
"""That of this process."""


def _on_screen(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    words = {argument.partition("=")[0] for argument in arguments}
    if words & (BESIDE | _OTHERWISE) or environment.get("QWENCHAT_PLAIN") or "_QWENCHAT_COMPLETE" in environment:
        return False
    return environment.get("TERM") != "dumb" and os.isatty(_INPUT) and os.isatty(1)


def _in_foreground() -> bool:
    """Whether the terminal may be changed without being stopped for it."""
    try:
        return os.tcgetpgrp(_INPUT) == os.getpgrp()
    except OSError:  # it is not the terminal that this process is controlled by
        return True


def _raw(found: list[int | list[bytes | int]]) -> list[int | list[bytes | int]]:
    """These attributes without echo, line editing and translation."""
    raw = list(found)
    for at, off in (
        (0, termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON | termios.IXOFF),
        (3, termios.ECHO | termios.ICANON | termios.IEXTEN),
    ):
        flags = raw[at]
        assert isinstance(flags, int)
        raw[at] = flags & ~off
    characters = found[_CHARACTERS]
    assert isinstance(characters, list)
    characters = list(characters)
    disabled = bytes([os.fpathconf(_INPUT, "PC_VDISABLE")])
    characters[termios.VSUSP] = characters[termios.VQUIT] = disabled
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    raw[_CHARACTERS] = characters
    return raw


def _waiting() -> int:
    """How many bytes wait to be read."""
    with suppress(OSError):
        return int(struct.unpack("i", fcntl.ioctl(_INPUT, termios.FIONREAD, b"\0" * 4))[0])
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
