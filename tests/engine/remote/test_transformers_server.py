"""The remote engine against `transformers serve`, with a small Qwen3 that thinks."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from qwenchat.chat.engine_commands import LoadModel, StartTurn
from qwenchat.chat.events import Channel, TextProduced, TurnEvent, TurnFinished, TurnStopped
from qwenchat.chat.provenance import FinishReason, ThinkingSupport
from qwenchat.chat.sampling import Sampling
from qwenchat.chat.server_profile import Server
from qwenchat.engine.base import StopSignal, TurnSignals
from qwenchat.engine.remote.engine import RemoteEngine
from tests.support.tiny_qwen3 import COUNT, FRANCE, SKY, user

pytestmark = pytest.mark.slow
NEARLY_GREEDY = Sampling(temperature=0.01, max_tokens=200, seed=1)


@pytest.fixture(scope="module")
def engine(tiny_qwen3: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteEngine]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(tiny_qwen3)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path_factory.mktemp("hub"))}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command + options, env=environment, stdout=quiet, stderr=quiet) as process:
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}")
            made = RemoteEngine()
            server = Server(f"127.0.0.1:{port}", model=str(tiny_qwen3))
            model = made.load(LoadModel(server=server), lambda step: None, StopSignal())
            assert model.thinking is ThinkingSupport.SWITCHED
            yield made
            made.close()
        finally:
            process.kill()


def _wait_until_healthy(url: str) -> None:
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise TimeoutError(url)


def ask(engine: RemoteEngine, question: str, thinking: bool) -> list[TurnEvent]:
    return list(engine.generate(StartTurn(1, (user(question),), thinking, NEARLY_GREEDY), TurnSignals()))


def text(events: list[TurnEvent], channel: Channel = Channel.ANSWER) -> str:
    return "".join(event.text for event in events if isinstance(event, TextProduced) and event.channel is channel)


def test_it_thinks_and_answers_with_counts(engine: RemoteEngine) -> None:
    events = ask(engine, FRANCE.question, True)
    assert (text(events, Channel.THOUGHT), text(events)) == (FRANCE.thought, FRANCE.answer)
    end = events[-1]
    assert isinstance(end, TurnFinished)
    assert end.reason is FinishReason.STOP
    assert end.usage.prompt_tokens > 10
    assert end.usage.thinking_tokens > 4 < end.usage.answer_tokens


def test_thinking_is_switched_off(engine: RemoteEngine) -> None:
    events = ask(engine, SKY.question, False)
    assert (text(events, Channel.THOUGHT), text(events)) == ("", SKY.answer)


def test_a_stop_comes_through(engine: RemoteEngine) -> None:
    signals = TurnSignals()
    events = []
    for happened in engine.generate(StartTurn(1, (user(COUNT.question),), False, NEARLY_GREEDY), signals):
        events.append(happened)
        signals.set()
    assert isinstance(events[-1], TurnStopped)
    assert text(events) != COUNT.answer
