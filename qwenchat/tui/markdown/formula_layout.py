"""How the parts of a formula are put together as text: scripts, fractions, spaces, and tables of several lines."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import zip_longest

from rich.cells import cell_len

SEPARATOR = "\ue100"
"""Becomes a space where letters or digits would touch otherwise."""

GLUE = "\ue101"
"""Takes away the spaces around it."""

_RELATIONS = "=<>≤≥≠≈≡∼≃≅∝∈∉∋⊂⊆⊃⊇→←↔⇒⇐⇔⟹⟸⟺⟶⟵↦≪≫⊥∥∣≔⊢⊨"
_OPERATORS = "+−±∓×÷·⋅∪∩∧∨∖⊕⊗∘-"
_SCRIPTS = "⁰-₟ᵢ-ᵪⱼᴬ-ᶿ²³¹"
_SHIFTED = {ord(sign): 0xE200 + at for at, sign in enumerate(f" !#%&*,./:;?^_|~()[]{{}}{_RELATIONS}{_OPERATORS}")}
_BACK = {shifted: chr(sign) for sign, shifted in _SHIFTED.items()}
_CLOSED = chr(_SHIFTED[ord(")")])
_RELATION = re.compile(rf" *([{_RELATIONS}]+) *")
_BINARY = re.compile(rf"(?<=[^ (\[{{|‖,;:{_RELATIONS}{_OPERATORS}]) *([{_OPERATORS}]) *")
_TOUCHING = re.compile(rf"(?<=[\w)′°!∞*{_CLOSED}]){SEPARATOR}+(?![{_SCRIPTS}])(?=[\w(√∛∜∑∫∏∂∞])")
_NAME_TOUCHING = re.compile(rf"(?<=[a-z]{{2}}){SEPARATOR}+(?=\()")
_NAME_RAISED = re.compile(rf"{SEPARATOR}+([{_SCRIPTS}]+)")
_INNER_SPACE = re.compile(r"(?<=[(\[⌊⌈⟨]) +| +(?=[)\]⌋⌉⟩])| *\ue101 *")
_GROUP = re.compile(r"\([^()]*\)")
_ATOM = re.compile(
    rf"\d+(?:[.,]\d+)*|[^\W\d_][\u0300-\u036f\u20d7]*[′″{_SCRIPTS}]*|[^\W\d_]+|√\w|[A-Zfgh]?′*\([^()]*\)|√\([^()]*\)|d\w|∂\w"
)
"""What can stand below a stroke without brackets."""
_BRACKETS = {
    "(": "⎛⎜⎜⎝", ")": "⎞⎟⎟⎠", "[": "⎡⎢⎢⎣", "]": "⎤⎥⎥⎦", "{": "⎧⎪⎨⎩", "}": "⎫⎪⎬⎭", "|": "││││", "‖": "‖‖‖‖",
    " ": "    ",
}  # fmt: skip
"""The first, the other, the middle and the last line of a bracket over several lines."""


def literal(text: str) -> str:
    """Text in which nothing is spaced any more."""
    return text.translate(_SHIFTED)


def spaced(text: str) -> str:
    """A line of a formula with spaces around what relates and joins."""
    text = _NAME_TOUCHING.sub("", _NAME_RAISED.sub(rf"\1{SEPARATOR}", unicodedata.normalize("NFC", text)))
    text = _TOUCHING.sub(" ", text).replace(SEPARATOR, "")
    text = _BINARY.sub(r" \1 ", _RELATION.sub(r" \1 ", text))
    return re.sub(" +", " ", _INNER_SPACE.sub("", text)).strip(" ").translate(_BACK)


@cache
def _scripts(kind: str) -> dict[int, str]:
    """The characters that Unicode has as raised or lowered letters, by the letters themselves."""
    blocks = (
        range(0xAA, 0xBB),
        range(0x2B0, 0x2E5),
        range(0x1D2C, 0x1DC0),
        range(0x2070, 0x209D),
        range(0x2C7C, 0x2C7E),
    )
    found: dict[int, str] = {}
    for point in (point for block in blocks for point in block):
        decomposed = unicodedata.decomposition(chr(point)).split()
        if len(decomposed) == 2 and decomposed[0] == kind:
            found.setdefault(int(decomposed[1], 16), chr(point))
    return found | {ord("-"): found[ord("−")], ord(" "): ""}


def superscript(text: str) -> str:
    """Raised, where Unicode has all of it."""
    if text in ("∘", "°"):
        return "°"
    if text and all(sign in "′″†" for sign in text):
        return text
    return _script(text.replace("⊤", "T"), _scripts("<super>"), "^")


def subscript(text: str) -> str:
    """Lowered, where Unicode has all of it."""
    return _script(text, _scripts("<sub>"), "_")


def _script(text: str, scripts: dict[int, str], mark: str) -> str:
    if all(ord(sign) in scripts for sign in text) and not re.search(r"[^\W\d] +[^\W\d]", text):
        return text.translate(scripts)
    inside = text if len(text) == 1 or (mark == "_" and text.isalpha()) else f"({text})"
    return literal(mark + inside) + SEPARATOR


@cache
def _vulgar() -> dict[str, str]:
    """Such as ½ for 1⁄2."""
    signs = map(chr, (*range(0xBC, 0xBF), *range(0x2150, 0x215F)))
    return {
        "".join(chr(int(point, 16)) for point in unicodedata.decomposition(sign).split()[1:]): sign for sign in signs
    }


def over(upper: str, lower: str) -> str:
    """A fraction."""
    if sign := _vulgar().get(f"{upper}⁄{lower}"):
        return sign
    above = upper if _ATOM.fullmatch(upper) or not re.search(r"[ /]", _without_groups(upper)) else f"({upper})"
    below = lower if _ATOM.fullmatch(lower) else f"({lower})"
    return SEPARATOR + literal(f"{above}/{below}") + SEPARATOR


def _without_groups(text: str) -> str:
    while text != (text := _GROUP.sub("", text)):
        pass
    return text


def grid(rows: Sequence[Sequence[str]], fences: str = "  ", *, sides: str = "l", gap: str = "  ") -> list[str]:
    """A table, between brackets; `sides` says for its columns in turn where their text stands: left, right, centre."""
    columns = list(zip_longest(*rows, fillvalue=""))
    padded = [
        [_padded(cell, max(map(cell_len, column)), sides[at % len(sides)]) for cell in column]
        for at, column in enumerate(columns)
    ]
    return _fenced([gap.join(row) for row in zip(*padded, strict=True)], fences)


def _padded(text: str, width: int, side: str) -> str:
    room = width - cell_len(text)
    before = {"l": 0, "r": room, "c": room // 2}[side]
    return " " * before + text + " " * (room - before)


def _fenced(lines: Sequence[str], fences: str) -> list[str]:
    if fences == "  ":
        return [line.rstrip() for line in lines]
    if len(lines) == 1:
        return [f"{fences[0]}{lines[0]}{fences[1]}"]
    left, right = (_bracket(fence, len(lines)) for fence in fences)
    return [f"{a} {line} {b}".rstrip() for a, line, b in zip(left, lines, right, strict=True)]


def _bracket(sign: str, height: int) -> str:
    first, other, middle, last = tuple(_BRACKETS[sign])
    inner = [other] * (height - 2)
    if inner:
        inner[len(inner) // 2] = middle
    return "".join((first, *inner, last))


def beside(parts: Iterable[Sequence[str]]) -> list[str]:
    """Parts of one or more lines next to one another, each in the middle."""
    parts = list(parts) or [[""]]
    height = max(map(len, parts))
    columns = []
    for part in parts:
        width = max(map(cell_len, part))
        above = (height - len(part)) // 2 if len(part) > 1 else (height - 1) // 2
        lines = [""] * above + list(part) + [""] * (height - len(part) - above)
        columns.append([_padded(line, width, "l") for line in lines])
    return [" ".join(row).rstrip() for row in zip(*columns, strict=True)]


def framed(lines: Sequence[str]) -> list[str]:
    """Lines in a frame."""
    width = max(map(cell_len, lines))
    inside = [f"│ {_padded(line, width, 'l')} │" for line in lines]
    return ["┌" + "─" * (width + 2) + "┐", *inside, "└" + "─" * (width + 2) + "┘"]
