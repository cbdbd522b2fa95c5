"""Characters that cannot be seen: all of them in what one is asked to approve, and in text all that do not belong."""

import json
import re

import pytest
import regex

from qwenchat.chat.characters import CharacterJoiner, well_formed, well_formed_json
from qwenchat.chat.invisible import INVISIBLE, marked, spelled_out
from qwenchat.chat.messages import ToolCallPart
from qwenchat.chat.text import SafeStream, safe, safe_json
from qwenchat.console.permission import arguments_shown, call_in_words

EVERY = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
HIDDEN = regex.compile(r"(?V1)[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Noncharacter_Code_Point}\p{Zl}\p{Zp}]")
TABLE = re.compile(f"[{INVISIBLE}]")
MARK = re.compile("⟨[A-Z0-9+]+⟩")
SEPARABLE = [
    character for character in EVERY if character in "\n\t" or (not CONTROL.match(character) and character != "|")
]
DRAWN = regex.compile(r"\p{Prepended_Concatenation_Mark}")
BELONGS = {
    "a family": "👩\u200d👩\u200d👧\u200d👦",
    "a woman with dark skin at a computer": "👩🏿\u200d💻",
    "a red heart": "❤\ufe0f",
    "a heart on fire": "❤\ufe0f\u200d🔥",
    "the rainbow flag": "🏳\ufe0f\u200d🌈",
    "a key": "1\ufe0f\u20e3",
    "a heart as text": "❤\ufe0e",
    "the flag of Scotland": "🏴" + "".join(chr(0xE0000 + ord(c)) for c in "gbsct") + "\U000e007f",
    "Persian": "می\u200cخواهم",
    "Persian, a letter by itself": "ه\u200d",
    "Hindi": "क्\u200dष क्\u200cष",
    "Malayalam": "ന്\u200d",
    "Sinhala": "ශ්\u200dරී",
    "Mongolian": "ᠭᠡ\u180b ᠨᠠ\u180e",
    "a name in Japanese": "葛\U000e0100城 辻\ufe00",
    "a sign of mathematics": "∪\ufe00",
    "numbers in Arabic": "\u0600١٢٣",
}
HIDES = {
    "tags": ("a\U000e0041\U000e007f", "a⟨U+E0041⟩⟨U+E007F⟩"),
    "tags behind a flag": ("🏴\U000e0072\U000e006d\U000e007f", "🏴⟨U+E0072⟩⟨U+E006D⟩⟨U+E007F⟩"),
    "a joiner in Latin": ("a\u200db\u200cc", "a⟨ZWJ⟩b⟨ZWNJ⟩c"),
    "joiners in a row": ("م\u200c\u200c", "م\u200c⟨ZWNJ⟩"),
    "selectors that carry bytes": ("😀\U000e0100\U000e0101", "😀⟨U+E0100⟩⟨U+E0101⟩"),
    "a joiner behind a selector that is out of place": ("a\ufe0f\u200d", "a⟨U+FE0F⟩⟨ZWJ⟩"),
    "two selectors": ("❤\ufe0f\ufe0f", "❤\ufe0f⟨U+FE0F⟩"),
    "a selector behind a digit": ("1\ufe0f2", "1⟨U+FE0F⟩2"),
    "a selector in Latin": ("a\ufe0f", "a⟨U+FE0F⟩"),
    "invisible operators": ("a\u2061\u2062\u2063\u2064", "a⟨U+2061⟩⟨U+2062⟩⟨U+2063⟩⟨U+2064⟩"),
    "old controls of format": ("\u206a\u206f", "⟨U+206A⟩⟨U+206F⟩"),
    "fillers": ("\u115f\u1160\u3164\uffa0", "⟨U+115F⟩⟨U+1160⟩⟨U+3164⟩⟨U+FFA0⟩"),
    "Khmer's vowels": ("\u17b4\u17b5", "⟨U+17B4⟩⟨U+17B5⟩"),
    "a grapheme joiner": ("a\u034fb", "a⟨U+034F⟩b"),
    "a Mongolian separator": ("a\u180eb", "a⟨U+180E⟩b"),
    "annotations": ("\ufff9a\ufffab\ufffb", "⟨U+FFF9⟩a⟨U+FFFA⟩b⟨U+FFFB⟩"),
    "controls of music": ("\U0001d173\U0001d17a", "⟨U+1D173⟩⟨U+1D17A⟩"),
    "no characters": ("\ufdd0\ufffe\U0010ffff", "⟨U+FDD0⟩⟨U+FFFE⟩⟨U+10FFFF⟩"),
    "bidi": ("\u202e\u2066\u200f\u061c", "⟨RLO⟩⟨LRI⟩⟨RLM⟩⟨ALM⟩"),
    "a soft hyphen": ("so\u00adft", "soft"),
}


def test_the_table_holds_what_unicode_says() -> None:
    drawn = {c for c in EVERY if DRAWN.match(c)}
    assert {c for c in EVERY if TABLE.match(c)} == {c for c in EVERY if HIDDEN.match(c)} - drawn


def test_no_character_of_unicode_is_invisible_in_text_or_loses_what_can_be_seen() -> None:
    shown = safe("|".join(SEPARABLE)).split("|")
    assert len(shown) == len(SEPARABLE)
    for character, said in zip(SEPARABLE, shown, strict=True):
        assert (said == character) is not bool(TABLE.match(character)), ascii(character)


def test_every_character_of_unicode_is_visible_in_what_one_approves() -> None:
    shown = spelled_out("|".join(SEPARABLE)).replace("⟨LF⟩\n", "⟨LF⟩").split("|")
    assert len(shown) == len(SEPARABLE)
    changed = [each for each in zip(SEPARABLE, shown, strict=True) if each[0] != each[1]]
    for character, said in changed:
        # Of a mark there is nothing but brackets, letters and digits: what a person sees.
        assert MARK.match(said), ascii(character)
    same = "".join(character for character, said in zip(SEPARABLE, shown, strict=True) if character == said)
    assert not HIDDEN.search(same)
    assert regex.fullmatch(r"[\p{L}\p{M}\p{N}\p{P}\p{S} ]+", same)


def test_marks_cannot_be_forged_and_different_texts_look_different() -> None:
    assert spelled_out("⟨ZWSP⟩") == "⟨U+27E8⟩ZWSP⟩"
    assert spelled_out("a.txt ") == "a.txt⟨SP⟩"
    assert spelled_out("  a.txt") == "⟨SP×2⟩a.txt"
    assert spelled_out(f"a{' ' * 500}b") == "a⟨SP×500⟩b"
    assert spelled_out("a\nmode: x\r") == "a⟨LF⟩\nmode: x⟨CR⟩"
    assert spelled_out("\x1b[2Ka\tb\u00a0c\u3000d\u2009e") == "⟨ESC⟩[2Ka⟨TAB⟩b⟨NBSP⟩c⟨U+3000⟩d⟨U+2009⟩e"
    assert spelled_out("two words  here") == "two words  here"


@pytest.mark.parametrize("text", BELONGS.values(), ids=BELONGS)
def test_what_belongs_stays_and_is_visible_where_one_approves(text: str) -> None:
    assert safe(text) == text
    assert not HIDDEN.search(spelled_out(text))
    stream = SafeStream()
    assert "".join(map(stream.feed, text)) + stream.finish() == text


@pytest.mark.parametrize(("text", "shown"), HIDES.values(), ids=HIDES)
def test_what_hides_is_shown_also_in_a_stream(text: str, shown: str) -> None:
    assert safe(text) == marked(text) == shown
    stream = SafeStream()
    assert "".join(map(stream.feed, text)) + stream.finish() == shown


@pytest.mark.parametrize("hidden", [text for text, _ in HIDES.values()])
def test_a_call_hides_nothing_in_its_name_its_arguments_or_their_names(hidden: str) -> None:
    for arguments in (
        json.dumps({hidden: hidden, "b": [hidden]}, ensure_ascii=False),
        json.dumps({hidden: hidden}),
        hidden,
    ):
        call = ToolCallPart("1", f"read{hidden}", arguments)
        assert not HIDDEN.search(call_in_words(call))
        assert not any(HIDDEN.search(name + value) for name, value in arguments_shown(call))


def test_a_long_argument_shows_its_beginning_its_end_and_how_much_is_between() -> None:
    [(_, shown)] = arguments_shown(ToolCallPart("1", "write", json.dumps({"text": "a" * 13_000 + "; rm -rf ~"})))
    assert shown.startswith("aaa")
    assert shown.endswith("; rm -rf ~")
    assert "(3010 more characters)" in shown


def test_json_spells_what_is_hidden_and_says_the_same() -> None:
    for text, _ in HIDES.values():
        spelled = safe_json([text])
        assert json.loads(spelled) == [text]
        assert not HIDDEN.search(spelled.translate(dict.fromkeys(map(ord, "\u200c\u200d\ufe0e\ufe0f"))))


HALVES = ["\ud83d\ude00", "a\ud83db", "\ude00\ud83d", "\ud83d", "\ude00", "\ud83d\ud83d\ude00", "x\udcffy"]


@pytest.mark.parametrize("text", HALVES, ids=map(ascii, HALVES))
def test_halves_are_joined_where_they_join_and_replaced_where_not(text: str) -> None:
    whole = well_formed(text)
    whole.encode()
    assert whole == re.sub("[\ud800-\udfff]", "\ufffd", text.replace("\ud83d\ude00", "😀"))
    joiner = CharacterJoiner()
    assert "".join(map(joiner.feed, text)) + joiner.finish() == whole
    assert well_formed_json(json.dumps({text: [text]})) == {whole: [whole]}
    assert safe(text) == whole


def test_nothing_hides_behind_the_end_of_the_text_before() -> None:
    stream = SafeStream()
    assert stream.feed("thought \U0001f4ff") + stream.finish() == "thought \U0001f4ff"
    assert stream.feed("\ufe0fanswer") + stream.finish() == safe("\ufe0fanswer")
