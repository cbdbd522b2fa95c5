"""The gate where text enters: whole characters, whatever a server, a file or a shell sent."""

import json
import re
from typing import Any

_HALF = re.compile("[\ud800-\udfff]")
_HIGH_AT_END = re.compile("[\ud800-\udbff]\\Z")


def well_formed(text: str) -> str:
    """`text` with the halves of characters joined, and U+FFFD for halves that are alone."""
    if _HALF.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def well_formed_values(value: Any) -> Any:
    """What JSON or TOML says, of lists, dicts and plain values, with `well_formed` texts and names."""
    match value:
        case str():
            return well_formed(value)
        case list():
            return [well_formed_values(entry) for entry in value]
        case dict():
            return {well_formed_values(name): well_formed_values(entry) for name, entry in value.items()}
    return value


def well_formed_json(text: str, **options: Any) -> Any:
    """`json.loads` with `well_formed` texts: JSON can spell halves of characters. Raises as that does."""
    value = json.loads(text, **options)
    return well_formed_values(value) if "\\u" in text or _HALF.search(text) else value


class CharacterJoiner:
    """`well_formed` for text that comes in chunks: the first half of a character is held back for the second."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, chunk: str) -> str:
        """Take in a chunk and return the characters that are whole."""
        if not chunk:
            return ""
        text, self._held = self._held + chunk, ""
        if _HIGH_AT_END.search(text):
            text, self._held = text[:-1], text[-1]
        return well_formed(text)

    def finish(self) -> str:
        """The rest, at the end of the stream."""
        held, self._held = self._held, ""
        return well_formed(held)
