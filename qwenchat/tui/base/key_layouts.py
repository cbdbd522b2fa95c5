"""Keyboard layouts without Latin letters: which key of a US keyboard a letter lies on, so that Ctrl+C is that there."""

import unicodedata

_US = "qwertyuiop[]asdfghjkl;'zxcvbnm,./"
_LAYOUTS = (
    "йцукенгшщзхъфывапролджэячсмитьбю.",  # Russian
    "йцукенгшщзхїфівапролджєячсмитьбю.",  # Ukrainian
    "йцукенгшўзх'фывапролджэячсмітьбю.",  # Belarusian
    "љњертзуиопшђасдфгхјклчћѕџцвбнм,.-",  # Serbian
    ";ςερτυθιοπ[]ασδφγηξκλ;'ζχψωβνμ,./",  # Greek
    "/'קראטוןםפ][שדגכעיחלךף,זסבהנמצתץ.",  # Hebrew
    "ضصثقفغعهخحجدشسيبلاتنمكطئءؤر ىةوزظ",  # Arabic
    "ضصثقفغعهخحجچشسیبلاتنمکگظطزرذدپو./",  # Persian
    "ๆไำพะัีรนยบลฟหกดเ้่าสวงผปแอิืทมใฝ",  # Thai
    "ქწერტყუიოპ[]ასდფგჰჯკლ;'ზხცვბნმ,./",  # Georgian
    "քոեռտըւիօպխծասդֆգհյկլ;'զղցվբնմ,./",  # Armenian
    "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ[]ㅁㄴㅇㄹㅎㅗㅓㅏㅣ;'ㅋㅌㅊㅍㅠㅜㅡ,./",  # Korean
    "たていすかんなにらせ[]ちとしはきくまのり;'つさそひこみも,./",  # Japanese
    "ㄆㄊㄍㄐㄔㄗㄧㄛㄟㄣ[]ㄇㄋㄎㄑㄕㄘㄨㄜㄠㄤ'ㄈㄌㄏㄒㄖㄙㄩㄝㄡㄥ",  # Zhuyin
    "ौैाीूबहगदज[]ोे्िुपरकतच'ॆंमनवलस,./",  # Hindi
)
"""The layouts, each key for key as `_US`; where two have a letter in different places, the first counts."""


def _table() -> dict[str, str]:
    found: dict[str, str] = {"ё": "`", "ґ": "\\", "ذ": "`"}
    for layout in _LAYOUTS:
        for letter, key in zip(layout, _US, strict=True):
            if not letter.isascii():
                found.setdefault(letter, key)
    return found


_US_KEYS = _table()


def us_key(character: str, base: str = "") -> str:
    """The key of a US keyboard that `character` lies on; `base` is the one that the terminal names, if it does.

    Latin letters and signs stand for themselves, whatever layout they come from.
    """
    if character.isascii() or unicodedata.name(character, "LATIN").startswith("LATIN"):
        return character
    if base.isascii() and base.isprintable() and base:
        return base
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    lower = character.lower()
    key = _US_KEYS.get(lower, character)
    return key.upper() if lower != character and key != character else key
