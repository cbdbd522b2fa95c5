"""What a server sends becomes whole characters without its key before anybody sees or keeps it."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qwenchat.chat.calls import arguments_of, calls_in
from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.events import Event, TextProduced
from qwenchat.chat.messages import Message
from qwenchat.chat.server_profile import Server
from qwenchat.chat.text import safe
from qwenchat.engine.remote.engine import RemoteEngine
from qwenchat.engine.worker import Worker
from qwenchat.library.exchange.export import ExportFormat, read_whole, written
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from qwenchat.session.tool_calls import Permission
from tests.support.chat_server import DONE, Answer, ChatServer, delta, event, said
from tests.support.fake_tools import FakeTools
from tests.support.patience import PATIENCE_S

KEY = "sk-Sentinel-5d1f0c77"


@contextmanager
def chatting(*answers: Answer, key_file: Path | None = None, **served: Any) -> Iterator[tuple[Session, ChatServer]]:
    with ChatServer([*answers, Answer(said("Good."))], **served).running() as server:
        session = Session(Worker(RemoteEngine), Library.in_memory(), tools=FakeTools())
        session.model.load(LoadModel(server=Server(server.url, key_file=str(key_file) if key_file else None)))
        try:
            yield session, server
        finally:
            session.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    return file


def until(session: Session, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        session.wait(0.05)


def ask(session: Session, text: str = "Hello") -> Message:
    session.send(text)
    until(session, lambda: session.tools.waiting or not session.busy)
    return session.conversation.path[-1]


def exported(session: Session) -> str:
    whole = [read_whole(session.library, str(session.conversation.id))]
    return "".join("".join(written(whole, format)) for format in ExportFormat)


def stream(*deltas: dict[str, Any], finish: str = "stop") -> Answer:
    return Answer(b"".join([*(delta(**fields) for fields in deltas), delta(finish), DONE]))


def a_call(name: str, id_: str, *arguments: str) -> list[dict[str, Any]]:
    first, *others = arguments
    begun = {"index": 0, "id": id_, "type": "function", "function": {"name": name, "arguments": first}}
    rest = [{"index": 0, "function": {"arguments": more}} for more in others]
    return [{"tool_calls": [piece]} for piece in (begun, *rest)]


SAID = {
    "two chunks": (["a \ud83d", "\ude00 b"], "a 😀 b"),
    "a chunk between": (["a \ud83d", "", "\ude00 b"], "a 😀 b"),
    "the first half alone": (["a \ud83d", " b"], "a \ufffd b"),
    "the second half alone": (["a", "\ude00 b"], "a\ufffd b"),
    "a half at the end": (["a ", "\ud83d"], "a \ufffd"),
    "halves the wrong way round": (["a\ude00", "\ud83db"], "a\ufffd\ufffdb"),
    "many": (["\ud83d", "\ude00\ud83d", "\ude01\ud83d", "\ude02"], "😀😁😂"),
}


@pytest.mark.parametrize(("pieces", "whole"), SAID.values(), ids=SAID)
@pytest.mark.parametrize("field", ["content", "reasoning_content"])
def test_half_an_emoji_costs_no_conversation(pieces: list[str], whole: str, field: str) -> None:
    with chatting(stream(*({field: piece} for piece in pieces), {"content": "." if field != "content" else ""})) as (
        session, server,
    ):  # fmt: skip
        reply = ask(session)
        assert (reply.text if field == "content" else reply.reasoning) == whole
        assert ask(session, "And?").text == "Good."
        assert json.dumps(server.asked[-1], ensure_ascii=False).encode()
        assert session.library.read(str(session.conversation.id)).messages[1] == reply
        assert whole in exported(session)


@pytest.mark.parametrize(("pieces", "whole"), SAID.values(), ids=SAID)
def test_no_half_of_an_emoji_is_shown_on_the_way(pieces: list[str], whole: str) -> None:
    with chatting(stream(*({"content": piece} for piece in pieces))) as (session, _):
        session.send("Hello")
        events: list[Event] = []
        deadline = time.monotonic() + PATIENCE_S
        while session.busy:
            assert time.monotonic() < deadline
            events += session.wait(0.05)
        said = [event.text for event in events if isinstance(event, TextProduced)]
        assert "".join(said) == whole
        assert "".join(said).encode() == b"".join(text.encode() for text in said), "no piece ends within a character"


@pytest.mark.parametrize(
    ("name", "id_", "arguments", "read"),
    [
        ("weather", "c\ud83d", ('{"city": "\ud83d', '\ude00"}'), {"city": "😀"}),
        ("weather", "c", ('{"city": "\ud83d"}',), {"city": "\ufffd"}),
        ("weather", "c", ('{"city": "\\ud83d"}',), {"city": "\ufffd"}),
        ("weather", "c", ('{"city": "\\ud83d', '\\ude00"}'), {"city": "😀"}),
        ("weather", "\ude00", ('{"\\ud83d": ["\\ude00"]}',), {"\ufffd": ["\ufffd"]}),
        ("weather\ud83d", "\ud83d", ('{"city": "\ud83d',), None),
    ],
)
def test_half_a_character_in_a_call_fails_no_later_turn(
    name: str, id_: str, arguments: tuple[str, ...], read: dict[str, Any] | None
) -> None:
    with chatting(stream(*a_call(name, id_, *arguments), finish="tool_calls")) as (session, server):
        session.switch_tools(("weather",))
        ask(session)
        for call in session.tools.waiting:
            session.tools.permit(call.id, Permission.ONCE)
        until(session, lambda: not session.busy)
        assert session.conversation.path[-1].text == "Good."
        (call,) = [call for message in session.conversation.path for call in calls_in(message)]
        if read is not None:
            (run,) = session.tools._runner.runs  # type: ignore[union-attr]
            assert arguments_of(run) == read
        assert ask(session, "And?").text == "Good."
        json.dumps(server.asked, ensure_ascii=False).encode()
        (call.id + call.name + call.arguments).encode()
        exported(session).encode()


ECHOES = {
    "in one piece": [{"content": f"Your key: {KEY}, bye."}],
    "letter by letter": [{"content": letter} for letter in f"Your key: {KEY}, bye."],
    "with colours inside": [{"content": "Your key: " + "\x1b[1m".join(KEY) + ", bye."}],
    "with controls, in pieces": [{"content": part} for part in ("Your key: ", *"\x00".join(KEY), ", bye.")],
    "in capitals": [{"content": f"Your key: {KEY.upper()}, bye."}],
    "in the thought": [
        {"reasoning_content": f"It is {KEY[:9]}"},
        {"reasoning_content": KEY[9:]},
        {"content": ", bye."},
    ],
    "in a thought between tags": [{"content": f"<think>It is {KEY[:9]}"}, {"content": f"{KEY[9:]}</think>, bye."}],
    "at the end": [{"content": ", bye."}, {"content": KEY[:9]}, {"content": KEY[9:]}],
}


@pytest.mark.parametrize("deltas", ECHOES.values(), ids=ECHOES)
def test_a_reply_that_holds_the_key_is_saved_without_it(deltas: list[dict[str, Any]], key_file: Path) -> None:
    with chatting(stream(*deltas), key_file=key_file) as (session, server):
        reply = ask(session)
        assert ", bye." in reply.text
        assert "***" in reply.text + reply.reasoning
        for kept in (reply.text, reply.reasoning, exported(session)):
            assert KEY.lower() not in kept.lower()
            assert KEY.lower() not in safe(kept).lower()
        assert session.library.timeline(reply.id)
        assert server.headers[-1]["authorization"] == f"Bearer {KEY}"


def test_a_reply_that_breaks_off_within_the_key_is_saved_without_it(key_file: Path) -> None:
    with chatting(Answer(delta(content="It is ") + delta(content=KEY[:-1])), key_file=key_file) as (session, _):
        assert ask(session).text == "It is ***"


def test_a_call_that_holds_the_key_runs_and_is_saved_without_it(key_file: Path) -> None:
    escaped = "".join(f"\\u{ord(c):04x}" for c in KEY)
    call = a_call("weather", "c", f'{{"city": "{KEY[:9]}', f'{KEY[9:]}", "b": "{escaped}"}}')
    with chatting(stream(*call, finish="tool_calls"), key_file=key_file) as (session, _):
        session.switch_tools(("weather",))
        ask(session)
        (asked,) = session.tools.waiting
        assert json.loads(asked.arguments) == {"city": "***", "b": "***"}


@pytest.mark.parametrize(
    "words",
    [f"the key {KEY} is bad", "the key \x1b[31m" + "\x1b[0m".join(KEY) + " is bad", f"the key {KEY.upper()} is bad",
     "x" * 290 + KEY, "the key " + "\u200b".join(KEY), "the key " + "\U000e0041".join(KEY), "\x1b[1\x00m".join(KEY)],
)  # fmt: skip
@pytest.mark.parametrize("status", [400, 429, 500, 200])
def test_no_error_of_a_server_holds_the_key(words: str, status: int, key_file: Path) -> None:
    body = {"error": {"message": words}}
    answer = Answer(json.dumps(body).encode(), status, "application/json", {"retry-after": "0"})
    if status == 200:
        answer = Answer(delta(content="Half") + event(body))
    with chatting(answer, answer, answer, key_file=key_file) as (session, _):
        reply = ask(session)
        assert reply.note
        letters = re.sub("⟨.*?⟩", "", reply.note).lower()
        assert not any(KEY[:at].lower() in letters for at in range(8, len(KEY)))
        assert KEY not in exported(session)


def test_without_a_key_the_word_none_is_shown() -> None:
    words = "none of the 2 workers is healthy; tool_choice must be one of none, auto, required; nonexistent adapter"
    body = json.dumps({"error": {"message": words}}).encode()
    with chatting(*[Answer(body, 400, "application/json")] * 9) as (session, _):
        assert words in ask(session).note


def test_names_of_models_are_whole_and_hold_no_key(key_file: Path) -> None:
    models = [{"id": f"qwen3-\ud83d-{KEY}", "owned_by": KEY}]
    with chatting(key_file=key_file, models=models) as (session, _):
        until(session, lambda: session.model.info is not None)
        assert session.model.info is not None
        assert session.model.info.name == "qwen3-\ufffd-***"
        assert ask(session).text == "Good."
