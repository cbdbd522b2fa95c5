"""Every text of the program is in the catalogue with its translation, and nothing else is."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

import qwenchat
from qwenchat.chat.errors import PromptTooLong
from qwenchat.console.table import aligned
from qwenchat.i18n import texts
from qwenchat.settings.config_file import template
from qwenchat.settings.parameters import PARAMETERS
from qwenchat.tui.settings.controls import about

PACKAGE = Path(qwenchat.__file__).parent


def _constants(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from _constants(one)
            yield from _constants(other)


def texts_in_code() -> set[str]:
    """What is said through `say`, `later` and `count`, and the descriptions of key bindings."""
    found: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            at = {"say": 0, "later": 0, "count": 1, "Binding": 2}.get(name)
            if at is not None and len(node.args) > at:
                found.update(_constants(node.args[at]))
    return found


def fields_of(text: str) -> set[str]:
    return {name.partition(".")[0] for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.fixture
def chinese() -> Iterator[None]:
    texts.speak("zh")
    yield
    texts.speak("en")


def test_a_translation_says_the_same_things() -> None:
    for english, translated in texts.catalogue().items():
        assert fields_of(translated) == fields_of(english), english
        assert translated.strip()


def test_every_text_has_a_translation_and_every_translation_a_text() -> None:
    assert texts_in_code() == set(texts.catalogue())


def test_english_tells_one_from_several() -> None:
    assert texts.count("{number} hit", "{number} hits", 1) == "1 hit"
    assert texts.count("{number} hit", "{number} hits", 1200) == "1200 hits"


def test_a_text_without_translation_is_said_in_english(chinese: None) -> None:
    assert texts.say("Never {translated}", translated="done") == "Never done"


def test_sentences_have_a_blank_between_them_where_the_language_has_one(chinese: None) -> None:
    assert texts.sentences("It is empty.", "", "Write one first.") == "It is empty. Write one first."
    assert texts.sentences(texts.say("It is empty."), texts.say("Write one first.")) == "它是空的。请先写一条。"


def test_an_error_is_told_in_the_language_it_is_raised_in(chinese: None) -> None:
    error = PromptTooLong(20_000, 8192)
    assert str(error).startswith("这条消息对该模型来说太长：有 20,000 个 token")


def test_columns_keep_their_place_where_characters_are_wide() -> None:
    first, second = aligned([("名称", "x"), ("name", "y")]).splitlines()
    assert cell_len(first) == cell_len(second)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE", "LC_MESSAGES": "zh_TW"}, "zh"),
    ],
)
def test_the_environment_tells_the_language(environment: dict[str, str], language: str) -> None:
    assert texts.language_of(environment) == language


_HAN = "[\u4e00-\u9fff]"
_LATIN_STOPS = re.compile(rf"{_HAN} ?[,;!?(]|{_HAN}[.:](?:\\s|$)|[,;!?)] ?{_HAN}")


def test_chinese_texts_have_chinese_punctuation() -> None:
    for english, translated in texts.catalogue().items():
        prose = re.sub(r"`[^`]*`|\{[^}]*\}", "x", translated)  # what is typed, and what others say, is as it is
        assert not _LATIN_STOPS.search(prose), english


def test_what_is_put_together_in_chinese_has_chinese_punctuation(chinese: None) -> None:
    lines = [*map(about, PARAMETERS), *template().split("\n[keys]")[0].splitlines()]
    wrong = [line for line in lines if _LATIN_STOPS.search(line) or re.search(rf"{_HAN} ?[()]|[()] ?{_HAN}", line)]
    assert wrong == []
    assert texts.listed(["a", "b"]) == "a、b"


def test_names_in_english_have_commas_between() -> None:
    assert texts.listed(["a", "b", "c"]) == "a, b, c"
