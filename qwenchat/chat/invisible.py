"""Characters that cannot be seen: which they are, where they belong, and the marks that stand for the others.

The sets come from the properties of Unicode. `regex`, which knows these, is imported when such a character comes.
"""

import re
from functools import cache
from typing import Any

INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
    + "\U00013430-\U0001343f"
)
"""For a class of a pattern: what can be ignored by default, controls format or is no character; a test derives it."""
_ANY = re.compile(f"[{INVISIBLE}]")
_NAMES = {
    0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF", 0x202D: "LRO", 0x202E: "RLO", 0x2066: "LRI", 0x2067: "RLI",
    0x2068: "FSI", 0x2069: "PDI", 0x200E: "LRM", 0x200F: "RLM", 0x061C: "ALM", 0x200B: "ZWSP", 0x2060: "WJ",
    0xFEFF: "BOM", 0x200C: "ZWNJ", 0x200D: "ZWJ", 0x00AD: "SHY", 0x00A0: "NBSP", 0x0009: "TAB", 0x000A: "LF",
    0x000D: "CR", 0x001B: "ESC", 0x0020: "SP",
}  # fmt: skip
_SOFT_HYPHEN = "\u00ad"
_FLAGS = ("gbeng", "gbsct", "gbwls")
"""The flags that are written with tags: England, Scotland, Wales."""
_IN_PLACE = "|".join(
    (
        r"(?<=[\p{Emoji}--\x00-\x7F])[\uFE0E\uFE0F]|(?<=[0-9#*])\uFE0F(?=\u20E3)",
        r"(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}]\uFE0F?)\u200D",
        # What joins, and what keeps apart, letters of scripts that join them.
        r"(?<=[[\p{L}\p{M}]&&[\p{Joining_Type=D}\p{Joining_Type=R}\p{Arabic}\P{InSC=Other}]--\p{Default_Ignorable_Code_Point}])"
        r"[\u200C\u200D]",
        r"(?<=[\p{Mongolian}--\u180B-\u180F])[\u180B-\u180F]",
        r"(?<=[\p{Unified_Ideograph}\p{Ideographic}])[\uFE00-\uFE02\U000E0100-\U000E01EF]",
        r"(?<=[\p{Sm}--\x00-\x7F])\uFE00",
        "(?<=\U0001f3f4)(?:"
        + "|".join("".join(chr(0xE0000 + ord(letter)) for letter in flag) for flag in _FLAGS)
        + ")\U000e007f",
    )
)
_UNCLEAR = (
    r"[[^\p{L}\p{M}\p{N}\p{P}\p{S} ]\p{Default_Ignorable_Code_Point}\p{Cf}\u2800\U0001D159\U00016FE4\U0001107F\u27E8]"
)
"""What a person does not see, or not as what it is; and the bracket of the marks, so that nobody forges one."""


def marked(text: str, before: str = "") -> str:
    """`text` with a mark for each character that cannot be seen, except where it belongs; soft hyphens are dropped.

    Variation selectors belong behind emoji, ideographs and mathematical signs, joiners into emoji and between letters
    of scripts that join them, tags into a flag. `before` is what stands before `text`.
    """
    if _ANY.search(text) is None:
        return text
    found: str = _hidden().sub(_shown, before + text, pos=len(before))
    return found[len(before) :]


def spelled_out(text: str) -> str:
    """`text` with every character visible, for what a person is asked to approve; nothing is dropped, all is marked.

    So are blanks other than a single space between words, controls, and what a font may lack; a line break is marked
    and the line broken.
    """
    if text.isascii() and text.isprintable() and "  " not in text and text == text.strip():
        return text
    plain: str = _unclear().sub(_spelled, text)
    return _BLANKS.sub(_counted, plain)


def mark(character: str) -> str:
    """What stands for a character that cannot be seen."""
    point = ord(character)
    return f"⟨{_NAMES.get(point) or f'U+{point:04X}'}⟩"


_BLANKS = re.compile(r"(?:\A|(?<=\n)) +| +(?=\Z|⟨LF⟩)|(?<=\S) {3,}(?=\S)")


def _counted(found: re.Match[str]) -> str:
    number = len(found[0])
    return "⟨SP⟩" if number == 1 else f"⟨SP×{number}⟩"


def _shown(found: Any) -> str:
    if found["kept"]:
        return str(found[0])
    return "" if found[0] == _SOFT_HYPHEN else mark(found[0])


def _spelled(found: Any) -> str:
    return f"{mark(found[0])}\n" if found[0] == "\n" else mark(found[0])


@cache
def _hidden() -> Any:
    import regex  # noqa: PLC0415  (20 ms, and most texts have no use for it)

    drawn = r"\p{Prepended_Concatenation_Mark}"
    return regex.compile(f"(?V1)(?P<kept>{_IN_PLACE})|[[{INVISIBLE}]--{drawn}]")


@cache
def _unclear() -> Any:
    import regex  # noqa: PLC0415  (20 ms, and most texts have no use for it)

    return regex.compile(f"(?V1){_UNCLEAR}")
