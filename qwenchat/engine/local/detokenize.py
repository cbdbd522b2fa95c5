"""Token ids to text, released only as whole characters."""

from collections.abc import Sequence
from typing import Protocol

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
"""What a part of a character is decoded to."""
_MOST_HELD = 64
"""Tokens held back at most, so that endless invalid bytes cannot pile up; one character needs four at most."""


class _Decodes(Protocol):
    def decode(self, ids: list[int]) -> str: ...


class Detokenizer:
    """Decodes a stream of ids; the joined pieces equal the decoding of all ids at once."""

    def __init__(self, tokenizer: _Decodes) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._said = ""
        """The text of `_ids` that was released already."""

    def begin_after(self, ids: Sequence[int]) -> None:
        """Take what comes next as the continuation of a text that ends in `ids`."""
        self._ids = list(ids[-1:])
        self._said = self._tokenizer.decode(self._ids) if self._ids else ""

    def feed(self, token: int) -> str:
        """Take in a token and return the characters that are now whole; may be empty."""
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids)
        if text.endswith(INCOMPLETE) and len(self._ids) <= _MOST_HELD:
            return ""
        return self._release(text, keep=self._ids[-1:])

    def flush(self) -> str:
        """The rest, at the end of the stream or before a control token."""
        rest = self._release(self._tokenizer.decode(self._ids), keep=[]) if self._ids else ""
        self._said = ""
        return rest

    def _release(self, text: str, keep: list[int]) -> str:
        """Hand out what is new; the last token stays as context, since some tokenizers decode by neighbours."""
        new = text[len(self._said) :]
        self._ids = keep
        self._said = self._tokenizer.decode(keep) if keep else ""
        return new
