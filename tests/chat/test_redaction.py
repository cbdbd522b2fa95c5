"""A server's key in what that server says: masked in every spelling that is read as the key, and nothing else."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwenchat.chat.redaction import MASK, Redaction, is_secret
from qwenchat.chat.text import safe
from tests.support.examples import examples

KEY = "sk-Sentinel/5d1f+0c77"
SPELLINGS = {
    "as it is": KEY,
    "upper case": KEY.upper(),
    "lower case": KEY.lower(),
    "percent-encoded": quote(KEY, safe=""),
    "percent-encoded throughout": "".join(f"%{ord(c):02X}" for c in KEY),
    "percent-encoded twice": quote(quote(KEY, safe=""), safe=""),
    "JSON, slashes escaped": KEY.replace("/", "\\/"),
    "JSON, in a string in a string": KEY.replace("/", "\\\\/"),
    "JSON, spelled in escapes": "".join(f"\\u{ord(c):04x}" for c in KEY),
    "Python's escapes": "".join(f"\\x{ord(c):02x}" for c in KEY),
    "HTML": "".join(f"&#{ord(c)};" for c in KEY),
    "HTML, hexadecimal": "".join(f"&#x{ord(c):X};" for c in KEY),
    "hexadecimal": KEY.encode().hex(),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 of a header": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "base64 for addresses": base64.urlsafe_b64encode(f"u:{KEY}".encode()).decode(),
    "in braces": "".join(f"\\u{{{ord(c):x}}}" for c in KEY),
    "of eight digits": "".join(f"\\U{ord(c):08x}" for c in KEY),
    "octal": "".join(f"\\{ord(c):03o}" for c in KEY),
    "colours inside": "\x1b[1m".join(KEY),
    "a title inside": KEY[:9] + "\x1b]0;title\x07" + KEY[9:],
    "NUL inside": "\0".join(KEY),
    "backspaces inside": KEY[:5] + "\x08\x08" + KEY[5:],
    "zero-width spaces inside": "\u200b".join(KEY),
    "tags inside": KEY[:3] + "\U000e0041" + KEY[3:],
    "inside a sequence": f"\x1b]0;{KEY}\x07",
}


def streamed(redaction: Redaction, text: str, step: int) -> str:
    stream = redaction.stream()
    return "".join(stream.feed(text[at : at + step]) for at in range(0, len(text), step)) + stream.finish()


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_a_key_is_masked_however_it_is_spelled_and_cut(spelled: str) -> None:
    text = f"Your key is ({spelled}), keep it."
    redaction = Redaction(KEY)
    whole = redaction.masked(text)
    assert MASK in whole
    assert whole.endswith("), keep it.")
    for seen in (whole, safe(whole), *(streamed(redaction, text, step) for step in (1, 2, 3, 7, 64))):
        assert KEY.lower() not in seen.lower()
        assert spelled not in seen
    assert {streamed(redaction, text, step) for step in (1, 2, 3, 7, 64)} == {whole}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_a_text_that_ends_within_the_key_ends_before_it(spelled: str) -> None:
    redaction = Redaction(KEY)
    for left in (1, len(spelled) // 8, len(spelled) // 4):
        text = f"Your key is {spelled[:-left]}"
        for seen in (redaction.masked(text), *(streamed(redaction, text, step) for step in (1, 3, 64))):
            assert seen.startswith("Your key is ")
            assert spelled[: len(spelled) // 2] not in seen
    assert redaction.masked(f"It begins with {KEY[:8]}") == f"It begins with {KEY[:8]}"


@pytest.mark.parametrize("key", ["none", "NONE", "EMPTY", "lm-studio", "not_needed", "secret", "1234", "x", ""])
def test_without_a_key_and_for_a_word_in_its_place_nothing_is_masked(key: str) -> None:
    said = f"none of the 2 workers is healthy; {key} tool_choice must be one of none, auto, required; nonexistent"
    assert not is_secret(key)
    assert Redaction(key).masked(said) == said
    assert streamed(Redaction(key), said, 1) == said


@pytest.mark.parametrize("key", ["hunter2", "token-abc123", "12345678", "Xk9vBqTzLm", "my-secret-key", "x" * 16])
def test_what_is_no_word_is_a_secret(key: str) -> None:
    assert is_secret(key)


def test_no_more_is_held_back_than_may_begin_a_key() -> None:
    stream = Redaction(KEY).stream()
    assert stream.feed("Good day") == "Good day"
    assert stream.feed(" to s") == " to "
    assert stream.feed("uch") == "such"
    assert stream.feed("sk-Sent") == ""
    assert stream.feed("ence") == "sk-Sentence"
    assert stream.feed("100%") == "100"
    assert stream.feed(" sure\x1b[1m\x1b") == "% sure\x1b[1m\x1b"
    assert stream.finish() == ""
    assert stream.feed("sk-" + "\u200b" * 9_000) == "sk-" + "\u200b" * 9_000


@settings(max_examples=examples(100))
@given(st.text(alphabet=st.sampled_from("sk-Ab1%\\u07&#;=\x1b[m\u200b "), max_size=80), st.data())
def test_cutting_a_text_changes_nothing(text: str, data: st.DataObject) -> None:
    redaction = Redaction("sk-Ab1")
    text = text[:40] + "sk-Ab1" + text[40:]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    stream = redaction.stream()
    said = "".join(stream.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))
    assert said + stream.finish() == redaction.masked(text)


def test_what_json_says_is_masked_in_names_and_values() -> None:
    assert Redaction(KEY).values({KEY: [KEY, 1, None, {"a": f"x{KEY}"}]}) == {MASK: [MASK, 1, None, {"a": f"x{MASK}"}]}
