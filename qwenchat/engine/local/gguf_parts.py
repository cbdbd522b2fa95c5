"""Models in several GGUF files, as llama.cpp's `gguf-split` names them: `NAME-00001-of-00003.gguf` and so on.

By itself, since lists of models need it and must not wait for what reads the files.
"""

import re
from pathlib import Path

_MOST_PARTS = 1000
_PART = re.compile(r"(?P<name>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
"""The name of one part of a model, as llama.cpp's `gguf-split` writes them."""


def parts_of(path: Path) -> list[Path]:
    """All files of the model that `path` is a part of, in order; `path` alone if it is whole. Some may be missing."""
    named = _PART.fullmatch(path.name)
    if named is None or not 0 < int(named["count"]) <= _MOST_PARTS:
        return [path]
    count = int(named["count"])
    return [path.with_name(f"{named['name']}-{at:05}-of-{count:05}{path.suffix}") for at in range(1, count + 1)]


def name_of(path: Path) -> str:
    """What a model in a GGUF file is called: its file name without the ending and the number of the part."""
    named = _PART.fullmatch(path.name)
    return named["name"] if named else path.stem


def first_part(path: Path) -> bool:
    """Whether a GGUF file stands for its model in a list: it is whole, or the first of its parts."""
    return parts_of(path)[0] == path


def size_of(path: Path) -> int:
    """Bytes of all parts that are there. Raises OSError."""
    return sum(part.stat().st_size for part in parts_of(path) if part == path or part.exists())
