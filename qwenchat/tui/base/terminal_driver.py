"""Textual's driver for terminals, which survives whatever they send and whatever size they say they have."""

import os
import selectors
from codecs import getincrementaldecoder
from typing import Any

from textual.drivers.linux_driver import LinuxDriver
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message

from qwenchat.system.type_ahead import type_ahead
from qwenchat.tui.base.terminal_input import TerminalParser

WIDEST, HIGHEST = 1000, 300
"""Columns and lines that are drawn on at most; a screen of 8K pixels in small print has fewer."""
_ALTERNATE_KEYS = "\x1b[=4;2u"
"""Asks the kitty protocol for the key of a US keyboard beside the one that is pressed."""
_READ = 65536


def sane(size: Size) -> Size:
    """A size that can be drawn: terminals say 0, and programs between say 65,535."""
    return Size(min(max(1, size.width), WIDEST), min(max(1, size.height), HIGHEST))


class TerminalDriver(LinuxDriver):
    """Reads with a parser of the program's own."""

    def __init__(self, *arguments: Any, size: tuple[int, int] | None = None, **options: Any) -> None:
        super().__init__(*arguments, size=size, **options)
        self._size = size or self._get_terminal_size()

    def start_application_mode(self) -> None:
        """Take the terminal."""
        found = type_ahead.hand_over()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if found is not None and self.attrs_before is not None:
            self.attrs_before = found
        if self._writer_thread is not None:
            self.write(_ALTERNATE_KEYS)
            self.flush()

    def run_input_thread(self) -> None:
        """Hand on what comes until the driver is left; bytes that are no UTF-8 are for the parser to judge."""
        parser = TerminalParser(self._debug)
        decode = getincrementaldecoder("utf-8")("surrogateescape").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(0.1):
                    for event in parser.feed(decode(type_ahead.as_typed(os.read(self.fileno, _READ)))):
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)

    def process_message(self, message: Message) -> None:
        """Hand on what the terminal said, a size as it can be drawn."""
        if isinstance(message, Resize):
            message = Resize.from_dimensions(sane(message.size), message.pixel_size)
        super().process_message(message)

    def _get_terminal_size(self) -> tuple[int, int]:
        return sane(Size(*super()._get_terminal_size()))
