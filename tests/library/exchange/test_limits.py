"""Files of any size and kind: what is too much is refused soon and in words, what is not too much comes in."""

import io
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

from qwenchat.chat.dates import as_date, local_time
from qwenchat.chat.errors import ImportFailed, MessageTooLarge
from qwenchat.library import database
from qwenchat.library.exchange import reading, scanner, values
from qwenchat.library.exchange.importer import Importer
from qwenchat.library.exchange.parsed import ParsedConversation, UnusableEntry
from qwenchat.library.exchange.reading import conversations_in
from qwenchat.library.library import Library


def read(data: bytes | object) -> list[ParsedConversation | UnusableEntry]:
    written = data if isinstance(data, bytes) else json.dumps(data).encode()
    return list(conversations_in(io.BytesIO(written)))


@pytest.mark.parametrize(
    "file",
    [b"{%s}", b'[{"messages": [{"role": "user", "content": "kept"}]}]{%s}', b'{"conversations": [], %s}'],
    ids=["alone", "after a conversation", "beside a list"],
)
def test_an_object_with_endlessly_many_names_is_given_up_after_the_first_ones(file: bytes) -> None:
    names = b",".join(b'"k%d": 1' % number for number in range(values._MOST_NAMES + 2))
    found = read(file % names)
    assert isinstance(found[-1], UnusableEntry)
    assert "more than 10,000 names" in found[-1].why
    assert [entry.conversation.messages[0].text for entry in found if isinstance(entry, ParsedConversation)] in (
        [],
        ["kept"],
    )


@pytest.mark.parametrize("shape", ["list", "object", "lines", "mapping"])
def test_a_conversation_of_endlessly_many_messages_is_given_up_in_words(
    monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    monkeypatch.setattr(values, "MOST_MESSAGES", 50)
    monkeypatch.setattr(reading, "MOST_MESSAGES", 50)
    many = [{"role": "user", "content": "x"}] * 51
    entry = {"mapping": dict(enumerate(many))} if shape == "mapping" else {"messages": many}
    if shape == "list":
        with pytest.raises(ImportFailed, match="more than 50"):
            read(many)
        return
    (found,) = read(json.dumps(entry).encode() + b"\n" if shape == "lines" else entry)
    assert isinstance(found, UnusableEntry)
    assert "more than 50 messages" in found.why


@pytest.mark.parametrize("file", [b"[" + b"1," * 60 + b"1]", b"{}" * 60, b"{}\n" * 60], ids=["list", "row", "lines"])
def test_a_file_of_anything_but_conversations_is_given_up(monkeypatch: pytest.MonkeyPatch, file: bytes) -> None:
    monkeypatch.setattr(reading, "_MOST_UNUSABLE", 50)
    entries = conversations_in(io.BytesIO(file))
    for _ in range(50):
        assert isinstance(next(entries), UnusableEntry)
    with pytest.raises(ImportFailed, match="More than 50 things"):
        next(entries)


def test_what_the_scanner_takes_as_the_largest_the_library_can_save() -> None:
    """Every byte of a conversation may be one message; what JSON escapes in it can only become shorter."""
    assert scanner.LARGEST < database._LONGEST


def test_a_message_that_is_too_long_costs_no_other_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_LONGEST", 1_000_000)
    library = Library.open(tmp_path / "c.sqlite3")
    importer = Importer(library)
    long, short = ({"messages": [{"role": "user", "content": text}]} for text in ("x" * 1_100_000, "y"))
    first, second = read([long, short])
    assert isinstance(first, ParsedConversation)
    assert isinstance(second, ParsedConversation)
    with pytest.raises(MessageTooLarge):
        importer.take(first)
    importer.take(second)
    assert [row.title for row in library.conversations()] == ["y"]


def chatgpt(metadata: dict[str, Any], **more: Any) -> ParsedConversation:
    """The one conversation of an export with one reply."""
    message = {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["hi"]}}
    node = {"id": "n", "parent": None, "children": [], "message": message | {"metadata": metadata}}
    (found,) = read({"title": "t", "mapping": {"n": node}} | more)
    assert isinstance(found, ParsedConversation)
    return found


@pytest.mark.parametrize(
    ("metadata", "usual", "model"),
    [
        ({}, "gpt-4", "gpt-4"),
        ({"model_slug": "o3"}, "gpt-4", "o3"),
        ({"default_model_slug": "gpt-4o"}, None, "gpt-4o"),
        ({"model_slug": None}, "gpt-4", "gpt-4"),
        ({"model_slug": 5}, 7, None),
        ({"model_slug": "auto"}, "auto", None),
        ({"model_slug": "auto", "resolved_model_slug": "o3"}, "auto", "o3"),
    ],
)
def test_the_model_of_a_chatgpt_export_is_that_of_the_message_or_of_the_conversation(
    metadata: dict[str, Any], usual: object, model: str | None
) -> None:
    (message,) = chatgpt(metadata, default_model_slug=usual).conversation.messages
    assert (message.provenance.model.name if message.provenance else None) == model


DATES = [math.nan, math.inf, -math.inf, -1e300, 1e300, -1, 0, 1e10, 9_223_372_037, 253_402_300_800, 10**400, True, "x"]


@pytest.mark.parametrize("date", DATES, ids=str)
def test_no_date_in_a_file_is_more_than_a_calendar_can_show(tmp_path: Path, date: object) -> None:
    assert 1969 <= local_time(as_date(date)).year <= 9999
    written = json.dumps({"id": "a", "leaf": None, "draft": "", "created": 0, "updated": 0, "messages": []})
    written = written.replace('"created": 0', f'"created": {json.dumps(date)}')
    own = json.loads(written)
    part = {"kind": "text", "text": "x"}
    own["messages"] = [{"role": "user", "parts": [part], "created": date}]
    library = Library.open(tmp_path / "c.sqlite3")
    for value in (own, {"create_time": date, "mapping": {"n": {"message": {"create_time": date, "author": {
        "role": "user"}, "content": {"content_type": "text", "parts": ["x"]}}}}}):  # fmt: skip
        for found in read(value):
            if isinstance(found, ParsedConversation):
                Importer(library).take(found)
    for row in library.conversations():
        for at in (row.created, row.updated, *(message.created for message in library.read(row.id).messages)):
            time.localtime(at)
            local_time(at)
