"""Titles of conversations, made from what was said first."""

import pytest

from qwenchat.chat.title import CELLS, _cells, is_greeting, title_after, title_of

SAID = {
    "What is the capital of France?": "What is the capital of France?",
    "First question": "First question",
    "  \n\n first line\nsecond line that goes on": "first line second line that goes on",
    "": "",
    " \n\t": "",
    "Hi": "Hi",
    "Hi, why is the sky blue in the daytime?": "why is the sky blue in the daytime?",
    "Hello there! Could you please explain how tides work?": "Explain how tides work",
    "Please fix this function.\n```python\ndef f(:\n```": "Fix this function",
    "can you translate this into German: the cat sleeps": "Translate this into German: the cat sleeps",
    "Can you swim?": "Can you swim?",
    "hello world program in C, with comments": "hello world program in C, with comments",
    "Hey Jude: who wrote that song?": "Hey Jude: who wrote that song?",
    "How are tides made? And why two each day?": "How are tides made? And why two each day?",
    "The parser dies on empty input. Here is what I tried so far.": "The parser dies on empty input",
    "I use e.g. numpy for that, and it is slow. What now?": "I use e.g. numpy for that, and it is slow",
    "Version 3.5 of the library broke my build. Why?": "Version 3.5 of the library broke my build",
    "# A heading\n\nSome text below it that goes on": "A heading Some text below it that goes on",
    "- **first** item of the list\n- second": "first item of the list second",
    "> quoted *words* from someone else": "quoted words from someone else",
    "Explain `os.path.join` and snake_case_names": "Explain os.path.join and snake_case_names",
    "/etc/passwd what is it": "/etc/passwd what is it",
    "@notes.md summarise": "@notes.md summarise",
    "summarise @/etc/hosts": "summarise @/etc/hosts",
    "/var/lib/something/deep/inside/of/it/names.txt explained": "names.txt explained",
    "What does __init__ do in Python code?": "What does __init__ do in Python code?",
    "```python\nimport os\nprint(os)\n```": "import os print(os)",
    "~~~\nonly code here, never closed": "only code here, never closed",
    "What is wrong with /home/me/projects/thing/src/parser.py here?": "What is wrong with parser.py here?",
    "Read C:\\Users\\me\\notes.txt and sum it up": "Read notes.txt and sum it up",
    "and/or is one word, 24/7 too, as we all know": "and/or is one word, 24/7 too, as we all know",
    "Summarize https://www.example.org/a/very/long/path?x=1#y, please": "Summarize example.org, please",
    "See [the manual](https://example.org/x) for what it does": "See the manual for what it does",
    "/no_think What is two and two, in one word?": "What is two and two, in one word?",
    "/think": "",
    "---\ntitle of a page with front matter\n---": "title of a page with front matter",
    "你好，请解释一下量子纠缠是什么意思。谢谢你的帮助！": "请解释一下量子纠缠是什么意思",
    "你好，世界。请问这是什么意思？": "世界。请问这是什么意思？",
    "日本の首都はどこですか？それから人口は何人ですか？": "日本の首都はどこですか？",
    "Ты можешь объяснить, как работают приливы?": "Ты можешь объяснить, как работают приливы?",
    "كيف تعمل المد والجزر في البحار؟": "كيف تعمل المد والجزر في البحار؟",
    "\x1b[31mred\x07 words that were pasted from somewhere": "[31mred words that were pasted from somewhere",
    "half a \ud800 surrogate in a text": "half a ? surrogate in a text",
    "right\u202eto left and zero\u200bwidth marks inside": "rightto left and zerowidth marks inside",
    "Who wrote:": "Who wrote",
    "To be continued...": "To be continued...",
}  # fmt: skip


@pytest.mark.parametrize(("said", "title"), SAID.items())
def test_a_title_says_what_the_first_message_is_about(said: str, title: str) -> None:
    assert title_of(said) == title


@pytest.mark.parametrize(
    "greeting",
    ["hi", "Hello!", "hey there", "Hi, how are you?", "good morning", "Hallo", "你好", "こんにちは！", "안녕하세요",
     "test", "Thanks!", "hello 👋", "Hi. Can you help me?", "привет"],
)  # fmt: skip
def test_a_greeting_makes_way_for_the_first_question(greeting: str) -> None:
    assert is_greeting(greeting)
    first = title_after("", greeting)
    assert first
    assert title_after(first, "How do tides come about?") == "How do tides come about?"


@pytest.mark.parametrize(
    "text", ["hip hop", "history of Rome", "Hi-fi speakers", "test the parser", "help desk", "okra"]
)
def test_what_only_begins_like_a_greeting_is_none(text: str) -> None:
    assert not is_greeting(text)
    assert title_of(text) == text


def test_a_title_that_says_something_stays() -> None:
    assert title_after("How do tides come about?", "And what about the moon?") == "How do tides come about?"
    assert title_after("Hi", "/think") == "Hi"


@pytest.mark.parametrize("unit", ["word ", "潮", "x", "👩‍👩‍👧‍👦", "e\u0301", "👍🏽", "的 "])
def test_a_long_title_is_cut_between_words_and_never_inside_a_character(unit: str) -> None:
    said = 300 * unit
    title = title_of(said)
    assert title.endswith("…")
    assert CELLS // 2 < _cells(title) <= CELLS
    kept = title[:-1]
    assert said.startswith(kept)
    rest = said[len(kept) :].lstrip()
    assert rest[0] not in "\u0301\u200d\U0001f3fd"
    assert not kept.endswith("\u200d")
    if " " in said:
        assert said[len(kept)] == " "


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "`",
        "*_",
        "/a",
        "- ",
        "hi ",
        "https://",
        "```\n",
        ". ",
        "_a",
        "please ",
        "\\a",
        "![](",
        "a.\n",
        "> ",
        "\n",
        "~",
    ],
)
def test_a_hostile_message_has_a_title_too(unit: str) -> None:
    assert _cells(title_of(100_000 * unit)) <= CELLS
