"""What the program says, in the user's language. The English text in the code is the name of a text.

`catalogue.toml` has all of them with their translations; a test holds it complete.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "zh")
_WIDE_STOPS = ("。", "！", "？")
_translations: dict[str, str] = {}


def speak(language: str) -> None:
    """Say everything in `language` from now on: one of LANGUAGES, else English."""
    _translations.clear()
    if language == "zh":
        _translations.update(catalogue())


def catalogue() -> dict[str, str]:
    """Every text with its translation into Simplified Chinese."""
    import tomllib  # noqa: PLC0415  (English has no use for it)

    return tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text("utf-8"))


def language_of(environment: Mapping[str, str]) -> str:
    """The language that the environment asks for, as POSIX reads it."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if wanted := environment.get(name):
            return "zh" if wanted.lower().startswith("zh") else "en"
    return "en"


def say(text: str, /, **values: Any) -> str:
    """`text` in the user's language, with `values` in place of its `{names}` (as `str.format`).

    Only texts of this program are given here; what others wrote comes in `values`.
    """
    said = _translations.get(text, text)
    return said.format(**values) if values else said


def later(text: str) -> str:
    """`text` as it is: one that is kept now and goes through `say` where it is shown."""
    return text


def sentences(*texts: str) -> str:
    """Whole sentences one after the other; where Chinese ends one there is no blank. Empty ones are left out."""
    said = ""
    for text in filter(None, texts):
        said += text if not said or said.endswith(_WIDE_STOPS) else f" {text}"
    return said


def listed(names: Iterable[str]) -> str:
    """Names one after the other on a line, with the comma that the language has between them."""
    return ("、" if _translations else ", ").join(names)


def count(one: str, several: str, number: int, /, **values: Any) -> str:
    """The text for one or for several, with `{number}` of them. Other languages have one form, that of `several`."""
    return say(one if number == 1 and not _translations else several, number=number, **values)


def size(count: int) -> str:
    """A number of bytes for people: "312 MB", "1.5 GB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}" if unit == "GB" else f"{count / scale:.0f} {unit}"
    return f"{count} B"
