"""Titles as names of files that every system takes."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from qwenchat.chat.text import safe_line

_LONGEST = 50
"""Characters of a title that its file is named after."""
_LONGEST_ADDITION = 20
_RESERVED = re.compile(r"con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]")


def file_name(title: str, suffix: str, addition: str = "") -> str:
    """The words of a title in small letters with - between, then `addition`: no folder, no option, not too long."""
    name = _slug(title, _LONGEST) or "conversation"
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    return "-".join(filter(None, (name, _slug(addition, _LONGEST_ADDITION)))) + suffix


def _slug(text: str, longest: int) -> str:
    """As many of its words, in any script, as there is room for."""
    text = unicodedata.normalize("NFC", safe_line(text, 4 * longest).lower())
    text = re.sub(r"(?<=\w)['’](?=\w)", "", text)
    words = "".join(letter if _belongs_to_word(letter) else " " for letter in text).split()
    slug = "-".join(words)
    if len(slug) > longest:
        slug = slug[: longest + 1].rpartition("-")[0] or slug[:longest]
    while len(slug.encode("utf-8")) > 3 * longest:
        slug = slug[:-1]
    return slug


def _belongs_to_word(letter: str) -> bool:
    return letter.isalnum() or unicodedata.category(letter).startswith("M")


def free_path(folder: Path, title: str, suffix: str) -> Path:
    """A path in `folder` where nothing stands yet."""
    path = folder / file_name(title, suffix)
    number = 1
    while path.exists() or path.is_symlink():
        number += 1
        path = folder / file_name(title, suffix, str(number))
    return path


def names_for(titles: Mapping[str, str], suffix: str) -> dict[str, str]:
    """A file name for each id, made of its title; titles that make the same name get their ids added."""
    plain = {id_: file_name(title, suffix) for id_, title in titles.items()}
    counts = Counter(name.casefold() for name in plain.values())
    return {
        id_: name if counts[name.casefold()] == 1 else file_name(titles[id_], suffix, id_)
        for id_, name in plain.items()
    }
