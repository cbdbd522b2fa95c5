"""Reads a tokenizer once in a process, however many models come with it: Qwen's takes a third of a second each time."""

import hashlib
from pathlib import Path

from tokenizers import Tokenizer

from qwenchat.engine.local import gguf_file, tokenizer

_read: dict[bytes, Tokenizer] = {}
_open = tokenizer.open_tokenizer


def _open_once(file: Path) -> Tokenizer:
    content = hashlib.sha256(file.read_bytes()).digest()
    if content not in _read:
        _read[content] = _open(file)
    return _read[content]


def share_tokenizers() -> None:
    """From here on models of this process with the same tokenizer.json share what was read of it."""
    tokenizer.open_tokenizer = gguf_file.open_tokenizer = _open_once
