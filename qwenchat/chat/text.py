"""Untrusted text made safe for a terminal: nothing but characters, newlines and tabs."""

import json
import re
import unicodedata

# A string sequence ends where another sequence begins, and nothing is gone through twice: hostile text stays cheap.
_INSIDE = r"[^\x07\x1b\x90\x98\x9b-\x9f\n]"
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f]){_INSIDE}{{0,4096}}+(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]++[0-~]"
    r"|\x1b[0-Z\\^-~]"
)
_PARTIAL = re.compile(rf"(?:\r|(?:\x1b|[\x90\x98\x9b\x9d\x9e\x9f]){_INSIDE}{{0,4200}}+\x1b?)\Z")
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_MARKED = {
    0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF", 0x202D: "LRO", 0x202E: "RLO", 0x2066: "LRI", 0x2067: "RLI",
    0x2068: "FSI", 0x2069: "PDI", 0x200E: "LRM", 0x200F: "RLM", 0x061C: "ALM", 0x200B: "ZWSP", 0x2060: "WJ",
    0xFEFF: "BOM",
}  # fmt: skip
_HIDDEN = re.compile(f"[\x7f-\x9f\u2028\u2029\ud800-\udfff{''.join(map(chr, _MARKED))}]")
_INVISIBLE = {point: f"⟨{name}⟩" for point, name in _MARKED.items()}
_INVISIBLE |= {point: "\N{REPLACEMENT CHARACTER}" for point in range(0xD800, 0xE000)}


def safe(text: str) -> str:
    """`text` without escape sequences and control characters; bidi and zero-width marks made visible.

    Joiners stay, since emoji and several scripts need them. Every line break becomes a newline.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCE.sub("", text)
    return _CONTROL.sub("", _BREAKS.sub("\n", text)).translate(_INVISIBLE)


def safe_line(text: str, limit: int = 200) -> str:
    """`text` made safe and put on one line, cut to `limit` characters."""
    line = " ".join(safe(text[: 8 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def safe_json(value: object, indent: int | None = None) -> str:
    """`value` as JSON in which everything is spelled out that a terminal might obey or hide."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class SafeStream:
    """`safe` for text that comes in chunks: an escape sequence that is cut in two is still removed.

    What may be the beginning of a sequence is held back, at most about 4,000 characters of it.
    """

    def __init__(self) -> None:
        self._held = ""

    def feed(self, chunk: str) -> str:
        """Take in a chunk and return what is certain to be text."""
        text = _SEQUENCE.sub("", self._held + chunk)
        partial = _PARTIAL.search(text)
        at = partial.start() if partial else len(text)
        self._held = text[at:]
        return safe(text[:at])

    def finish(self) -> str:
        """The rest, at the end of the stream."""
        held, self._held = self._held, ""
        return safe(held)


def is_web_link(address: str) -> bool:
    """Whether an address may be opened: http and https only, spelled plainly."""
    return bool(re.match(r"https?://[^\s/]", address, re.IGNORECASE)) and not any(
        unicodedata.category(character) in ("Cc", "Cf") for character in address
    )


def decode_input(data: bytes) -> tuple[str, bool]:
    """Bytes from outside as text, and whether something that is not text had to be replaced."""
    text = data.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text, text.encode() != data
