"""The names of keys as people write them in config.toml, and which of them there are."""

import re
import unicodedata

from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key

_MODIFIERS = ("alt", "ctrl", "hyper", "meta", "shift", "super")
"""In the order in which Textual names them."""
_OTHER_WORDS = {
    "control": "ctrl", "option": "alt", "opt": "alt", "cmd": "super", "command": "super", "win": "super",
    "esc": "escape", "return": "enter", "del": "delete", "ins": "insert", "pgup": "pageup", "pgdn": "pagedown",
    "page_up": "pageup", "page_down": "pagedown", "bksp": "backspace", "arrow_up": "up", "arrow_down": "down",
}  # fmt: skip
_FUNCTIONS = frozenset(key.value for key in Keys if re.fullmatch(r"[a-z]\w+", key.value)) - {"return"}
_SENT_AS = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+left_square_bracket": "escape", "ctrl+h": "backspace"}
"""What terminals without the kitty protocol send for these."""
_PICTURES = "\u2200"
"""From here on Unicode has signs and pictures that no keyboard has."""
_ELSEWHERE = re.compile(
    r"(?:\w+\+)*(?:super|hyper|meta)\+.*|ctrl\+(?:\d|enter|tab|escape|backspace|comma|full_stop|minus|equals_sign|plus"
    r"|semicolon|apostrophe|slash)|(?:alt\+)?(?:ctrl\+)?shift\+(?:enter|space|backspace|escape)|(?:alt\+)?ctrl\+shift\+\w"
)
"""Keys that only terminals with the kitty protocol, or its like, can send."""


def normal(key: str) -> str:
    """A key as Textual names it: "Shift+Ctrl+Esc" is "ctrl+shift+escape", "shift+a" is "A"; empty for what is none."""
    *modifiers, name = re.split(r"(?<!\A)(?<!\+)\+", key.strip())
    modifiers = [_OTHER_WORDS.get(word.strip().lower(), word.strip().lower()) for word in modifiers]
    name = _named(name.strip())
    if not name or len(set(modifiers)) < len(modifiers) or not set(modifiers) <= set(_MODIFIERS):
        return ""
    if modifiers == ["shift"] and len(name) == 1:
        return name.upper() if len(name.upper()) == 1 and name.isalpha() else ""
    if modifiers and len(name) == 1:
        name = name.lower()
    return "+".join((*sorted(modifiers), name))


def other_key(key: str) -> str:
    """The key that most terminals send for this one, which they cannot tell from it; empty where they can."""
    return _SENT_AS.get(key, "")


def is_everywhere(key: str) -> bool:
    """Whether terminals without the kitty protocol can send it."""
    return key not in _SENT_AS and not _ELSEWHERE.fullmatch(key)


def writes(key: str) -> bool:
    """Whether the key writes a character, or is one that every text is changed with."""
    return "+" not in key and (key not in _FUNCTIONS or key in _EDITING)


_EDITING = frozenset({"space", "backspace", "delete", "left", "right", "home", "end", "enter"})


def _named(name: str) -> str:
    """A key without modifiers: a character, a function, or a sign by its name in Unicode; empty for none."""
    if len(name) == 1:
        return _character_to_key(name) if name.isalnum() or _is_sign(name) else ""
    word = _OTHER_WORDS.get(name.lower(), name.lower())
    if word in _FUNCTIONS or word in KEY_NAME_REPLACEMENTS.values():
        return word
    if word in KEY_NAME_REPLACEMENTS:
        return KEY_NAME_REPLACEMENTS[word]
    try:
        sign = unicodedata.lookup(word.replace("_", " "))
    except KeyError:
        return ""
    return word if _is_sign(sign) else ""


def _is_sign(text: str) -> bool:
    """Whether keyboards have a key for it; Unicode has names for a banana, too."""
    return len(text) == 1 and "!" <= text < _PICTURES and text.isprintable() and not text.isalnum()


def examples() -> list[str]:
    """Names that a mistyped one may have meant."""
    plain = sorted(_FUNCTIONS)
    letters = [f"{modifier}+{letter}" for modifier in ("ctrl", "alt") for letter in "abcdefghijklmnopqrstuvwxyz"]
    return [*plain, *letters, *(f"{modifier}+{name}" for modifier in ("ctrl", "alt", "shift") for name in plain)]
