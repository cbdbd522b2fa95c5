"""Takes the secrets that a server was given out of what that server says, however they are spelled there."""

import base64
import re
from collections.abc import Iterator
from typing import Any

import regex

from qwenchat.chat.invisible import INVISIBLE
from qwenchat.chat.text import SEQUENCE

MASK = "***"
_PLACEHOLDERS = frozenset(
    (
        "none", "null", "empty", "dummy", "ollama", "lm-studio", "not-needed", "no-key", "no-key-required", "sk-none",
        "sk-no-key-required", "api-key", "your-api-key",
    )
)  # fmt: skip
"""What is set where a program insists on a key and the server wants none."""
_SHORTEST, _SHORTEST_NUMBER, _SHORTEST_WORD, _SHORTEST_BASE64 = 6, 8, 16, 8
_SHORTEST_HALVED = 16
_LONGEST_HELD = 8_000
"""Characters that are held back at most, since they may be the beginning of a key with things in it."""
_NAMED_SECRET = re.compile(
    r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|AUTH|AUTHORIZATION|(?<![A-Z])PASS)S?(?![A-Z])",
    re.IGNORECASE,
)
# What is dropped before a text is shown, so that a key with it inside is read as the key.
_BACKSLASHES = r"\\*"
_UNSEEN = rf"(?:{SEQUENCE}|[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f{INVISIBLE}])*+"


def is_secret(key: str) -> bool:
    """Whether a key is one that nobody may see, and not a word that stands in texts or in place of a key."""
    if len(key) < _SHORTEST or key.lower().replace("_", "-") in _PLACEHOLDERS:
        return False
    if key.isdigit():
        return len(key) >= _SHORTEST_NUMBER
    is_word = key.isalpha() and key in (key.lower(), key.upper(), key.title())
    return not is_word or len(key) >= _SHORTEST_WORD


def names_a_secret(name: str) -> bool:
    """Whether a variable or parameter of that name holds what nobody may see."""
    return _NAMED_SECRET.search(name) is not None


class Redaction:
    """Masks keys: as they are, in other cases, percent-encoded, escaped as in JSON or HTML, in hexadecimal or base64.

    What a terminal does not show may stand between its characters. Without a key that is a secret nothing is masked.
    """

    def __init__(self, *keys: str) -> None:
        secrets = [key for key in keys if is_secret(key)]
        self._pattern = _any_of(secrets)
        self._begun = _any_of([key[: (len(key) + 1) // 2] for key in secrets if len(key) >= _SHORTEST_HALVED])
        """The first half of a long key: what ends with it was cut off in the middle of the key."""

    def masked(self, text: str) -> str:
        """`text` without the key."""
        stream = self.stream()
        return stream.feed(text) + stream.finish()

    def values(self, value: Any) -> Any:
        """What JSON says, without the key."""
        match value:
            case str():
                return self.masked(value)
            case list():
                return [self.values(entry) for entry in value]
            case dict():
                return {self.masked(str(name)): self.values(entry) for name, entry in value.items()}
        return value

    def stream(self) -> "RedactedStream":
        """For a text that comes in chunks."""
        return RedactedStream(self._pattern, self._begun)


class RedactedStream:
    """Masks a key that may be cut into chunks: only what may be the beginning of one is held back."""

    def __init__(self, pattern: Any, begun: Any) -> None:
        self._pattern, self._begun = pattern, begun
        self._held = ""

    def feed(self, chunk: str) -> str:
        """Take in a chunk and return what is no part of a key."""
        if self._pattern is None:
            return chunk
        text = self._held + chunk
        kept, end = [], 0
        for found in self._pattern.finditer(text):
            kept += [text[end : found.start()], MASK]
            end = found.end()
        begun = self._pattern.search(text, end, partial=True)
        at = begun.start() if begun is not None else len(text)
        if len(text) - at > _LONGEST_HELD:
            at = len(text)
        self._held = text[at:]
        return "".join((*kept, text[end:at]))

    def finish(self) -> str:
        """The rest, at the end of the stream."""
        held, self._held = self._held, ""
        return MASK if self._begun is not None and self._begun.match(held) else held


def _any_of(keys: list[str]) -> Any:
    """A pattern for every spelling of these; None for no keys."""
    forms = [form for key in keys for form in _forms(key)]
    return regex.compile("(?V1)" + "|".join(forms)) if forms else None


def _forms(key: str) -> Iterator[str]:
    """Patterns for the spellings of a key."""
    first, *others = map(_spellings, key)
    yield f"(?i:{_UNSEEN.join((first, *(f'{_BACKSLASHES}{other}' for other in others)))})"
    yield rf"(?i:{_UNSEEN.join(key.encode().hex())})"
    for before in range(3):
        spelled = base64.b64encode(b"\0" * before + key.encode()).decode()
        # Only what the key alone decides: characters that share bits with what is around it can be any.
        core = spelled[(0, 2, 3)[before] : (before + len(key)) * 8 // 6]
        if len(core) >= _SHORTEST_BASE64:
            yield _UNSEEN.join(_in_base64(character) for character in core)


def _spellings(character: str) -> str:
    point = ord(character)
    return (
        rf"(?:{regex.escape(character)}|%(?:25)*+{point:02x}"
        rf"|\\++(?:[ux]0*+{point:x}|u\{{0*+{point:x}\}}|{point:03o})"
        rf"|&\#0*+{point};|&\#x0*+{point:x};)"
    )


def _in_base64(character: str) -> str:
    return {"+": "[+-]", "/": "[/_]"}.get(character, character)
