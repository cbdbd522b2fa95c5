"""The program's own JSON brings everything back; Markdown keeps within its bounds; names of files are safe."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from qwenchat.chat.errors import ConversationPresent, ExportFailed, ImportFailed
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import ModelInfo, Provenance, Timing, Usage
from qwenchat.chat.sampling import Sampling
from qwenchat.chat.timeline import Tick
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange import markdown, native, openai
from qwenchat.library.exchange.export import ExportFormat, export_to_folder, read_whole, write, written
from qwenchat.library.exchange.fence import contained, fenced
from qwenchat.library.exchange.filename import file_name, names_for
from qwenchat.library.exchange.importer import Importer, ImportOutcome
from qwenchat.library.exchange.parsed import ParsedConversation
from qwenchat.library.exchange.reading import conversations_in
from qwenchat.library.library import Library
from tests.support.conversation_strategy import conversations, ended
from tests.support.examples import examples
from tests.support.own_json import read_own_json

Whole = tuple[Conversation, dict[str, tuple[Tick, ...]]]
MADE = Provenance(
    ModelInfo("Qwen/Qwen3-0.6B", quantization="Q8_0"),
    Sampling(temperature=0.6, seed=7),
    True,
    Usage(9, 0, 30, 12),
    Timing(tokens_per_s=31.5),
)


def chat(*said: Message, title: str = "Title", **more: object) -> Conversation:
    """A conversation in which each message answers the one before, unless it says what it answers."""
    messages: list[Message] = []
    for message in said:
        if message.parent is None and messages:
            message = replace(message, parent=messages[-1].id)
        messages.append(message)
    conversation = Conversation("c" * 16, title, 1.7e9, 1.7e9, tuple(messages), messages[-1].id, "")
    return replace(conversation, **more)  # type: ignore[arg-type]


def user(text: str) -> Message:
    return Message(Role.USER, (TextPart(text),), created=1.7e9)


def reply(*parts: object, **more: object) -> Message:
    return Message(Role.ASSISTANT, parts, created=1.7e9, **more)  # type: ignore[arg-type]


def text_of(*whole: Whole) -> str:
    return "".join(native.written(whole))


# the program's own JSON


@settings(max_examples=examples(150))
@given(conversations())
def test_any_conversation_comes_back_exactly(whole: Whole) -> None:
    assert read_own_json(text_of(whole).encode()) == (ended(whole[0]), whole[1])


@settings(max_examples=examples(60))
@given(st.lists(conversations(), max_size=3, unique_by=lambda whole: whole[0].id))
def test_export_import_export_gives_the_same_bytes_also_through_a_fresh_library(wholes: list[Whole]) -> None:
    ids = [message.id for conversation, _ in wholes for message in conversation.messages]
    if len(set(ids)) < len(ids):
        return
    first = text_of(*wholes)
    library = Library.in_memory()
    importer = Importer(library)
    for found in conversations_in(io.BytesIO(first.encode())):
        assert isinstance(found, ParsedConversation)
        assert not found.problems
        assert importer.take(found) is ImportOutcome.IMPORTED
    assert text_of(*(read_whole(library, conversation.id) for conversation, _ in wholes)) == first
    library.close()


@settings(max_examples=examples(50))
@given(conversations())
def test_a_file_that_other_programs_indented_or_sorted_still_comes_back(whole: Whole) -> None:
    for options in ({"indent": 2}, {"sort_keys": True}, {"ensure_ascii": True}):
        data = json.dumps(json.loads(text_of(whole)), **options).encode()  # type: ignore[arg-type]
        assert read_own_json(data) == (ended(whole[0]), whole[1])


def test_what_is_hidden_is_left_out_and_what_answered_it_is_kept() -> None:
    asked, gone, kept = user("asked"), reply(TextPart("gone")), user("kept")
    conversation = chat(asked, gone, kept, hidden=frozenset({gone.id}))
    back, _ = read_own_json(text_of((conversation, {})).encode())
    assert [(m.text, m.parent) for m in back.messages] == [("asked", None), ("kept", asked.id)]
    assert "gone" not in text_of((conversation, {}))
    last, _ = read_own_json(text_of((replace(conversation, leaf=gone.id), {})).encode())
    assert last.leaf == asked.id


def test_json_holds_nothing_that_a_terminal_would_obey() -> None:
    text = text_of((chat(user("\x1b[31m\x9b31m\x07\u202e\u2066\u200b\x7f"), title="\x1b]0;x\x07"), {}))
    assert not [c for c in text if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066\u200b"]


def test_a_newer_format_is_refused_and_says_what_to_do() -> None:
    data = text_of((chat(user("a")), {})).replace('"version": 1', '"version": 2').encode()
    with pytest.raises(ImportFailed, match="Update qwenchat"):
        read_own_json(data)


@pytest.mark.parametrize(
    "data", [b"", b"  ", b"nothing", b"\xff\xfe{\0", b'{"a": 1}', b"[]", b"[1]", b'{"conversations": []}']
)
def test_what_is_no_conversation_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(ImportFailed):
        read_own_json(data)


def half_wrong() -> bytes:
    """Three conversations: a right one, one with two wrong messages out of four, and one without any that is right."""
    right = json.loads(text_of((chat(user("right")), {})))["conversations"][0]
    a, b, c, d = user("a"), reply(TextPart("b"), provenance=MADE), user("c"), reply(TextPart("d"))
    half = json.loads(text_of((replace(chat(a, b, c, d, title="half"), id="d" * 16), {b.id: (Tick(1, "answer", 1),)})))  # type: ignore[arg-type]
    half = half["conversations"][0]
    half["messages"][1] |= {"provenance": {"model": "no object"}, "timeline": [[5, "answer", 1], [1, "answer", 1]]}
    half["messages"][2]["role"] = "nobody"
    half["messages"][3]["parts"].append({"kind": "hologram"})
    return json.dumps({"conversations": [right, half, {"messages": [1], "leaf": None, "draft": ""}, 7]}).encode()


def test_a_file_that_is_half_wrong_gives_what_is_right_and_names_what_is_not() -> None:
    right, half, none, number = conversations_in(io.BytesIO(half_wrong()))
    assert isinstance(right, ParsedConversation)
    assert not right.problems
    assert isinstance(half, ParsedConversation)
    a, b, d = half.conversation.messages
    assert [m.text for m in (a, b, d)] == ["a", "b", "d"]
    assert (b.provenance, d.parent) == (None, b.id)
    assert half.timelines == {}
    assert [problem.partition(":")[0] for problem in half.problems] == [
        "message 2", "message 2", "message 3", "message 4, part 2",
    ]  # fmt: skip
    assert not isinstance(none, ParsedConversation)
    assert not isinstance(number, ParsedConversation)
    assert (none.where, number.where) == ("conversation 3", "conversation 4")


@pytest.mark.parametrize(
    ("parents", "depth"),
    [
        ({"a": "b", "b": "c", "c": "a"}, [("a", None), ("c", "a"), ("b", "c")]),
        ({"a": "a"}, [("a", None)]),
        ({"a": "nowhere"}, [("a", None)]),
        ({"b": "a", "a": None}, [("a", None), ("b", "a")]),
    ],
)
def test_trees_with_cycles_gaps_and_children_before_parents_are_mended(
    parents: dict[str, str | None], depth: list[tuple[str, str | None]]
) -> None:
    messages = [{"id": id_, "parent": parent, "role": "user", "parts": []} for id_, parent in parents.items()]
    found = native.conversation_of({"messages": messages})
    assert [(message.id, message.parent) for message in found.conversation.messages] == depth
    assert bool(found.problems) is (parents.get("a") is not None)


def test_an_id_that_is_used_twice_or_is_no_id_loses_no_message() -> None:
    messages = [
        {"id": id_, "parent": None, "role": "user", "parts": [{"kind": "text", "text": text}]}
        for id_, text in (("a", "1"), ("a", "2"), ("../\x1b[31m", "3"), ("", "4"))
    ]
    found = native.conversation_of({"id": "\x1b", "messages": messages})
    assert [message.text for message in found.conversation.messages] == ["1", "2", "3", "4"]
    for id_ in (found.conversation.id, *(message.id for message in found.conversation.messages)):
        assert id_.isalnum()


# into the library


def test_what_is_here_already_is_left_alone_also_when_it_went_on_since() -> None:
    library = Library.in_memory()
    asked = user("asked")
    found = ParsedConversation(chat(asked))
    assert Importer(library).take(found) is ImportOutcome.IMPORTED
    library.save("c" * 16, reply(TextPart("more"), parent=asked.id))
    assert Importer(library).take(found) is ImportOutcome.PRESENT
    assert [message.text for message in library.read("c" * 16).messages] == ["asked", "more"]


def test_another_conversation_of_the_same_id_comes_in_beside_it_once() -> None:
    library = Library.in_memory()
    Importer(library).take(ParsedConversation(chat(user("first"))))
    other = ParsedConversation(chat(user("second")))
    assert Importer(library).take(other) is ImportOutcome.IMPORTED
    assert Importer(library).take(other) is ImportOutcome.PRESENT
    assert sorted(library.read(row.id).messages[0].text for row in library.conversations()) == ["first", "second"]


def test_a_dry_run_says_the_same_and_changes_nothing() -> None:
    library = Library.in_memory()
    found = ParsedConversation(chat(user("first")))
    dry = Importer(library, dry_run=True)
    assert [dry.take(found), dry.take(found)] == [ImportOutcome.IMPORTED, ImportOutcome.PRESENT]
    assert library.conversations() == []


# Markdown

PIECES = [
    "```", "````", "~~~", "`", "- ", "1. ", "* ", "> ", " ", "  ", "    ", "\t", "\n", "\n", "\n\n", "x", "# h",
    "<pre>", "<!--", "<script", "</details>", "<details>", "<?", "<![CDATA[", "<div>", "---", "===", "|", "\\",
    "[a]: ", "10) ",
]  # fmt: skip


@settings(max_examples=examples(400))
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("```py\ncut off")
@example("- a list\n  ```")
@example("setext\n- \n  ```")
@example("- +```\nlazy\n  ```")
@example("<div>\n```\n")
def test_no_text_swallows_what_comes_after_it(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(f"{contained(text)}\n\n## After\n\n{fenced(text)}\n\n## End\n")
    headings = [tokens[at + 1].content for at, t in enumerate(tokens) if t.type == "heading_open" and t.level == 0]
    assert headings[-2:] == ["After", "End"]
    assert tokens[-4].type == "fence"
    assert tokens[-4].content.rstrip("\n") == text.rstrip("\n")


@settings(max_examples=examples(50))
@given(conversations())
def test_a_document_is_safe_to_print_and_shows_each_message_of_the_branch_below_its_heading(whole: Whole) -> None:
    text = markdown.written(whole[0], thoughts=True)
    assert not [c for c in text if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0]
    path = markdown.tree_in(whole[0]).path()
    shown = [message for message in path if message.parts or message.role is Role.ASSISTANT]
    tokens = MarkdownIt("commonmark").parse(text)
    assert sum(t.type == "heading_open" and t.level == 0 and t.tag == "h2" for t in tokens) >= len(shown)


def test_a_document_reads_well() -> None:
    asked = user("Why?")
    parts = (
        ReasoningPart("hm", 30, 1.5),
        TextPart("Because.\n```py\nx = 1"),
        ToolCallPart("1", "find", '{"a": "```"}'),
    )
    old = reply(TextPart("old"), parent=asked.id, provenance=MADE)
    new = reply(*parts, parent=asked.id, provenance=MADE, status=Status.STOPPED, note="stopped")
    result = Message(Role.TOOL, (ToolResultPart("1", "find", "7"),), created=1.7e9)
    text = markdown.written(chat(asked, old, new, result, title="*Why* <b>"), thoughts=True)
    assert text.startswith("# \\*Why\\* \\<b\\>\n\n*20")
    assert "3 messages, 1 more in other versions that are not shown" in text.splitlines()[2]
    assert "old" not in text
    assert "<details>\n<summary>Thought for 1.5 s, 30 tokens</summary>\n\nhm\n\n</details>" in text
    assert "```py\nx = 1\n```\n" in text
    assert '````json\n{"a": "```"}\n````' in text
    assert (
        "*version 2 of 2 · stopped · Qwen/Qwen3-0.6B · Q8\\_0 on cpu · 42 tokens at 31.5 a second"
        " · temperature 0.6, top-k 20, top-p 0.8 · seed 7*"
    ) in text
    assert "hm" not in markdown.written(chat(asked, new), thoughts=False)


# JSONL


def test_a_line_holds_the_branch_up_to_the_last_complete_reply() -> None:
    parts = (ReasoningPart("hm"), TextPart("yes"), ToolCallPart("1", "f", "{}"), ToolResultPart("1", "f", "7"))
    path = (user("q"), reply(*parts), user("and"), reply(TextPart("cut"), status=Status.STOPPED))
    line = openai.written(path, thoughts=True)
    assert line is not None
    assert json.loads(line)["messages"] == [
        {"role": "user", "content": "q"},
        {
            "role": "assistant",
            "content": "yes",
            "reasoning_content": "hm",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "name": "f", "content": "7"},
    ]
    assert "hm" not in (openai.written(path, thoughts=False) or "")
    assert openai.written(path[2:], thoughts=True) is None


def test_jsonl_comes_back_as_what_was_said() -> None:
    conversation = chat(user("q \x1b"), reply(ReasoningPart("hm"), TextPart("a\n\nb")), user("r"), reply(TextPart("c")))
    (found,) = conversations_in(io.BytesIO("".join(written([(conversation, {})], ExportFormat.JSONL)).encode()))
    assert isinstance(found, ParsedConversation)
    assert [m.parts for m in found.conversation.messages] == [m.parts for m in conversation.messages]


# files


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Why is the sky blue?", "why-is-the-sky-blue.md"),
        ("What's new, and what isn’t …", "whats-new-and-what-isnt.md"),
        (
            "one two three four five six seven eight nine ten eleven",
            "one-two-three-four-five-six-seven-eight-nine-ten.md",
        ),
        ("x" * 99, "x" * 50 + ".md"),
        ("天空为什么是蓝色的？", "天空为什么是蓝色的.md"),
        ("हिन्दी में नमस्ते", "हिन्दी-में-नमस्ते.md"),
        ("Größe_und Übermut", "größe-und-übermut.md"),
        ("../../etc/passwd", "etc-passwd.md"),
        ("..", "conversation.md"),
        ("🎉", "conversation.md"),
        ("", "conversation.md"),
        ("-rf ~", "rf.md"),
        (".hidden", "hidden.md"),
        ("CON", "_con.md"),
        ("lpt1.txt", "lpt1-txt.md"),
        ("a\x1b[31m\nb\0c", "a-bc.md"),
        ("C:\\x|y", "c-x-y.md"),
        ("ends. . ", "ends.md"),
        ("e\u0301", "\xe9.md"),
    ],
)
def test_titles_become_names_that_every_system_takes(title: str, name: str) -> None:
    assert file_name(title, ".md") == name


@given(st.text(), st.text(max_size=3))
def test_any_title_becomes_the_name_of_a_file_in_the_folder_itself(title: str, more: str) -> None:
    name = file_name(title * 30 + more, ".jsonl", title)
    assert Path(name).name == name
    assert not name.startswith((".", "-", "~"))
    assert len(name.encode()) <= 255


def test_titles_that_make_the_same_name_get_their_ids_added() -> None:
    names = names_for({"1": "A/b", "2": "a b", "3": "c"}, ".md")
    assert names == {"1": "a-b-1.md", "2": "a-b-2.md", "3": "c.md"}
    assert names_for({"../x": "a", "/y": "a"}, ".md") == {"../x": "a-x.md", "/y": "a-y.md"}


def test_a_file_that_is_there_is_replaced_only_when_asked_and_never_half(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("before")
    with pytest.raises(ExportFailed, match="already"):
        write(path, ["after"])

    def breaking() -> object:
        yield "half"
        raise ExportFailed("broken")

    with pytest.raises(ExportFailed, match="broken"):
        write(path, breaking(), replacing=True)  # type: ignore[arg-type]
    assert path.read_text() == "before"
    write(path, ["after"], replacing=True)
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ExportFailed, match="no file"):
        write(tmp_path, ["x"], replacing=True)


def test_exporting_into_a_folder_finds_a_free_name(tmp_path: Path) -> None:
    library = Library.in_memory()
    id_ = library.import_conversation(chat(user("hello"), title="Greeting"))
    paths = [export_to_folder(library, id_, ExportFormat.MARKDOWN, tmp_path) for _ in range(2)]
    assert [path.name for path in paths] == ["greeting.md", "greeting-2.md"]
    assert "hello" in paths[1].read_text("utf-8")
    with pytest.raises(ConversationPresent):
        library.import_conversation(chat(*library.read(id_).messages))
