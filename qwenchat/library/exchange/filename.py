"""Titles as names of files that every system takes."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from qwenchat.chat.text import safe_line

_LONGEST = 80
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\.|$)", re.IGNORECASE)


def file_name(title: str, suffix: str, addition: str = "") -> str:
    """A name made of a title, with `addition` before the suffix: no folder, no hidden file, no option, not too long."""
    name = _plain(title, _LONGEST)
    name = name.lstrip(".-~ ").rstrip(". ") or "conversation"
    if _RESERVED.match(name):
        name = f"_{name}"
    return f"{name} {_plain(addition, _LONGEST // 4)}".rstrip(". ") + suffix


def _plain(text: str, longest: int) -> str:
    text = unicodedata.normalize("NFC", safe_line(text, 4 * longest))
    text = " ".join(_FORBIDDEN.sub(" ", text).split())[:longest]
    while len(text.encode("utf-8", errors="replace")) > 2 * longest:
        text = text[:-1]
    return text


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
