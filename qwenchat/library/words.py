"""Text as the search sees it: case and accents folded, every character of scripts without spaces a word of its own."""

import re
import unicodedata

_MARK = "\u0300"
"""Stands for every mark that is not looked at."""
_ALONE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2190-\u2bff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3105-\u312f"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Chinese, Japanese, Korean and pictures."""

_WORD = re.compile(r"[^\x00-/:-@\[-`{-\x7f]+")


class _Folding(dict[int, str]):
    """One character for one character, so that places in the folded text are places in the text."""

    def __missing__(self, point: int) -> str:
        character = chr(point).lower()[0]
        if point < 0x250 or 0x370 <= point < 0x590 or 0x1E00 <= point < 0x2000 or 0xFF00 <= point < 0xFFF0:
            character = unicodedata.normalize("NFKD", character)[0].lower()[0]
        if (unicodedata.combining(character) and point < 0x750) or 0xFE00 <= point < 0xFE10:
            character = _MARK
        self[point] = character
        return character


class _Spacing(dict[int, str]):
    """Letters, digits, marks and pictures stay, some of them with spaces around; all else is a space."""

    def __missing__(self, point: int) -> str:
        character = chr(point)
        category = unicodedata.category(character)
        if character == _MARK:
            character = ""
        elif _ALONE.match(character):
            character = f" {character} "
        elif category[0] not in "LNM" and category not in ("Co", "So"):
            character = " "
        self[point] = character
        return character


_FOLDED = _Folding()
_SPACED = _Spacing()


def fold(text: str) -> str:
    """`text` in lower case and without accents, of the same length; marks that are not looked at stay as one kind."""
    return text.lower() if text.isascii() else text.translate(_FOLDED)


def spaced(text: str) -> str:
    """`text` folded, with its words apart: what the search index is given, which splits at all ASCII but letters."""
    return text.lower() if text.isascii() else fold(unicodedata.normalize("NFC", text)).translate(_SPACED)


def tokens(text: str) -> list[str]:
    """The words of `text`, as the index knows them."""
    return _WORD.findall(spaced(text))


def stands_alone(token: str) -> bool:
    """Whether a word is one character of a script without spaces."""
    return bool(_ALONE.match(token))


def pattern(words: list[str], *, whole: bool) -> re.Pattern[str]:
    """What finds these words, one after the other, in folded text; without `whole` the last may go on."""
    spelled = [f"{_MARK}*".join(re.escape(character) for character in word) for word in words]
    before = "" if stands_alone(words[0]) else rf"(?:(?<![^\W_])|(?<={_ALONE.pattern}))"
    after = rf"(?:(?![^\W_])|(?={_ALONE.pattern}))" if whole and not stands_alone(words[-1]) else ""
    return re.compile(before + rf"[\W_{_MARK}]*".join(spelled) + _MARK + "*" + after)
