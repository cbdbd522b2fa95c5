"""A reply is read out in sentences and lines, and loses nothing on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenchat.chat.sentences import LONGEST, Sentences


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Paris is large. It is", ["Paris is large. ", "It is"]),
        ("One\ntwo\nthr", ["One\n", "two\n", "thr"]),
        ('He said "no." Then', ['He said "no." ', "Then"]),
        ("你好。再见！吧", ["你好。", "再见！", "吧"]),
        ("Two:\n1. Rome is old. 2", ["Two:\n", "1. Rome is old. ", "2"]),
        ("**12. Rome** is", ["**12. Rome** is"]),
        ("I have 3. Then", ["I have 3. ", "Then"]),
        ("Ask Dr. Who, e.g. today, z.B. now. Or", ["Ask Dr. Who, e.g. today, z.B. now. ", "Or"]),
        ("He said so. Mr. X", ["He said so. ", "Mr. X"]),
        ("version 3.11 is out", ["version 3.11 is out"]),
    ],
)
def test_a_sentence_is_said_when_it_ends(text: str, said: list[str]) -> None:
    sentences = Sentences()
    pieces = [*(sentences.feed(character) for character in text), sentences.finish()]
    assert [piece for piece in pieces if piece] == said


def test_what_never_ends_is_said_at_a_space() -> None:
    sentences = Sentences()
    said = sentences.feed("word " * LONGEST)
    assert said.endswith(" ")
    assert sentences.feed("x" * 3 * LONGEST) == ""
    assert sentences.finish() == "x" * 3 * LONGEST


@given(st.lists(st.text()))
def test_nothing_is_lost(pieces: list[str]) -> None:
    sentences = Sentences()
    assert "".join([*map(sentences.feed, pieces), sentences.finish()]) == "".join(pieces)
