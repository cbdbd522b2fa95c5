"""The plain mode breaks lines between words, and leaves alone what a break would spoil."""

import random

import pytest
from rich.cells import cell_len

from qwenchat.console.word_wrap import WordWrap


def wrapped(text: str, width: int, sizes: tuple[int, ...] = ()) -> str:
    wrap = WordWrap(lambda: width)
    chunks, at = [], 0
    for size in sizes:
        chunks.append(text[at : at + size])
        at += size
    return "".join(wrap.feed(chunk) for chunk in (*chunks, text[at:])) + wrap.finish()


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("the quick brown fox", 10, ["the quick", "brown fox"]),
        ("the quick brown fox", 9, ["the quick", "brown fox"]),
        ("a\n\nb c", 3, ["a", "", "b c"]),
        ("incomprehensibilities are long", 10, ["incomprehensibilities", "are long"]),
        ("- an item of a list", 12, ["- an item of", "a list"]),
        ("  indented a bit", 10, ["  indented", "a bit"]),
        ("北京是中国的首都。", 8, ["北京是中", "国的首", "都。"]),
        ("他说：「你好」。", 8, ["他说：", "「你", "好」。"]),
        ("使用 Python 语言编程", 12, ["使用 Python", "语言编程"]),
        ("```\nprint('a long line of code')\n```\nand words again", 10,
         ["```", "print('a long line of code')", "```", "and words", "again"]),
        ("    code that is indented far", 10, ["    code that is indented far"]),
        ("| a table | with cells |", 10, ["| a table | with cells |"]),
        ("the quick brown fox", 0, ["the quick brown fox"]),
        ("한국어 문장은 빈칸에서", 14, ["한국어 문장은", "빈칸에서"]),
        ("👩‍👩‍👧‍👦👩‍👩‍👧‍👦 family", 6, ["👩‍👩‍👧‍👦👩‍👩‍👧‍👦", "family"]),
    ],
)  # fmt: skip
def test_lines_are_broken_between_words(text: str, width: int, lines: list[str]) -> None:
    assert wrapped(text, width).split("\n") == lines


def test_nothing_but_blanks_becomes_breaks_however_the_text_is_cut() -> None:
    chance = random.Random(1)
    for _ in range(300):
        text = "".join(chance.choice("ab cd\n  你好，。「x」`|-\t") for _ in range(chance.randrange(80)))
        width = chance.randrange(1, 20)
        whole = wrapped(text, width)
        assert "".join(whole.split()) == "".join(text.split())
        assert wrapped(text, 0) == text
        cut = wrapped(text, width, tuple(chance.randrange(1, 6) for _ in range(20)))
        assert "".join(cut.split()) == "".join(text.split())


def test_no_line_of_words_is_wider_than_the_terminal() -> None:
    text = "Some words and 一些汉字，以及 more words. " * 30
    assert max(map(cell_len, wrapped(text, 24).split("\n"))) <= 24
