"""What other programs wrote comes in as it was read there, and no file, however hostile, does harm."""

import io
import json
import random
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qwenchat.chat.errors import ImportFailed
from qwenchat.chat.events import Channel
from qwenchat.chat.messages import ReasoningPart, Role, Status, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import FinishReason
from qwenchat.chat.timeline import Tick
from qwenchat.i18n.texts import speak
from qwenchat.library.exchange import scanner
from qwenchat.library.exchange.archive import opened
from qwenchat.library.exchange.export import ExportFormat, read_whole, written
from qwenchat.library.exchange.importer import Importer, ImportOutcome
from qwenchat.library.exchange.markdown import tree_in
from qwenchat.library.exchange.parsed import ParsedConversation, UnusableEntry
from qwenchat.library.exchange.reading import conversations_in
from qwenchat.library.exchange.scanner import Scanner, decoded
from qwenchat.library.library import Library
from tests.support.examples import examples
from tests.support.own_json import read_own_json

CHATGPT = Path(__file__).parents[2] / "data" / "chatgpt" / "conversations.json"


def found_in(data: bytes | str | Any) -> list[ParsedConversation | UnusableEntry]:
    """What a file holds; anything but bytes and text is written as JSON first."""
    if not isinstance(data, bytes | str):
        data = json.dumps(data)
    return list(conversations_in(io.BytesIO(data.encode() if isinstance(data, str) else data)))


def only(data: bytes | str | Any) -> ParsedConversation:
    (found,) = found_in(data)
    assert isinstance(found, ParsedConversation), found
    return found


def said(found: ParsedConversation) -> list[tuple[str, str]]:
    return [(str(message.role), message.text) for message in found.conversation.messages]


def node(id_: str, parent: str | None, role: str = "user", text: str = "", **message: Any) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text or id_]}
    return {"id": id_, "parent": parent, "message": {"author": {"role": role}, "content": content, **message}}


def mapping(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"mapping": {entry["id"]: entry for entry in nodes}, **more}


# ChatGPT


def test_a_conversation_of_chatgpt_comes_in_with_its_branches_thoughts_and_models() -> None:
    found = found_in(CHATGPT.read_bytes())[0]
    assert isinstance(found, ParsedConversation)
    assert not found.problems
    primes = found.conversation
    assert (primes.title, primes.created, primes.updated) == ("Prime numbers", 1765670401.900479, 1765782351.9578)
    assert (primes.pinned, primes.archived) == (True, False)
    tree = tree_in(primes)
    asked, answered, again, cut = tree.path()
    assert [message.text for message in (asked, again, cut)] == ["Is 91 prime?", "And 101?", "Yes, 101 is"]
    assert answered.text == "No: 91 = 7 × 13. "
    assert answered.parts[0] == ReasoningPart(
        "**Looking for factors**\n\n7 times 13 is 91.\n\n**Concluding**", seconds=8.0
    )
    assert answered.created == 1765670412.3
    assert answered.provenance is not None
    assert (answered.provenance.model.name, answered.provenance.finish_reason) == (
        "gpt-5-2-thinking",
        FinishReason.STOP,
    )
    assert (cut.status, cut.note) == (Status.STOPPED, "stopped")
    assert [tree[id_].text for id_ in tree.siblings(answered.id)] == ["No: 91 = 7 × 13. ", "Yes, 91 is prime."]
    assert [tree[id_].text for id_ in tree.siblings(again.id)] == ["And 97?", "And 101?"]
    assert "Ada" not in str(primes)


def test_tools_pictures_and_speech_of_chatgpt_become_what_can_be_read() -> None:
    found = found_in(CHATGPT.read_bytes())[1]
    assert isinstance(found, ParsedConversation)
    plot = found.conversation
    assert (plot.archived, not found.problems) == (True, True)
    asked, call, result, answer, _, search, failed, quote, code, spoken, thought = plot.messages
    assert asked.text == "[image]\n\nDraw what is in the table.\n\n[file: table.csv]"
    (called,) = call.parts
    assert isinstance(called, ToolCallPart)
    assert (called.name, json.loads(called.arguments)["code"].splitlines()[0]) == ("python", "import pandas as pd")
    assert result.parts == (ToolResultPart(called.id, "python", "   a  b\n0  1  2"),)
    assert result.role is Role.TOOL
    assert answer.text == "Column b is twice column a."
    assert isinstance(search.parts[0], ToolCallPart)
    assert json.loads(search.parts[0].arguments) == {"search_query": [{"q": "table"}]}
    assert failed.parts == (ToolResultPart(search.parts[0].id, "web.run", "Error: 403", failed=True),)
    assert isinstance(quote.parts[0], ToolResultPart)
    assert code.text == "````python\nprint('''```''')\n````"
    assert spoken.text == "Thank you"
    assert thought.parts == (ReasoningPart("**Being polite**\n\nA short answer will do.", closed=False),)
    assert thought.status is Status.INTERRUPTED


def test_a_chatgpt_export_comes_in_once_however_often_and_goes_out_again_exactly() -> None:
    library = Library.in_memory()
    twice = [*found_in(CHATGPT.read_bytes()), *found_in(CHATGPT.read_bytes())]
    fates = [Importer(library).take(found) for found in twice if isinstance(found, ParsedConversation)]
    assert fates == [ImportOutcome.IMPORTED] * 2 + [ImportOutcome.PRESENT] * 2
    rows = [*library.conversations(), *library.conversations(archived=True)]
    assert [(row.title, row.model) for row in rows] == [("Prime numbers", "gpt-5-2"), ("Plot of a table", "o3")]
    first = "".join(written([read_whole(library, row.id) for row in rows], ExportFormat.JSON))
    fresh = Library.in_memory()
    for found in found_in(first):
        assert isinstance(found, ParsedConversation)
        Importer(fresh).take(found)
    assert "".join(written([read_whole(fresh, row.id) for row in rows], ExportFormat.JSON)) == first


def test_the_same_nodes_in_another_order_are_the_same_conversation() -> None:
    (value, _) = json.loads(CHATGPT.read_text("utf-8"))
    shuffled = list(value["mapping"].items())
    random.Random(1).shuffle(shuffled)
    for sort in (False, True):
        other = json.dumps([value | {"mapping": dict(shuffled)}], sort_keys=sort)
        assert only(other).conversation == only([value]).conversation


@pytest.mark.parametrize(
    ("value", "texts", "wrong"),
    [
        (mapping(node("a", None), node("b", "a"), current_node="b"), ["a", "b"], 0),
        (mapping(node("a", "gone"), node("b", "a")), ["a", "b"], 1),
        (mapping(node("a", "b"), node("b", "a")), ["a", "b"], 1),
        (mapping(node("a", "a")), ["a"], 1),
        (mapping(node("a", None), node("b", "a", role="alien"), node("c", "b")), ["a", "c"], 1),
        (mapping(node("a", None), {"id": "b", "parent": "a", "message": 7}, node("c", "b")), ["a", "c"], 0),
        (mapping({**node("a", None), "children": ["b"]}, {**node("b", None), "parent": 5}), ["a", "b"], 0),
        (mapping(node("a", None), title=7, create_time="now", current_node=[], conversation_id={}), ["a"], 0),
    ],
    ids=["right", "missing parent", "cycle", "own parent", "unknown author", "no message", "children alone", "types"],
)
def test_damaged_trees_of_chatgpt_give_what_can_be_read(value: Any, texts: list[str], wrong: int) -> None:
    found = only([value])
    assert [message.text for message in found.conversation.messages] == texts
    assert len(found.problems) == wrong
    path = tree_in(found.conversation).path()
    assert path[-1].text == texts[-1]


@pytest.mark.parametrize("date", [None, "yesterday", -1, 0, 1e18, float("nan"), float("inf"), True, [], 10**400])
def test_dates_that_are_none_become_the_one_before(date: Any) -> None:
    found = only([mapping(node("a", None, create_time=1.5e9), node("b", "a", create_time=date), create_time=date)])
    assert [message.created for message in found.conversation.messages] == [1.5e9, 1.5e9]
    assert 1.6e9 < found.conversation.created < 1e10


def test_what_is_hidden_in_chatgpt_is_not_imported() -> None:
    hidden = node("h", "a", "system", metadata={"is_visually_hidden_from_conversation": True})
    found = only([mapping(node("a", None), hidden, node("b", "h", "assistant"))])
    assert said(found) == [("user", "a"), ("assistant", "b")]
    (nothing,) = found_in([mapping({"id": "r", "parent": None, "message": None})])
    assert isinstance(nothing, UnusableEntry)


# lists of messages


def test_lists_of_messages_come_in_from_an_object_a_list_and_lines() -> None:
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    expected = [("user", "q"), ("assistant", "a")]
    assert said(only({"messages": messages, "title": "T"})) == expected
    assert said(only(messages)) == expected
    assert said(only([{"messages": messages}])) == expected
    line = json.dumps({"messages": messages})
    lines = found_in(f"{line}\n\n{line}\r\n")
    assert [said(found) for found in lines if isinstance(found, ParsedConversation)] == [expected] * 2
    assert only({"messages": messages, "title": "T"}).conversation.title == "T"
    assert only({"messages": messages}).conversation.title == "q"


def test_a_broken_line_costs_no_other() -> None:
    right = json.dumps({"messages": [{"role": "user", "content": "q"}]})
    broken = found_in("\n".join([right, right[:-9], '{"messages": 5}', "words", right]))
    assert [type(found).__name__ for found in broken] == [
        "ParsedConversation",
        "UnusableEntry",
        "UnusableEntry",
        "UnusableEntry",
        "ParsedConversation",
    ]
    assert [found.where.partition(",")[0] for found in broken] == [f"line {number}" for number in (1, 2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "<think>\nhm\n</think>\n\na"}, (ReasoningPart("hm"), TextPart("a"))),
        ({"content": "<think>hm"}, (ReasoningPart("hm", closed=False),)),
        ({"content": "a <think> b"}, (TextPart("a <think> b"),)),
        ({"content": "a", "reasoning_content": "hm"}, (ReasoningPart("hm"), TextPart("a"))),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image_url"}, "b"]}, (TextPart("a\n\n[image]\n\nb"),)),
        (
            {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]},
            (ReasoningPart("hm"), TextPart("a")),
        ),
        (
            {"content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}]},
            (ToolCallPart("1", "f", '{"a": 1}'),),
        ),
        ({"role": "tool", "content": "7", "tool_call_id": "1"}, (ToolResultPart("1", "", "7"),)),
        ({"content": ""}, ()),
    ],
)
def test_each_form_of_content_becomes_its_parts(message: dict[str, Any], parts: tuple[Any, ...]) -> None:
    found = only({"messages": [{"role": "assistant", **message}]})
    assert found.conversation.messages[0].parts == parts
    assert not found.problems


def test_a_message_that_is_wrong_is_named_and_the_others_come_in() -> None:
    messages = [{"role": "user", "content": "a"}, 5, {"role": "x", "content": "b"}, {"role": "user", "content": 5}]
    found = only({"messages": messages})
    assert said(found) == [("user", "a")]
    assert [problem.partition(":")[0] for problem in found.problems] == ["message 2", "message 3", "message 4"]


# files


class Chopped(io.RawIOBase):
    """A file that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._file, self._size = io.BytesIO(data), size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(self._size, size) if size >= 0 else self._size)


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(values, max_size=4), st.integers(1, 9), st.booleans())
def test_values_are_found_wherever_the_file_is_cut(drawn: list[Any], size: int, ascii_: bool) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii_) for value in drawn]
    scan = Scanner(Chopped(" \n".join(texts).encode("utf-8", "surrogatepass"), size))
    read = []
    while scan.next_byte():
        read.append(json.dumps(decoded(scan.value())))
    assert read == [json.dumps(value) for value in drawn]


NAMES = [
    "mapping", "messages", "id", "parent", "message", "author", "role", "content", "content_type", "parts", "children",
    "kind", "text", "leaf", "draft", "timeline", "provenance", "created", "create_time", "metadata", "current_node",
    "conversations", "format", "version", "status", "thoughts", "title", "tool_calls", "function", "arguments", "name",
]  # fmt: skip
WORDS = [
    "user",
    "assistant",
    "tool",
    "text",
    "thoughts",
    "reasoning",
    "code",
    "multimodal_text",
    "a",
    "b",
    "\ud800",
    "\x1b[31m",
    "\0",
    "",
]
near = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**70), 2**70) | st.sampled_from(WORDS) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES + WORDS), inner, max_size=5),
    max_leaves=25,
)
texts = st.fixed_dictionaries({"role": st.sampled_from(WORDS), "content": near})
shapes = st.one_of(
    near,
    st.fixed_dictionaries({"mapping": st.dictionaries(st.sampled_from("abc"), near, max_size=3)}),
    st.fixed_dictionaries({"messages": st.lists(near, max_size=3), "leaf": near, "draft": near}),
    st.fixed_dictionaries({"messages": st.lists(texts, max_size=3)}),
    st.fixed_dictionaries({"conversations": st.lists(near, max_size=2), "version": near}),
)


def take_in(data: str) -> None:
    """Import a file as the command does, and write out all that came of it."""
    library = Library.in_memory()
    with suppress(ImportFailed):
        for found in found_in(data):
            if isinstance(found, ParsedConversation):
                Importer(library).take(found)
    for row in library.conversations():
        whole = read_whole(library, row.id)
        text = "".join(written([whole], ExportFormat.JSON))
        assert "".join(written([read_own_json(text.encode())], ExportFormat.JSON)) == text
        "".join([*written([whole], ExportFormat.MARKDOWN), *written([whole], ExportFormat.JSONL)]).encode()
    library.close()


SPOKEN = {"author": {"role": "user"}, "content": {"parts": [{"content_type": "audio_asset_pointer"}]}}


@settings(max_examples=examples(300))
@given(st.lists(shapes, max_size=3) | shapes)
@example([{"mapping": {"a": {"message": SPOKEN}}, "current_node": "a"}])
def test_arbitrary_json_never_does_more_than_say_what_is_wrong(value: Any) -> None:
    take_in(json.dumps(value))


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value: what holds it, and its name there."""
    inside = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [(value, name) for name, _ in inside] + [place for _, inner in inside for place in places(inner)]


@settings(max_examples=examples(100))
@given(st.data())
def test_a_right_file_in_which_something_is_replaced_does_no_harm(data: st.DataObject) -> None:
    value = json.loads(data.draw(st.sampled_from([CHATGPT.read_text("utf-8"), json.dumps([MESSAGES]), own_json()])))
    for _ in range(data.draw(st.integers(1, 3))):
        holder, name = data.draw(st.sampled_from(places(value)))
        holder[name] = data.draw(near)
    take_in(json.dumps(value))


MESSAGES = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "q"}], "created": 1.5e9},
        {"role": "assistant", "content": "a", "reasoning_content": "hm", "tool_calls": [{"id": "1", "function": {}}]},
    ],
    "model": "m",
}


def own_json() -> str:
    library = Library.in_memory()
    found = found_in(CHATGPT.read_bytes())[0]
    assert isinstance(found, ParsedConversation)
    reply = found.conversation.messages[1]
    library.import_conversation(
        found.conversation, {reply.id: (Tick(5, Channel.THOUGHT, 3), Tick(9, Channel.ANSWER, 2))}
    )
    return "".join(written([read_whole(library, found.conversation.id)], ExportFormat.JSON))


PIECES = [
    b"[", b"{", b"}", b"]", b'"', b"\\", b",", b":", b"1", b"\n", b'"messages"', b'"conversations"', b"\x0b", b"\xff",
    b'{"role":"user","content":"x"}',
]  # fmt: skip


@settings(max_examples=examples(300))
@given(st.binary(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
@example(b"[")
@example(b"{")
@example(b"{1: 2}")
@example(b'{"a" 1}')
@example(b'{"a": nul}')
@example(b"[nul]")
@example(b'{"mapping": nul}')
@example(b"{x}\n{y}\n")
def test_arbitrary_bytes_end_in_words(data: bytes) -> None:
    with suppress(ImportFailed):
        found_in(data)


def deep(depth: int) -> bytes:
    return b'[{"messages": ' + b"[" * depth + b"]" * depth + b'}, {"messages": [{"role": "user", "content": "q"}]}]'


@pytest.mark.parametrize("depth", [101, 100_000])
def test_a_value_nested_too_deep_costs_no_other(depth: int) -> None:
    bomb, right = found_in(deep(depth))
    assert isinstance(bomb, UnusableEntry)
    assert "deep" in bomb.why
    assert isinstance(right, ParsedConversation)


def test_a_conversation_that_is_too_large_is_skipped_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "LARGEST", 1000)
    right = {"messages": [{"role": "user", "content": "q"}]}
    large = {"messages": [{"role": "user", "content": "q" * 2000}]}
    assert [type(found).__name__ for found in found_in([right, large, right])] == [
        "ParsedConversation",
        "UnusableEntry",
        "ParsedConversation",
    ]


@pytest.mark.parametrize(
    "value",
    [
        '{"messages": [' + "1," * 1_100_000 + '1], "leaf": null, "draft": ""}',
        '{"mapping": {' + ",".join(f'"{at}": 1' for at in range(1_100_000)) + "}}",
        '{"messages": [{"role": "user", "parts": [' + "1," * 200_000 + "1]}]}",
        '{"messages": [' + '{"role": "user", "parent": "x", "parts": []},' * 5_000 + "1]}",
    ],
    ids=["messages", "nodes", "parts", "problems"],
)
def test_very_many_mistakes_take_bounded_memory(value: str) -> None:
    found, right = found_in(f'[{value}, {{"messages": [{{"role": "user", "content": "q"}}]}}]')
    assert isinstance(right, ParsedConversation)
    assert isinstance(found, UnusableEntry) or len(found.problems) <= 1002


def test_very_many_small_values_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "MOST", 1000)
    bomb, right = found_in('[{"messages": [' + "[]," * 1000 + '1]}, {"messages": [{"role": "user", "content": "q"}]}]')
    assert isinstance(bomb, UnusableEntry)
    assert "values" in bomb.why
    assert isinstance(right, ParsedConversation)


def test_a_file_that_breaks_off_gives_what_came_before() -> None:
    data = CHATGPT.read_bytes()[:-200]
    first, cut = found_in(data)
    assert isinstance(first, ParsedConversation)
    assert isinstance(cut, UnusableEntry)
    assert "cut off" in cut.why


def test_a_byte_order_mark_is_no_hindrance_and_bytes_that_are_no_text_are_replaced() -> None:
    assert said(only(b'\xef\xbb\xbf{"messages": [{"role": "user", "content": "q\xff"}]}')) == [("user", "q\ufffd")]


# archives


def zipped(**members: bytes | str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/") + ".json", data)
    return file.getvalue()


def unpacked(data: bytes, *, pipe: bool = False) -> Iterator[ParsedConversation | UnusableEntry]:
    with opened(Chopped(data, 10_000) if pipe else io.BytesIO(data)) as parts:  # type: ignore[arg-type]
        for part in parts:
            yield from conversations_in(part)


@pytest.mark.parametrize("pipe", [False, True])
def test_the_archive_that_chatgpt_sends_is_read_as_it_is(pipe: bool) -> None:
    one, two = (json.dumps([value]) for value in json.loads(CHATGPT.read_text("utf-8")))
    whole = zipped(conversations=CHATGPT.read_bytes(), user="{}")
    parts = zipped(**{"export__conversations-000": one, "export__conversations-001": two})
    for data in (whole, parts):
        titles = [
            found.conversation.title for found in unpacked(data, pipe=pipe) if isinstance(found, ParsedConversation)
        ]
        assert titles == ["Prime numbers", "Plot of a table"]


@pytest.mark.parametrize(
    "data",
    [
        zipped(user="{}"),
        zipped(conversations=CHATGPT.read_bytes())[:-50],
        b"PK\x03\x04" + bytes(100),
        zipped(conversations=b"[" + b" " * 10**8 + b"]"),
    ],
    ids=["none inside", "cut off", "damaged", "bomb"],
)
def test_archives_that_are_broken_or_bombs_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(ImportFailed):
        list(unpacked(data))


def test_an_archive_with_a_damaged_member_is_refused_in_words() -> None:
    data = bytearray(zipped(conversations=CHATGPT.read_bytes() * 50))
    for at in range(2000, 2100):
        data[at] ^= 0xFF
    with pytest.raises(ImportFailed, match="damaged"):
        list(unpacked(bytes(data)))


@pytest.mark.parametrize(
    "whole",
    [
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "user", "parts": [{"kind": "text", "text": "q"}]}], "leaf": None, "draft": ""},
        mapping(node("a", None), node("b", "a", "assistant")),
    ],
)
def test_a_file_is_known_again_when_the_program_speaks_another_language(whole: Any) -> None:
    def named() -> list[Any]:
        conversation = only(whole).conversation
        return [conversation.id, *((message.id, message.parts) for message in conversation.messages)]

    english = named()
    speak("zh")
    try:
        assert named() == english
    finally:
        speak("en")
