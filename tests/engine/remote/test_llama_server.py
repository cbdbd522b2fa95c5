"""The remote engine against llama.cpp's real server, with a small Qwen3 that thinks."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType

from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.engine_commands import LoadModel, StartTurn
from qwenchat.chat.events import Channel, TextProduced, TurnEvent, TurnFinished, TurnStopped
from qwenchat.chat.messages import Message
from qwenchat.chat.provenance import FinishReason, ThinkingSupport
from qwenchat.chat.sampling import Sampling
from qwenchat.chat.server_profile import Server
from qwenchat.engine.base import StopSignal, TurnSignals
from qwenchat.engine.remote.engine import RemoteEngine
from tests.support.gguf_writer import write_gguf
from tests.support.llama_server import llama_server
from tests.support.tiny_qwen3 import COUNT, FRANCE, SKY, reply, user

GREEDY = Sampling(temperature=0, max_tokens=200, seed=1)


@pytest.fixture(scope="module")
def engine(tiny_qwen3: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteEngine]:
    file = tmp_path_factory.mktemp("llama") / "tiny.gguf"
    write_gguf(tiny_qwen3, file, GGMLQuantizationType.F16)
    with llama_server(file, "qwen3-tiny") as url:
        made = RemoteEngine()
        model = made.load(LoadModel(server=Server(url)), lambda step: None, StopSignal())
        assert (model.name, model.context_window) == ("qwen3-tiny", 1024)
        assert model.thinking is ThinkingSupport.SWITCHED
        yield made
        made.close()


def ask(engine: RemoteEngine, *messages: Message, thinking: bool = True, **more: object) -> list[TurnEvent]:
    command = replace(StartTurn(1, messages, thinking, GREEDY), **more)  # type: ignore[arg-type]
    return list(engine.generate(command, TurnSignals()))


def text(events: list[TurnEvent], channel: Channel = Channel.ANSWER) -> str:
    return "".join(event.text for event in events if isinstance(event, TextProduced) and event.channel is channel)


def test_it_thinks_and_answers(engine: RemoteEngine) -> None:
    events = ask(engine, user(FRANCE.question))
    assert (text(events, Channel.THOUGHT), text(events)) == (FRANCE.thought, FRANCE.answer)
    end = events[-1]
    assert isinstance(end, TurnFinished)
    assert end.reason is FinishReason.STOP
    assert end.usage.prompt_tokens > 10
    assert end.usage.thinking_tokens > 4 < end.usage.answer_tokens
    assert end.timing.tokens_per_s > 0


def test_thinking_is_switched_off(engine: RemoteEngine) -> None:
    events = ask(engine, user(SKY.question), thinking=False)
    assert text(events, Channel.THOUGHT) == ""
    assert text(events) == SKY.answer


def test_the_conversation_goes_along(engine: RemoteEngine) -> None:
    events = ask(engine, user(FRANCE.question), reply(FRANCE.answer, FRANCE.thought), user(SKY.question))
    assert text(events) == SKY.answer


def test_a_stop_comes_through_at_once(engine: RemoteEngine) -> None:
    signals = TurnSignals()
    events = []
    for happened in engine.generate(StartTurn(1, (user(COUNT.question),), False, GREEDY), signals):
        events.append(happened)
        if not signals.is_set():
            signals.set()
    assert isinstance(events[-1], TurnStopped)


def test_a_reply_that_was_stopped_goes_on(engine: RemoteEngine) -> None:
    begun = "one two three four five six seven"
    events = ask(engine, user(COUNT.question), thinking=False, begun=PartialReply(answer=begun))
    assert begun + text(events) == COUNT.answer


def test_an_answer_fits_a_schema(engine: RemoteEngine) -> None:
    schema = '{"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}'
    events = ask(engine, user(FRANCE.question), thinking=False, schema=schema)
    assert json.loads(text(events)) == {"city": "Paris"}
