"""Every call has an identity of the program's own: no approval, result or id of one reaches another."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qwenchat.chat.calls import arguments_of, identified
from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.messages import Message, Role, ToolCallPart, ToolResultPart
from qwenchat.chat.server_profile import Server
from qwenchat.engine.remote.engine import RemoteEngine
from qwenchat.engine.worker import Worker
from qwenchat.library.exchange.importer import Importer, ImportOutcome
from qwenchat.library.exchange.parsed import ParsedConversation
from qwenchat.library.exchange.reading import conversations_in
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from qwenchat.session.tool_calls import Permission
from tests.support.chat_server import DONE, Answer, ChatServer, delta, said
from tests.support.fake_tools import FakeTools
from tests.support.patience import PATIENCE_S

HUGE = "call_" + "x" * 100_000
PARIS, ROME = '{"city": "Paris"}', '{"city": "Rome"}'


def stream(*calls: dict[str, Any]) -> Answer:
    return Answer(b"".join([*(delta(tool_calls=[call]) for call in calls), delta("tool_calls"), DONE]))


def piece(id_: Any, arguments: Any = PARIS, name: str = "weather", index: int | None = 0) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": arguments}, "index": index}
    return found if id_ is ... else {**found, "id": id_}


@contextmanager
def chatting(*answers: Answer, library: Library | None = None) -> Iterator[tuple[Session, FakeTools, ChatServer]]:
    with ChatServer([*answers, Answer(said("It rains."))]).running() as server:
        tools = FakeTools()
        session = Session(Worker(RemoteEngine), library or Library.in_memory(), tools=tools)
        session.model.load(LoadModel(server=Server(server.url)))
        session.switch_tools(("weather", "clock"))
        try:
            yield session, tools, server
        finally:
            session.close()


def until(session: Session, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        session.wait(0.1)


def asked(session: Session) -> tuple[ToolCallPart, ...]:
    until(session, lambda: session.tools.waiting or not session.busy)
    return session.tools.waiting


def paired(request: dict[str, Any]) -> list[tuple[str, str]]:
    """For each result of a request, the arguments of the one call that it names, and its text."""
    calls = [call for message in request["messages"] for call in message.get("tool_calls", ())]
    by_id = {call["id"]: call["function"]["arguments"] for call in calls}
    assert len(by_id) == len(calls), "no two calls share an id"
    return [
        (by_id[message["tool_call_id"]], message["content"])
        for message in request["messages"]
        if message["role"] == "tool"
    ]


@pytest.mark.parametrize(
    "id_",
    ["call_0", "", None, ..., 7, HUGE, "<|im_end|>", "a b\n", "\x1b[2J", "é" * 9],
    ids=["same", "empty", "null", "missing", "number", "huge", "token", "spaces", "escape", "accents"],
)
@pytest.mark.parametrize("number", [0, 1])
def test_an_approval_never_reaches_another_call(id_: Any, number: int) -> None:
    """Two calls of one reply bear the same id, or none; with the same number and with another."""
    both = stream(piece(id_), piece(id_, "{}", "clock", index=number))
    with chatting(both) as (session, tools, server):
        session.send("Weather?")
        first, second = asked(session)
        assert first.id != second.id
        session.tools.permit(first.id, Permission.ONCE)
        until(session, lambda: session.tools.waiting == (second,))
        assert [(run.name, run.arguments) for run in tools.runs] == [("weather", PARIS)]
        session.tools.permit(first.id, Permission.ONCE)
        assert session.tools.waiting == (second,), "an answer counts once"
        session.tools.permit(second.id, Permission.REFUSE)
        until(session, lambda: not session.busy)
        assert len(tools.runs) == 1
        assert paired(server.asked[-1]) == [(PARIS, "Rain."), ("{}", "The user did not allow this call.")]


def test_a_later_reply_with_the_id_of_a_call_that_was_allowed_is_asked_about() -> None:
    with chatting(stream(piece("call_0")), stream(piece("call_0", ROME))) as (session, tools, server):
        session.send("Weather?")
        (first,) = asked(session)
        session.tools.permit(first.id, Permission.ONCE)
        until(session, lambda: session.tools.waiting)
        (second,) = session.tools.waiting
        assert second.id != first.id
        session.tools.permit(first.id, Permission.ONCE)
        assert len(tools.runs) == 1
        session.tools.permit(second.id, Permission.REFUSE)
        until(session, lambda: not session.busy)
        assert paired(server.asked[-1]) == [(PARIS, "Rain."), (ROME, "The user did not allow this call.")]


def test_the_servers_own_id_is_said_to_that_server_alone() -> None:
    with (
        chatting(stream(piece("call_abc"))) as (session, _, server),
        ChatServer([Answer(said("Ok."))]).running() as two,
    ):
        session.send("Weather?")
        session.tools.permit(asked(session)[0].id, Permission.ONCE)
        until(session, lambda: not session.busy)
        (call,) = next(message["tool_calls"] for message in server.asked[-1]["messages"] if "tool_calls" in message)
        assert call["id"] == "call_abc"
        session.model.load(LoadModel(server=Server(two.url, name="another")))
        session.send("And now?")
        until(session, lambda: not session.busy)
        ids = {message.get("tool_call_id") for message in two.asked[-1]["messages"]} - {None}
        (id_,) = ids
        assert len(id_) == 9
        assert id_.isalnum()


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([piece("a"), piece("b", ROME)], [PARIS, ROME]),
        ([piece("a", index=None), piece("b", ROME, index=None)], [PARIS, ROME]),
        ([piece(..., index=None), piece(..., ROME, index=None)], [PARIS, ROME]),
        ([piece("a", {"city": "Paris"})], [PARIS]),
        ([piece("a", json.dumps(PARIS))], [PARIS]),
        ([piece("a", json.dumps(json.dumps(PARIS)))], [PARIS]),
        ([piece("a", None)], ["{}"]),
        ([piece("a", "", " weather "), piece("a", PARIS[:5], ""), piece("a", PARIS[5:], "")], [PARIS]),
        ([piece("a", "", index=0), piece("b", "", "clock", index=1), piece(..., PARIS, "", 0)], [PARIS, "{}"]),
        ([piece("a", PARIS[:5]), piece("made-up", PARIS[5:], "")], [PARIS]),
        ([piece("a", PARIS, "weather", index=True)], [PARIS]),
    ],
    ids=["one number", "no number", "no id", "object", "text", "text in text", "nothing", "pieces", "two", "odd id",
         "odd number"],
)  # fmt: skip
def test_calls_as_servers_stream_them(pieces: list[dict[str, Any]], expected: list[str]) -> None:
    with chatting(stream(*pieces)) as (session, _, _):
        session.send("Weather?")
        assert [call.arguments for call in asked(session)] == expected


def call(id_: str, arguments: str) -> ToolCallPart:
    return ToolCallPart(id_, "weather", arguments)


def result(id_: str, text: str) -> ToolResultPart:
    return ToolResultPart(id_, "weather", text)


def old(first: str, second: str, answered: tuple[str, str]) -> list[Message]:
    """A conversation of two replies, the first with two calls, as it was written down once."""
    return [
        Message(Role.USER, (), id="u"),
        Message(Role.ASSISTANT, (call(first, PARIS), call(second, ROME)), "u", "a"),
        Message(Role.TOOL, (result(answered[0], "Rain."),), "a", "r1"),
        Message(Role.TOOL, (result(answered[1], "Sun."),), "r1", "r2"),
        Message(Role.ASSISTANT, (call(first, '{"city": "Oslo"}'),), "r2", "b"),
        Message(Role.TOOL, (result(first, "Snow."),), "b", "r3"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "answered"),
    [("c", "c", ("c", "c")), ("", "", ("", "")), ("c", "d", ("d", "c")), (HUGE, HUGE, (HUGE, HUGE))],
    ids=["same", "empty", "swapped", "huge"],
)
def test_a_saved_conversation_with_odd_ids_has_each_result_at_its_own_call(
    first: str, second: str, answered: tuple[str, str], tmp_path: Path
) -> None:
    library = Library.open(tmp_path / "library.sqlite3")
    conversation = "0123456789abcdef"
    for message in old(first, second, answered):
        library.save(conversation, message)
    read = library.read(conversation).messages
    assert read == library.read(conversation).messages, "the ids are the same each time"
    calls = [part for message in read for part in message.parts if isinstance(part, ToolCallPart)]
    assert len({call.id for call in calls}) == 3
    given = {part.call_id: part.text for message in read for part in message.parts if isinstance(part, ToolResultPart)}
    expected = ["Sun.", "Rain.", "Snow."] if first != second else ["Rain.", "Sun.", "Snow."]
    assert [given[call.id] for call in calls] == expected
    library.close()


def test_a_file_with_odd_ids_is_imported_once_and_gives_each_call_its_result(tmp_path: Path) -> None:
    def said(calls: list[tuple[str, str]], *given: tuple[str, str]) -> list[dict[str, Any]]:
        functions = [{"id": id_, "type": "function", "function": {"name": "f", "arguments": a}} for id_, a in calls]
        answers = [{"role": "tool", "tool_call_id": id_, "content": text} for id_, text in given]
        return [{"role": "assistant", "content": "", "tool_calls": functions}, *answers]

    messages = [{"role": "user", "content": "Hi"}, *said([("c", "{}"), ("c", "[]")], ("c", "one"), ("c", "two")),
                *said([("", "1")], ("", "three")), *said([("c", "2")], ("c", "four"))]  # fmt: skip
    file = tmp_path / "chat.json"
    file.write_text(json.dumps({"messages": messages}), "utf-8")
    library = Library.open(tmp_path / "library.sqlite3")
    for fate in (ImportOutcome.IMPORTED, ImportOutcome.PRESENT):
        with file.open("rb") as opened:
            (found,) = conversations_in(opened)
        assert isinstance(found, ParsedConversation)
        assert Importer(library).take(found) is fate
    (summary,) = library.conversations()
    path = library.read(summary.id).messages
    results = {part.call_id: part.text for m in path for part in m.parts if isinstance(part, ToolResultPart)}
    calls = [part for m in path for part in m.parts if isinstance(part, ToolCallPart)]
    assert [results[call.id] for call in calls] == ["one", "two", "three", "four"]
    library.close()


def test_a_result_that_is_written_after_such_a_conversation_was_read_stays_at_its_call() -> None:
    before = old("c", "c", ("c", "c"))[:3]
    read = list(identified(before))
    second = read[1].parts[1]
    assert isinstance(second, ToolCallPart)
    later = Message(Role.TOOL, (result(second.id, "Sun."),), "r1", "r2")
    assert list(identified([*before, later]))[-1].parts == (result(second.id, "Sun."),)


def test_a_reply_with_very_many_calls_is_read_in_a_moment() -> None:
    number = 20_000
    asked = Message(Role.ASSISTANT, tuple(call("c", str(at)) for at in range(number)), None, "a")
    given = Message(Role.TOOL, tuple(result("c", str(at)) for at in range(number)), "a", "r")
    read = list(identified([asked, given]))
    ids = [part.id for part in read[0].parts if isinstance(part, ToolCallPart)]
    assert [part.call_id for part in read[1].parts if isinstance(part, ToolResultPart)] == ids
    backwards = Message(Role.TOOL, tuple(result(str(at), "") for at in reversed(range(number))), "a", "r")
    assert len(list(identified([asked, backwards]))) == 2


def test_half_a_character_in_arguments_reaches_no_tool() -> None:
    assert arguments_of(call("c", r'{"a": "\ud83d", "b": "\ud83d\ude00"}')) == {"a": "\ufffd", "b": "😀"}
