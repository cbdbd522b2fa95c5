"""The gate where text leaves: nothing but characters that can be seen, newlines and tabs."""

import json
import re
import unicodedata

from qwenchat.chat.characters import well_formed
from qwenchat.chat.invisible import INVISIBLE, marked

# A string sequence ends where another sequence begins, and nothing is gone through twice: hostile text stays cheap.
_INSIDE = r"[^\x07\x1b\x90\x98\x9b-\x9f\n]"
SEQUENCE = (
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f]){_INSIDE}{{0,4096}}+(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]++[0-~]"
    r"|\x1b[0-Z\\^-~]"
)
"""A pattern of the sequences that a terminal obeys."""
_SEQUENCE = re.compile(SEQUENCE)
_PARTIAL = re.compile(
    rf"(?:\r|[\ud800-\udbff]|\ufe0f|\U0001f3f4[\U000e0061-\U000e007a]{{0,5}}+"
    rf"|(?:\x1b|[\x90\x98\x9b\x9d\x9e\x9f]){_INSIDE}{{0,4200}}+\x1b?)\Z"
)
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_HIDDEN = re.compile(f"[\x7f-\x9f{INVISIBLE}]")
_JOINING = "\u200c\u200d\ufe0e\ufe0f"
"""In JSON these stay what they are: emoji and several scripts need them."""


def safe(text: str) -> str:
    """`text` without escape sequences and control characters; what cannot be seen has a mark, except where it belongs.

    Joiners stay, since emoji and several scripts need them. Every line break becomes a newline.
    """
    return marked(_printable(text))


def _printable(text: str) -> str:
    """`text` without what a terminal would obey; what it would hide is still there."""
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCE.sub("", well_formed(text))
    return _CONTROL.sub("", _BREAKS.sub("\n", text))


def safe_line(text: str, limit: int = 200) -> str:
    """`text` made safe and put on one line, cut to `limit` characters."""
    line = " ".join(safe(text[: 8 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def safe_json(value: object, indent: int | None = None) -> str:
    """`value` as JSON in which everything is spelled out that a terminal might obey or hide."""
    text = well_formed(json.dumps(value, ensure_ascii=False, indent=indent))
    return _HIDDEN.sub(lambda found: found[0] if found[0] in _JOINING else json.dumps(found[0])[1:-1], text)


class SafeStream:
    """`safe` for text that comes in chunks: an escape sequence that is cut in two is still removed.

    What may be the beginning of a sequence is held back, at most about 4,000 characters of it.
    """

    def __init__(self) -> None:
        self._held = ""
        self._before = ""
        """The last two characters, which decide whether a joiner belongs where it comes."""

    def feed(self, chunk: str) -> str:
        """Take in a chunk and return what is certain to be text."""
        text = _SEQUENCE.sub("", self._held + chunk)
        partial = _PARTIAL.search(text)
        at = partial.start() if partial else len(text)
        self._held = text[at:]
        return self._marked(text[:at])

    def finish(self) -> str:
        """The rest, at the end of the stream; what is fed then begins another text."""
        rest, self._held = self._marked(self._held), ""
        self._before = ""
        return rest

    def _marked(self, text: str) -> str:
        text, before = _printable(text), self._before
        self._before = (before + text)[-2:]
        return marked(text, before)


def is_web_link(address: str) -> bool:
    """Whether an address may be opened: http and https only, spelled plainly."""
    hidden = _HIDDEN.search(address) or any(unicodedata.category(character) in ("Cc", "Cf") for character in address)
    return bool(re.match(r"https?://[^\s/]", address, re.IGNORECASE)) and not hidden


def decode_input(data: bytes) -> tuple[str, bool]:
    """Bytes from outside as text, and whether something that is not text had to be replaced."""
    text = data.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text, text.encode() != data
