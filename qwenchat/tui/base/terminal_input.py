"""What a terminal sends, where Textual reads it slowly or not at all: long pastes, and Alt with Enter or a letter."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.events import Key, Paste
from textual.message import Message

_BEGIN, _END = "\x1b[200~", "\x1b[201~"
_ALT_ENTER = "\x1b\r", "\x1b\n"
_ALT_LETTER = re.compile("(\x1b[a-z])")
"""No other sequence begins so. Textual waits for what may follow, and takes several that come at once for text."""


class TerminalParser(XTermParser):
    """Textual's parser of what a terminal sends, which looks at each character by itself, but for what is pasted:
    that is passed on as it comes, so that a megabyte takes milliseconds. And Alt+Enter is a key of its own, as is Alt
    with a letter, at once.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._pasted: list[str] | None = None
        """What has come of a paste; None outside of one."""
        self._escaped = False
        """Whether the last character was an Escape, after which it is Textual who waits for the next."""

    def feed(self, data: str) -> Iterable[Message]:
        """The events in `data`. A beginning that is cut in two is left to Textual's own way."""
        if not data:
            yield from super().feed(data)
        while data:
            if self._pasted is None:
                before, begin, data = data.partition(_BEGIN)
                yield from self._keys(before) if before else ()
                self._pasted = [""] if begin else None
            else:
                data = self._take(data)
                if data:
                    yield Paste("".join(self._pasted).replace("\x00", ""))
                    self._pasted, data = None, data.removeprefix(_END)

    def _keys(self, data: str) -> Iterable[Message]:
        """The events in what is no paste."""
        pieces = [data] if self._escaped else _ALT_LETTER.split(data)
        self._escaped = data.endswith("\x1b")
        for at, piece in enumerate(pieces):
            if at % 2:
                yield from self._sequence_to_key_events(piece) or self._sequence_to_key_events(piece[1:], alt=True)
            elif piece:
                yield from super().feed(piece)

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[Key]:
        """The keys that a sequence stands for; Alt+Enter comes as Escape and a line end, which Textual takes apart."""
        if sequence in _ALT_ENTER:
            return [Key("alt+enter", None)]
        return list(super()._sequence_to_key_events(sequence, alt))

    def _take(self, data: str) -> str:
        """Add `data` to the paste as far as that goes; from its end on it is given back."""
        pasted = self._pasted or [""]
        last = pasted.pop() + data
        at = last.find(_END)
        if at >= 0:
            pasted.append(last[:at])
            return last[at:]
        kept = max(0, len(last) - len(_END) + 1)  # the end may be cut in two
        pasted += last[:kept], last[kept:]
        return ""


@contextmanager
def own_parser() -> Iterator[None]:
    """Let Textual's driver read the terminal so; it has no other place for a parser of one's own."""
    names = vars(linux_driver)
    before, names["XTermParser"] = names["XTermParser"], TerminalParser
    try:
        yield
    finally:
        names["XTermParser"] = before
