"""What a terminal sends, as characters, escape sequences and pastes, however it is broken and wherever it is cut."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

PASTE_BEGINS, PASTE_ENDS = "\x1b[200~", "\x1b[201~"
_ESC = "\x1b"
_INTRODUCER = re.compile("[\x1b\x80-\x9f\ud800-\udfff]")
_EIGHT_BIT = {0x8F: "\x1bO", 0x90: "\x1bP", 0x98: "\x1bX", 0x9B: "\x1b[", 0x9D: "\x1b]", 0x9E: "\x1b^", 0x9F: "\x1b_"}
"""Introducers of one byte, and how they are spelled in seven bits; a byte that is no UTF-8 comes as a surrogate."""
_STRINGS = "]P^_X"
"""What makes a string (OSC, DCS, PM, APC, SOS) after an Escape."""
_LONGEST = 128
"""Characters of a sequence that are kept; no key and no report that can be read is longer."""
_WORDS = "NaN", "nan", "NAN", "inf", "Inf", "INF", "infinity", "Infinity", "undefined", "null", "None", "nil"
"""What broken programs write for a number; their letters end no sequence there."""
_BEGINNINGS = "|".join(sorted({word[:n] for word in _WORDS for n in range(1, len(word) + 1)}))
_BEGUN_WORD = re.compile(rf"(?:[;:<=>?+-]|\x1b\[(?![Iiu]\Z))(?:{_BEGINNINGS})\Z")
_SHIFT_RXVT = frozenset(f"\x1b[{number}$" for number in (2, 3, 5, 6, 7, 8, *range(11, 35)))
"""Shift with a key as rxvt spells it; `$` ends nothing elsewhere."""


class SequenceKind(Enum):
    """What a piece of the input is."""

    TEXT = auto()
    """Characters, each a key."""
    SEQUENCE = auto()
    """An Escape, alone or with what belongs to it."""
    PASTE = auto()


@dataclass(frozen=True, slots=True)
class InputSequence:
    """A part of the input that can be read by itself."""

    kind: SequenceKind
    text: str


class SequenceReader:
    """Cuts the input into pieces. What was begun and cannot be ended is dropped; it never becomes text."""

    def __init__(self) -> None:
        self._held = ""
        """A sequence that has begun, from its Escape on; of a string only how it begins."""
        self._pasted: list[str] | None = None
        """What has come of a paste; None outside of one."""

    @property
    def holds(self) -> bool:
        """Whether a sequence has begun that time may end."""
        return bool(self._held)

    @property
    def pasting(self) -> bool:
        """Whether a paste has begun."""
        return self._pasted is not None

    def feed(self, data: str) -> Iterator[InputSequence]:
        """The pieces that `data` ends."""
        at = 0
        while at < len(data):
            if self._pasted is not None:
                rest = self._paste(self._pasted, data[at:])
                if rest is None:
                    return
                yield self._end_paste()
                data, at = rest, 0
            elif self._held:
                taken, piece = self._continue(data[at])
                at += taken
                if piece is not None:
                    yield piece
            else:
                found = _INTRODUCER.search(data, at)
                end = found.start() if found else len(data)
                if end > at:
                    yield InputSequence(SequenceKind.TEXT, data[at:end])
                if found:
                    self._begin(found[0])
                at = end + 1

    def expire(self) -> Iterator[InputSequence]:
        """What was begun, now that nothing has followed for a while."""
        if self._pasted is not None:
            yield self._end_paste()
        held, self._held = self._held, ""
        if 0 < len(held) <= 2:  # Escape, or Alt with a key that could have begun a sequence
            yield InputSequence(SequenceKind.SEQUENCE, held)

    def _begin(self, introducer: str) -> None:
        point = ord(introducer)
        self._held = _ESC if introducer == _ESC else _EIGHT_BIT.get(point - 0xDC00 if point >= 0xDC80 else point, "")

    def _continue(self, character: str) -> tuple[int, InputSequence | None]:
        """How many characters of one are taken in, and the piece that is ended."""
        second = self._held[1:2]
        if not second:
            return self._after_escape(character)
        if second in _STRINGS:
            return self._in_string(character)
        if self._held.startswith("\x1b[M"):
            return self._in_old_mouse_report()
        return self._in_control(character)

    def _after_escape(self, character: str) -> tuple[int, InputSequence | None]:
        if _INTRODUCER.match(character):
            self._held = ""
            return 0, InputSequence(SequenceKind.SEQUENCE, _ESC)
        self._held += character
        return 1, None if character in ("[", "O") or character in _STRINGS else self._whole()

    def _in_string(self, character: str) -> tuple[int, InputSequence | None]:
        """Strings say nothing that matters; they end as they should, or where no string can go on."""
        if self._held.endswith(_ESC) and len(self._held) > 1:
            self._held = "" if character == "\\" else _ESC
            return int(character == "\\"), None
        if character == _ESC:
            self._held += _ESC
            return 1, None
        if character in "\x07\x9c\udc9c\x18\x1a":
            self._held = ""
            return 1, None
        if character < " ":
            self._held = ""
            return 0, None
        self._held = f"{self._held[:2]}…"
        return 1, None

    def _in_old_mouse_report(self) -> tuple[int, InputSequence | None]:
        """Three characters of any kind follow, which nothing reads."""
        self._held = f"{self._held}." if len(self._held) < 5 else ""
        return 1, None

    def _in_control(self, character: str) -> tuple[int, InputSequence | None]:
        """CSI and SS3: parameters, then the character that ends it; where that is none, all of it is dropped."""
        if not " " <= character <= "~":
            self._held = ""
            return 0, None
        begun = self._held + character
        if len(begun) > _LONGEST:
            self._held = begun[:_LONGEST]
            if character >= "@":
                self._held = ""
            return 1, None
        self._held = begun
        if begun in ("\x1b[M", "\x1b[[") or (begun[1] == "[" and _BEGUN_WORD.search(begun)):
            return 1, None
        if begun.startswith("\x1b[<") and character not in "Mm":  # of the mouse, whatever stands there for a number
            return 1, None
        if character >= "@" or begun.startswith("\x1b[[") or begun in _SHIFT_RXVT:
            return 1, self._whole()
        return 1, None

    def _whole(self) -> InputSequence | None:
        """The sequence that has ended here; what begins a paste is no piece of its own."""
        held, self._held = self._held, ""
        if held == PASTE_BEGINS:
            self._pasted = [""]
            return None
        return InputSequence(SequenceKind.SEQUENCE, held)

    @staticmethod
    def _paste(pasted: list[str], data: str) -> str | None:
        """Add `data` to the paste; what comes after its end, or None where it goes on."""
        last = pasted.pop() + data
        at = last.find(PASTE_ENDS)
        if at >= 0:
            pasted.append(last[:at])
            return last[at + len(PASTE_ENDS) :]
        kept = max(0, len(last) - len(PASTE_ENDS) + 1)  # the end may be cut in two
        pasted += last[:kept], last[kept:]
        return None

    def _end_paste(self) -> InputSequence:
        pasted, self._pasted = "".join(self._pasted or ()), None
        return InputSequence(
            SequenceKind.PASTE, re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", pasted).replace("\0", "")
        )
