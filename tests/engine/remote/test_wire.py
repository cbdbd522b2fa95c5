"""What each server sends, replayed byte for byte: the thought, the answer, the counts, the calls and the errors.

The files in `wire` are written after the sources that each of them names, with their fields in their order and a short
reply of our own. The first line is the server with what it tells about itself; each other line is one exchange.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qwenchat.chat import errors
from qwenchat.chat.events import Channel, ToolCalled
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.sampling import NON_THINKING, THINKING
from qwenchat.engine.remote.engine import RemoteEngine
from tests.engine.remote.test_engine import HELLO, ask, ended, load, text
from tests.support.chat_server import Answer, ChatServer
from tests.support.tiny_caller import CALCULATOR
from tests.support.tiny_qwen3 import reply, user

FILES = sorted((Path(__file__).parents[2] / "wire").glob("*.jsonl"))


def lines_of(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    about, *exchanges = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return about, exchanges


EXCHANGES = [
    pytest.param(about, exchange, id=f"{about['server']}: {exchange['case']}")
    for about, exchanges in map(lines_of, FILES)
    for exchange in exchanges
]


@pytest.fixture
def engine() -> Iterator[RemoteEngine]:
    made = RemoteEngine()
    yield made
    made.close()


def served(about: dict[str, Any], *answers: Answer) -> ChatServer:
    """The server of a file; what it does not tell is not there."""
    pages = {path: Answer(body.encode(), 200, "application/json") for path, body in about["pages"].items()}
    return ChatServer(list(answers), pages=pages)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_it_is_is_found_out(engine: RemoteEngine, file: Path) -> None:
    about, _ = lines_of(file)
    with served(about).running() as server:
        model = load(engine, server)
    assert (model.context_window, model.thinking) == (about["context"], ThinkingSupport(about["thinking"]))
    assert model.tools is about.get("tools", True)
    assert about["sources"]


@pytest.mark.parametrize(("about", "exchange"), EXCHANGES)
def test_what_the_user_sees(engine: RemoteEngine, about: dict[str, Any], exchange: dict[str, Any]) -> None:
    status, thinking = exchange.get("status", 200), exchange.get("think", True)
    kind = "text/event-stream" if status == 200 else "application/json"
    with served(about, Answer(exchange["body"].encode(), status, kind, step=7)).running() as server:
        load(engine, server)
        sampling = replace(THINKING if thinking else NON_THINKING, seed=1)
        command = {"thinking": thinking, "sampling": sampling, "tools": (CALCULATOR,) * exchange.get("tools", False)}
        if "error" in exchange:
            with pytest.raises(getattr(errors, exchange["error"])) as caught:
                ask(engine, **command)
            assert exchange["says"] in str(caught.value)
            return
        events = ask(engine, **command)
    usage = ended(events).usage
    assert (text(events, Channel.THOUGHT), text(events)) == (exchange.get("thought", ""), exchange["answer"])
    if "tokens" in exchange:
        assert [usage.prompt_tokens, usage.thinking_tokens + usage.answer_tokens] == exchange["tokens"]
        assert usage.thinking_tokens == exchange.get("thought_tokens", usage.thinking_tokens)
        assert bool(usage.thinking_tokens) is bool(exchange.get("thought"))
    calls = [
        [event.call.server_id, event.call.name, event.call.arguments]
        for event in events
        if isinstance(event, ToolCalled)
    ]
    assert calls == exchange.get("calls", [])
    (asked,) = server.asked
    assert exchange.get("asks", {}).items() <= asked.items()
    assert not set(exchange.get("leaves_out", ())) & set(asked)
    assert asked["messages"][-1]["content"].endswith(exchange.get("last", "Hello"))


def test_a_thought_though_it_was_turned_off_is_told_from_the_answer_after_it(engine: RemoteEngine) -> None:
    about, exchanges = lines_of(FILES[-1])
    assert about["server"] == "vLLM"
    with served(about, Answer(exchanges[0]["body"].encode())).running() as server:
        load(engine, server)
        events = ask(engine, thinking=False)
    growing = GrowingReply()
    for event in events:
        growing.add(event)
    thought, answer = growing.parts()
    assert (thought.text, answer.text) == ("Let me see.", "Paris")


@pytest.mark.parametrize(("name", "whole"), [("vllm", 8192), ("sglang", None)])
def test_no_more_is_asked_for_than_the_context_has(engine: RemoteEngine, name: str, whole: int | None) -> None:
    """vLLM shortens what is more than the rest of the context; SGLang refuses it, and without a limit gives the rest.

    What is below the window goes along: it is never silently ignored.
    """
    (file,) = [file for file in FILES if file.stem == name]
    about, exchanges = lines_of(file)
    with served(about, Answer(exchanges[0]["body"].encode())).running() as server:
        load(engine, server, context=8192)
        ask(engine, sampling=THINKING)
        ask(engine, sampling=replace(THINKING, max_tokens=100))
        ask(engine, messages=(user("x" * 8000), reply("y"), *HELLO), sampling=replace(THINKING, max_tokens=8000))
    assert [body.get("max_tokens") for body in server.asked] == [whole, 100, 8000]
