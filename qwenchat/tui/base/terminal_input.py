"""What a terminal sends, as events. Textual's own parser makes text of what it cannot read, and fails at some of it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textual import constants
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._keyboard_protocol import FUNCTIONAL_KEYS, MODIFIER_FUNCTIONAL_KEYS
from textual._time import get_time
from textual._xterm_parser import IS_ITERM, XTermParser
from textual.events import AppBlur, AppFocus, Key, Paste, Resize
from textual.keys import Keys, _character_to_key
from textual.message import Message
from textual.messages import InBandWindowResize, TerminalSupportsSynchronizedOutput

from qwenchat.chat.text import safe
from qwenchat.tui.base.key_layouts import us_key
from qwenchat.tui.base.terminal_sequences import InputSequence, SequenceKind, SequenceReader

PASTE_PATIENCE_S = 10.0
"""How long nothing more of a paste may come; then it has lost its end, and would swallow every key."""
_MOUSE = re.compile(r"\x1b\[<(\d{1,9});(\d{1,9});(\d{1,9})[Mm]")
_MODE = re.compile(r"\x1b\[\?(\d+);([0-4])\$y")
_RESIZED = re.compile(r"\x1b\[48;(\d{1,9})(?::\d*)*;(\d{1,9})(?::\d*)*;(\d{1,9})(?::\d*)*;(\d{1,9})(?::\d*)*t")
_KEY = re.compile(
    r"\x1b\[(?P<code>\d{0,9})(?::(?P<shifted>\d{0,9}))?(?::(?P<base>\d{0,9}))?"
    r"(?:;(?P<modifiers>\d{0,9})(?::(?P<event>\d{0,9}))?)?(?:;(?P<text>[\d:]{0,99}))?(?P<end>[u~ABCDEFHPQRS])"
)
_MODIFY_OTHER = re.compile(r"\x1b\[27;(\d{1,9});(\d{1,9})~")
"""A key as xterm (modifyOtherKeys) and tmux spell it."""
_SHIFT, _ALT, _CONTROL, _CAPS_LOCK = 1, 2, 4, 64
_COMMANDS = {2: "alt", 4: "ctrl", 8: "super", 16: "hyper", 32: "meta"}
"""The modifiers with which a key writes nothing; the bits are those of the kitty protocol."""
_RELEASED = 3
_NO_KEYS = MODIFIER_FUNCTIONAL_KEYS | {"caps_lock", "num_lock", "scroll_lock"}
"""What the kitty protocol reports on the way to a key; they would part two presses that follow each other."""
_SPELLED = {8: "\x7f", 9: "\t", 13: "\r", 27: "\x1b", 127: "\x7f"}


@dataclass(frozen=True, slots=True)
class _Press:
    """A key of the kitty protocol, whatever is in it."""

    code: int
    modifiers: int = 0
    text: str = ""
    shifted: str = ""
    base: str = ""


class TerminalParser(XTermParser):
    """Events from what comes: keys, pastes, the mouse, and the terminal's answers to what Textual asks.

    Whatever cannot be read is dropped. A key with Ctrl, Alt or the like has no character, so that no field takes it
    for text, and letters that are not Latin count as the keys that they lie on.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._reader = SequenceReader()

    def feed(self, data: str) -> Iterable[Message]:
        """The events in `data`, which may be cut anywhere; empty data are the end."""
        yield from self._events(self._reader.feed(data) if data else self._reader.expire())
        self._timeout_time = None
        if self._reader.pasting:
            self._timeout_time = get_time() + PASTE_PATIENCE_S
        elif self._reader.holds:
            self._timeout_time = get_time() + constants.ESCAPE_DELAY

    def tick(self) -> Iterable[Message]:
        """The events in what was begun, once it is clear that nothing follows."""
        if self._timeout_time is not None and get_time() >= self._timeout_time:
            self._timeout_time = None
            yield from self._events(self._reader.expire())

    def _events(self, pieces: Iterable[InputSequence]) -> Iterator[Message]:
        for piece in pieces:
            if piece.kind is SequenceKind.PASTE:
                yield Paste(safe(piece.text))
            elif piece.kind is SequenceKind.SEQUENCE:
                yield from self._in_sequence(piece.text)
            else:
                for character in piece.text:
                    yield from super()._sequence_to_key_events(character)

    def _in_sequence(self, sequence: str) -> Iterator[Message]:
        if len(sequence) <= 2:
            yield from _alt(sequence)
        elif sequence in ("\x1b[I", "\x1b[O"):
            yield AppFocus() if sequence.endswith("I") else AppBlur()
        elif found := _RESIZED.fullmatch(sequence):
            yield from self._resized(*map(int, found.groups()))
        elif found := _MODE.fullmatch(sequence):
            yield from _mode(found[1], int(found[2]))
        elif found := _MOUSE.fullmatch(sequence):
            moved = self.parse_mouse_code(sequence)
            yield from () if moved is None else (moved,)
        elif found := _MODIFY_OTHER.fullmatch(sequence):
            yield from self._pressed(_Press(int(found[2]), max(0, int(found[1]) - 1)), "u")
        elif found := _KEY.fullmatch(sequence):
            yield from self._named(found)
        else:
            yield from _known(sequence)

    def _resized(self, height: int, width: int, pixel_height: int, pixel_width: int) -> Iterator[Message]:
        if min(height, width) > 0:
            event = Resize.from_dimensions((width, height), (pixel_width, pixel_height))
            self.terminal_size, self.terminal_pixel_size = event.size, event.pixel_size
            self.mouse_pixels = min(pixel_height, pixel_width) > 0
            yield event

    def _named(self, found: re.Match[str]) -> Iterator[Message]:
        """What a key of the kitty protocol, or of xterm, means; nothing for what is no key, and for a release."""
        if found["event"] == str(_RELEASED):
            return
        code, end = int(found["code"] or 1), found["end"]
        text = "".join(filter(str.isprintable, map(_character, (found["text"] or "").split(":"))))
        modifiers = max(0, int(found["modifiers"] or 1) - 1)
        press = _Press(code, modifiers, text, _character(found["shifted"]), _character(found["base"]))
        yield from self._pressed(press, end) if f"{code}{end}" in FUNCTIONAL_KEYS or end == "u" else _known(found[0])

    def _pressed(self, press: _Press, end: str) -> Iterator[Message]:
        name = FUNCTIONAL_KEYS.get(f"{press.code}{end}")
        if name is None and end == "u":
            yield from _letter(press)
        elif name in _NO_KEYS:
            return
        elif name is not None and (press.text and not press.modifiers & _CONTROL):
            yield from (Key(_character_to_key(character), character) for character in press.text)
        elif name is not None:
            spelled = _SPELLED.get(press.code) if end == "u" and not press.modifiers & 63 else None
            yield Key(_with_modifiers(name, press.modifiers & 63), spelled)


def _letter(press: _Press) -> Iterator[Key]:
    """A key with a letter or a sign on it: the text that it writes, or a command."""
    character = _character(str(press.code))
    writes = character.isprintable() and not "\ue000" <= character <= "\uf8ff"
    if not (press.text or (character and writes)):
        return
    shift = bool(press.modifiers & _SHIFT)
    commands = press.modifiers & ~(_SHIFT | _CAPS_LOCK) & 63
    upper = press.shifted or character.upper()
    composed = press.text and press.text not in (character, upper) and commands == _ALT
    if commands and not composed:
        key = us_key(character, press.base)
        yield Key(_with_modifiers(_character_to_key(key), press.modifiers & 63), None)
        return
    capital = shift or (press.modifiers & _CAPS_LOCK and character.isalpha())
    for written in press.text or (upper if capital else character):
        yield Key(_character_to_key(written), written)


def _alt(sequence: str) -> Iterator[Key]:
    """Escape, or Alt with a key: Escape and what the key sends."""
    if sequence == "\x1b":
        yield Key("escape", "\x1b")
        return
    character = sequence[1]
    known = ANSI_SEQUENCES_KEYS.get(sequence)
    if isinstance(known, tuple):
        yield from _known(sequence)
    elif character in "\r\n":
        yield Key("alt+enter", None)
    elif isinstance(control := ANSI_SEQUENCES_KEYS.get(character), tuple):
        *modifiers, name = control[0].value.split("+")
        yield Key("+".join((*sorted(("alt", *modifiers)), name)), None)
    elif character.isprintable():
        key = us_key(character)
        shifted = key.isupper() and len(key.lower()) == 1
        yield Key(_with_modifiers(_character_to_key(key.lower() if shifted else key), _ALT | shifted), None)


def _known(sequence: str) -> Iterator[Key]:
    """The keys of a sequence that Textual has in its table."""
    keys = ANSI_SEQUENCES_KEYS.get(sequence)
    if isinstance(keys, tuple):
        yield from (Key(key.value, None) for key in keys if key is not Keys.Ignore)
    elif isinstance(keys, str):  # a key of the number pad
        yield from (Key(_character_to_key(character), character) for character in keys)


def _mode(number: str, setting: int) -> Iterator[Message]:
    """What the terminal says of a mode that Textual has asked about."""
    if number == "2026" and setting > 0:
        yield TerminalSupportsSynchronizedOutput()
    elif number == "2048" and constants.SMOOTH_SCROLL and not IS_ITERM:
        yield InBandWindowResize.from_setting_parameter(setting)


def _character(point: str | None) -> str:
    """The character at a code point in decimal digits; empty where there is none."""
    number = int(point) if point else -1
    return chr(number) if 0 <= number < 0xD800 or 0xDFFF < number <= 0x10FFFF else ""


def _with_modifiers(name: str, modifiers: int) -> str:
    """A key as Textual names it: the modifiers in the order of the alphabet, then the key."""
    names = [word for bit, word in _COMMANDS.items() if modifiers & bit]
    return "+".join((*sorted((*names, "shift") if modifiers & _SHIFT else names), name))
