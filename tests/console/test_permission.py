"""What a person is asked to approve is shown whole, or it is said how much is not."""

import json
from typing import Any

import pytest

from qwenchat.chat.messages import ToolCallPart
from qwenchat.console.permission import MOST_ROWS, arguments_shown, call_in_words


def call(**arguments: Any) -> ToolCallPart:
    return ToolCallPart("c", "read_file", json.dumps(arguments))


@pytest.mark.parametrize("order", ["rm -rf /", "\u200brm", "\U000e0072\U000e006d"])
def test_no_order_hides_in_the_middle_of_a_long_argument(order: str) -> None:
    shown = call_in_words(call(path="a" * 4_990 + order + "b" * 4_990))
    assert (order in shown) == order.isascii()
    assert ("⟨ZWSP⟩rm" in shown) or ("⟨U+E0072⟩⟨U+E006D⟩" in shown) or order.isascii()
    assert "990 more characters" in call_in_words(call(path="a" * 10_990))


@pytest.mark.parametrize("number", [MOST_ROWS + 1, 30_000])
def test_no_argument_goes_missing_among_many_without_a_word(number: int) -> None:
    rows = arguments_shown(call(**{f"a{at}": "x" for at in range(number)}))
    more = number - MOST_ROWS
    assert rows[-1] == ("…", f"{more:d} more argument{'s' if more > 1 else ''}")
    assert len(rows) == MOST_ROWS + 1
    assert [name for name, _ in arguments_shown(call(a="x" * 50_000, b="y"))] == ["a", "…"]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"path": "a", "path": "b"}', [("path", "b")]),
        ('{"pa\\u200bth": 1}', [("pa⟨ZWSP⟩th", "1")]),
        ('{"a\\npath": "x\\npath: y"}', [("a⟨LF⟩path", "x⟨LF⟩\npath: y")]),
        ('{"a": {"b\\u202e": ["\\ud800"]}}', [("a", '{"b⟨RLO⟩": ["\ufffd"]}')]),
        ('{"a": "\\ud83d\\ude00⟨LF⟩"}', [("a", "😀⟨U+27E8⟩LF⟩")]),
        ("[1\u2062]", [("", "[1⟨U+2062⟩]")]),
        ("", []),
    ],
)
def test_what_runs_is_what_is_shown(arguments: str, shown: list[tuple[str, str]]) -> None:
    assert arguments_shown(ToolCallPart("c", "read_file", arguments)) == shown
