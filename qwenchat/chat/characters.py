"""The gate where text enters: whole characters, whatever a server, a file or a shell sent."""

import json
import re
from typing import Any

_BROKEN = re.compile("[\0\ud800-\udfff]")
_HIGH_AT_END = re.compile("[\ud800-\udbff]\\Z")


def whole(text: str) -> str:
    """`text` with the halves of characters joined, and U+FFFD for halves that are alone and for NUL."""
    if text.isascii() and "\0" not in text:
        return text
    if _BROKEN.search(text) is None:
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.replace("\0", "\N{REPLACEMENT CHARACTER}")


def whole_values(value: Any) -> Any:
    """What JSON or TOML says, of lists, dicts and plain values, with `whole` texts and names."""
    match value:
        case str():
            return whole(value)
        case list():
            return [whole_values(entry) for entry in value]
        case dict():
            return {whole_values(name): whole_values(entry) for name, entry in value.items()}
    return value


def whole_json(text: str | bytes, **options: Any) -> Any:
    """`json.loads` with `whole` texts: JSON can spell halves of characters. Raises as that does."""
    value = json.loads(text, **options)
    # Only an escape spells a half, and only a walk finds it; most of what comes has neither.
    spelled = b"\\u" if isinstance(text, bytes) else "\\u"
    return whole_values(value) if spelled in text or _broken(text) else value  # type: ignore[operator]


def _broken(text: str | bytes) -> bool:
    return isinstance(text, str) and _BROKEN.search(text) is not None


class CharacterJoiner:
    """`whole` for text that comes in chunks: halves are joined that come in two, and one is held back till then."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, chunk: str) -> str:
        """Take in a chunk and return the characters that are whole."""
        if not chunk:
            return ""
        text, self._held = self._held + chunk, ""
        if _HIGH_AT_END.search(text):
            text, self._held = text[:-1], text[-1]
        return whole(text)

    def finish(self) -> str:
        """The rest, at the end of the stream."""
        held, self._held = self._held, ""
        return whole(held)
