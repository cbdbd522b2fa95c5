"""The local engine over quantized weights, as it runs on a CPU unless told otherwise."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qwenchat.chat.errors import EngineFailed, ModelDamaged, OutOfMemory
from qwenchat.chat.events import PrefillProgressed, TextProduced, ThoughtEnded, ThoughtStarted, TurnFinished
from qwenchat.chat.messages import Message
from qwenchat.chat.provenance import FinishReason
from qwenchat.engine.base import TurnSignals
from qwenchat.engine.local import engine as engine_module
from qwenchat.engine.local.cpu import packing
from qwenchat.engine.local.cpu.cache import QuantizedCache
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.system.paths import Paths
from tests.support.engine_driver import ask, load
from tests.support.tiny_qwen3 import COUNT, FRANCE, HELLO, LESSONS, SKY, Lesson, reply, user


@pytest.fixture(scope="module", params=["int8", "int4"])
def quantization(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engine(tiny_qwen3: Path, tmp_path_factory: pytest.TempPathFactory, quantization: str) -> Iterator[LocalEngine]:
    """An engine that goes from test to test with whatever it has read."""
    engine = LocalEngine(Paths(*[tmp_path_factory.mktemp("engine")] * 4))
    load(engine, tiny_qwen3, quantization=quantization)
    yield engine
    engine.close()


@pytest.fixture
def fresh(tiny_qwen3: Path, paths: Paths, quantization: str) -> Iterator[LocalEngine]:
    """An engine that has read nothing."""
    engine = LocalEngine(paths)
    load(engine, tiny_qwen3, quantization=quantization)
    yield engine
    engine.close()


def helpers() -> list[threading.Thread]:
    """The threads that multiply beside the one that asks."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("engine-")]


def test_the_loaded_model_is_described(fresh: LocalEngine, tiny_qwen3: Path, quantization: str) -> None:
    model = load(fresh, tiny_qwen3, quantization=quantization)
    assert (model.device, model.quantization, model.context_window) == ("cpu", quantization, 4096)
    assert model.memory_bytes < 1.1 * model.parameters


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.question)
def test_thinking_turn_shows_its_thought_then_its_answer(engine: LocalEngine, lesson: Lesson) -> None:
    received = ask(engine, user(lesson.question))
    assert (received.thought, received.answer) == (lesson.thought, lesson.answer)
    spoken = [TextProduced, ThoughtEnded, TextProduced, TurnFinished]
    assert received.kinds() == [PrefillProgressed, ThoughtStarted, *spoken]
    assert isinstance(received.end, TurnFinished)
    assert received.end.reason is FinishReason.STOP


def test_same_seed_gives_the_same_text_and_another_seed_another(engine: LocalEngine, fresh: LocalEngine) -> None:
    def hot(engine: LocalEngine, seed: int) -> str:
        received = ask(engine, user(FRANCE.question), temperature=4.0, top_k=0, top_p=1.0, seed=seed, max_tokens=40)
        return received.thought + received.answer

    first = hot(engine, 7)
    ask(engine, user(HELLO.question))
    assert hot(engine, 7) == hot(fresh, 7) == first
    assert hot(engine, 8) != first


def test_second_turn_reuses_the_cache_and_says_what_a_fresh_engine_says(
    engine: LocalEngine, fresh: LocalEngine
) -> None:
    """Hot, so that the least difference between what was kept and what is read anew would tell."""

    def hot(engine: LocalEngine, *messages: Message) -> tuple[str, int]:
        received = ask(engine, *messages, temperature=4.0, top_k=0, top_p=1.0, seed=3, max_tokens=40)
        return received.thought + received.answer, received.end.usage.cached_tokens

    first = ask(engine, user(FRANCE.question))
    history = (user(FRANCE.question), reply(first.answer, first.thought), user(SKY.question))
    (second, cached), (alone, read_before) = hot(engine, *history), hot(fresh, *history)
    assert cached >= first.end.usage.prompt_tokens
    assert read_before == 0
    assert second == alone
    received = ask(engine, *history)
    assert (received.thought, received.answer) == (SKY.thought, SKY.answer)


def test_stop_during_decode_ends_the_turn_and_the_next_is_right(engine: LocalEngine) -> None:
    stopped = ask(engine, user(COUNT.question), stop_when=lambda event: isinstance(event, TextProduced))
    assert COUNT.thought.startswith(stopped.thought)
    assert stopped.thought != COUNT.thought
    assert ask(engine, user(COUNT.question)).answer == COUNT.answer


def test_stop_within_the_native_code_of_a_prefill_ends_the_turn_and_the_next_is_right(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal is set when the embeddings of a chunk are ready, so that only the native code can notice it."""
    signals, take = TurnSignals(), PackedMatrix.take
    chunks: list[int] = []

    def stopping(matrix: PackedMatrix, rows: np.ndarray) -> np.ndarray:
        chunks.append(len(rows))
        signals.set()
        return take(matrix, rows)

    with monkeypatch.context() as patch:
        patch.setattr(PackedMatrix, "take", stopping)
        stopped = ask(engine, user("sky " * 600), stop=signals)
    assert len(chunks) == 1
    assert not any(isinstance(event, TextProduced) for event in stopped.events)
    assert stopped.end.usage.answer_tokens == stopped.end.usage.thinking_tokens == 0
    received = ask(engine, user(SKY.question))
    assert (received.thought, received.answer) == (SKY.thought, SKY.answer)


def test_numbers_that_are_none_fail_the_turn_and_the_next_is_right(
    engine: LocalEngine, fresh: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = PackedMatrix.take
    for temperature in (0.0, 0.6):
        with monkeypatch.context() as patch:
            patch.setattr(PackedMatrix, "take", lambda matrix, rows: take(matrix, rows) * float("nan"))
            with pytest.raises(EngineFailed, match="NaN"):
                ask(engine, user(f"{SKY.question} {FRANCE.question}"), temperature=temperature)
    for question in (SKY.question, f"{SKY.question} {FRANCE.question}"):
        found, expected = ask(engine, user(question)), ask(fresh, user(question))
        assert (found.thought, found.answer) == (expected.thought, expected.answer)


def test_memory_that_runs_out_in_a_turn_is_said_and_the_next_turn_works(
    fresh: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: QuantizedCache, *args: object) -> None:
        np.empty(1 << 60, np.uint8)

    with monkeypatch.context() as patch:
        patch.setattr(QuantizedCache, "__init__", full)
        with pytest.raises(OutOfMemory):
            ask(fresh, user(SKY.question))
    assert ask(fresh, user(SKY.question)).answer == SKY.answer


def test_memory_that_runs_out_while_packing_is_said_and_the_next_load_works(
    tiny_qwen3: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch, quantization: str
) -> None:
    pack, packed = packing.pack, []

    def full(*args: object) -> PackedMatrix:
        packed.append(args)
        if len(packed) == 5:
            np.empty(1 << 60, np.uint8)
        return pack(*args)  # type: ignore[arg-type]

    engine = LocalEngine(paths)
    with monkeypatch.context() as patch:
        patch.setattr(packing, "pack", full)
        with pytest.raises(OutOfMemory, match=tiny_qwen3.name):
            load(engine, tiny_qwen3, quantization=quantization)
    load(engine, tiny_qwen3, quantization=quantization)
    assert ask(engine, user(SKY.question)).answer == SKY.answer
    engine.close()


def test_loading_again_and_closing_let_the_threads_go(
    tiny_qwen3: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch, quantization: str
) -> None:
    monkeypatch.setattr("qwenchat.engine.local.hardware.cpu_threads", lambda: 3)
    before, engine = set(helpers()), LocalEngine(paths)
    for _ in range(3):
        load(engine, tiny_qwen3, quantization=quantization)
        ask(engine, user(SKY.question), max_tokens=2)
        ours = [thread for thread in helpers() if thread not in before]
        assert len(ours) == 2
    engine.close()
    assert not any(thread.is_alive() for thread in ours)


def test_a_load_that_fails_late_leaves_no_threads(
    tiny_qwen3: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch, quantization: str
) -> None:
    def fail(*args: object) -> None:
        raise ModelDamaged("It is damaged.", "Mend it.")

    before = set(threading.enumerate())
    monkeypatch.setattr("qwenchat.engine.local.hardware.cpu_threads", lambda: 3)
    monkeypatch.setattr(engine_module, "ChatTemplate", fail)
    with pytest.raises(ModelDamaged):
        load(LocalEngine(paths), tiny_qwen3, quantization=quantization)
    assert not [thread for thread in helpers() if thread not in before]
