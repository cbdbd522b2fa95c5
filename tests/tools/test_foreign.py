"""What servers of tools send, read as raw JSON: nothing they say can do harm, and none of it is lost."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from qwenchat.tools import foreign
from qwenchat.tools.supervisor import DEEPEST, sound

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = ["type", "text", "uri", "resource", "data", "blob", "mimeType", "name", "title", "$ref", "$defs", "properties",
        "content", "structuredContent", "isError", "inputSchema", "description", "result"]  # fmt: skip
VALUES = ["text", "object", "resource", "resource_link", "image", "#", "#/$defs/a", "#a", "#/properties/x"]
odd = st.recursive(
    scalars | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, "a", "x"]), inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(st.sampled_from(KEYS), odd, max_size=5)


@given(objects)
def test_whatever_a_tool_says_of_itself_it_is_offered_or_refused(tool: dict[str, Any]) -> None:
    try:
        spec = foreign.spec_of(tool)
    except ValueError as error:
        assert str(error)
        return
    assert spec.name == tool["name"]
    schema = json.loads(spec.parameters, parse_constant=lambda name: 1 / 0)
    assert schema["type"] == "object"


@given(objects)
@example({"content": ["words", 5]})
@example({"content": [{"type": "text", "text": "{x"}], "structuredContent": {"x": 1}})
@example({"content": [{"type": "text", "text": "[1]"}], "structuredContent": {"x": 1}})
def test_whatever_a_call_gives_is_text_or_no_result(result: dict[str, Any]) -> None:
    given_ = foreign.given_by(result)
    assert given_ is None or given_.text


@given(odd)
def test_sound_lines_stay_as_they_are(value: Any) -> None:
    line = json.dumps({"x": value}).encode()
    assert sound(line) == line


@given(st.integers(1, 3 * DEEPEST), st.sampled_from(["[", '{"[{":']), st.integers(0, 3))
def test_lines_are_cut_where_they_are_too_deep(depth: int, opens: str, beside: int) -> None:
    closes = ("]" if opens == "[" else "}") * depth
    line = '{"a": ' + opens * depth + "1" + closes + ', "b": "]}", "c": [' + ", ".join(["[2]"] * beside) + "]}"
    read = json.loads(sound(line.encode()))
    assert (read["b"], read["c"]) == ("]}", [[2]] * beside)
    deep = 1
    inner = read["a"]
    while isinstance(inner, list | dict):
        (inner,) = inner if isinstance(inner, list) else inner.values()
        deep += 1
    assert deep <= DEEPEST + 1
    assert inner == (1 if depth < DEEPEST else None)


def test_half_characters_are_replaced_and_whole_ones_stay() -> None:
    line = rb'{"a": "\ud83d", "b": "\ud83d\ude00", "c": "\\ud83d", "d": "\ude00x", "\uDBFF": "\n\u0041"}'
    assert json.loads(sound(line)) == {
        "a": "\ufffd", "b": "😀", "c": "\\ud83d", "d": "\ufffdx", "\ufffd": "\nA"
    }  # fmt: skip
