"""A GPU whose memory runs out or that fails: what happened is said, the CPU takes over, and the chat goes on.

The GPU is the CPU, made to fail as a GPU does.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.engine_commands import LoadModel, Prefill, ScoreReply
from qwenchat.chat.errors import DeviceFailed, OutOfMemory
from qwenchat.chat.events import LoadProgressed, ModelLoaded, TextProduced, TurnFailed
from qwenchat.chat.messages import Status
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import fit, hardware, memory, torch_loader
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.local.graph import DirectRunner
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.stepper import Stepper
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from qwenchat.system.paths import Paths
from tests.support.engine_driver import ask
from tests.support.tiny_qwen3 import COUNT, FRANCE, LESSONS, SKY, Lesson, user

LOST = "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronously reported."
FAILURES = {
    "memory": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "memory of a library": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "lost": torch.AcceleratorError(LOST, 700),
    "missing": NotImplementedError("The operator 'aten::roll' is not currently implemented for the MPS device."),
    "library": RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"),
}


class Gpu(DirectRunner):
    """Fails, once it is told so, after some more tokens; what went wrong is noticed when the host waits for one."""

    def __init__(self) -> None:
        self._failure: Exception | None = None
        self._left = 0

    def fail(self, failure: Exception | None, after: int = 0) -> None:
        self._failure, self._left = failure, after

    def send(self, number: Tensor) -> Callable[[], int]:
        arrival = super().send(number)

        def arrive() -> int:
            self._left -= 1
            if self._failure is not None and self._left < 0:
                raise self._failure
            return arrival()

        return arrive


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """That of a machine where it is the best device."""
    decoder, room, gpu = torch_loader.float_decoder, memory.of, Gpu()

    def on_gpu(config: Any, weights: Any, plan: RunPlan, progress: Any) -> Any:
        with monkeypatch.context() as patch:
            if plan.device == "cuda":
                patch.setattr(torch_loader, "Decoder", lambda config, take: Stepper(config, take, gpu))
            return decoder(config, weights, replace(plan, device="cpu"), progress)

    def choose(device: str, quantization: str) -> RunPlan:
        return RunPlan("cpu" if device == "cpu" else "cuda", "float32")

    monkeypatch.setattr(torch_loader, "float_decoder", on_gpu)
    monkeypatch.setattr(hardware, "choose", choose)
    monkeypatch.setattr(memory, "of", lambda device: replace(room("cpu"), device=device))
    return gpu


@pytest.fixture
def engine(gpu: Gpu, tiny_qwen3: Path, paths: Paths) -> LocalEngine:
    engine = LocalEngine(paths)
    assert load(engine, tiny_qwen3).device == "cuda"
    return engine


def load(engine: LocalEngine, folder: Path, device: str = "auto") -> Any:
    return engine.load(LoadModel(str(folder), device=device), lambda progress: None, StopSignal())


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.question)
def test_a_turn_on_the_gpu_says_what_the_model_learned(engine: LocalEngine, lesson: Lesson) -> None:
    received = ask(engine, user(lesson.question))
    assert (received.thought, received.answer) == (lesson.thought, lesson.answer)
    assert received.end.usage.thinking_tokens > 0


def test_a_thought_that_is_cut_on_the_gpu_is_answered_as_on_the_cpu(
    engine: LocalEngine, tiny_qwen3: Path, paths: Paths
) -> None:
    cpu = LocalEngine(paths)
    load(cpu, tiny_qwen3, "cpu")
    for budget in (1, 3, 5):
        found, expected = (ask(one, user(COUNT.question), budget=budget) for one in (engine, cpu))
        assert (found.thought, found.answer) == (expected.thought, expected.answer)
        assert found.end.usage == expected.end.usage
    asked = [
        ask(one, user(COUNT.question), answer_when=lambda event: isinstance(event, TextProduced))
        for one in (engine, cpu)
    ]
    assert (asked[0].thought, asked[0].answer) == (asked[1].thought, asked[1].answer)


def test_the_lens_on_the_gpu_is_sure_of_what_the_model_learned(engine: LocalEngine) -> None:
    command = ScoreReply((user(SKY.question),), PartialReply(SKY.thought, SKY.answer), ended=True)
    tokens = [token for event in engine.score(command, StopSignal()) for token in event.tokens]
    assert len(tokens) > 10
    assert all(token.chosen == token.likeliest[0] for token in tokens)
    assert ask(engine, user(COUNT.question)).answer == COUNT.answer


def test_a_stop_on_the_gpu_leaves_the_next_turn_right(engine: LocalEngine) -> None:
    stopped = ask(engine, user(COUNT.question), stop_when=lambda event: isinstance(event, TextProduced))
    assert COUNT.thought.startswith(stopped.thought)
    assert stopped.thought != COUNT.thought
    assert ask(engine, user(COUNT.question)).answer == COUNT.answer


@pytest.mark.parametrize("name", FAILURES)
def test_a_gpu_that_fails_in_a_turn_is_named_with_the_way_out(engine: LocalEngine, gpu: Gpu, name: str) -> None:
    gpu.fail(FAILURES[name], after=3)
    with pytest.raises(DeviceFailed) as caught:
        ask(engine, user(COUNT.question))
    gpu.fail(None)
    assert "GPU" in caught.value.what
    assert "\n" not in caught.value.what
    assert "--device cpu" in caught.value.remedy
    assert ask(engine, user(SKY.question)).answer == SKY.answer


def test_reading_ahead_that_fails_leaves_nothing_behind(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(engine, user(FRANCE.question)).answer == FRANCE.answer

    def fail(*args: Any) -> Tensor:
        raise FAILURES["memory"]

    with monkeypatch.context() as patch:
        patch.setattr("qwenchat.engine.local.stepper.Stepper.forward", fail)
        with pytest.raises(DeviceFailed):
            engine.read_ahead(Prefill((user(SKY.question),), thinking=True), StopSignal())
    assert engine._loaded is not None
    assert not engine._loaded.contexts._held
    assert ask(engine, user(SKY.question)).answer == SKY.answer


def test_memory_that_torch_keeps_for_later_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3_000, 10_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 6_000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 1_000)
    assert memory.of("cuda") == memory.DeviceMemory("cuda", 10_000, 8_000)


@pytest.fixture
def session(gpu: Gpu, tiny_qwen3: Path, paths: Paths) -> Iterator[Session]:
    worker = Worker(lambda: LocalEngine(paths))
    session = Session(worker, Library.in_memory(), overrides=SamplingOverrides(temperature=0.0, max_tokens=100))
    session.model.load(LoadModel(str(tiny_qwen3)))
    yield session
    session.close()


def finish(session: Session) -> list[Any]:
    """Everything the session says until nothing is going on any more."""
    events: list[Any] = []
    while session.busy or session.model.progress is not None:
        events += session.wait(10)
    return events


@pytest.mark.parametrize("name", FAILURES)
def test_the_chat_goes_on_on_the_cpu_and_nothing_is_lost(session: Session, gpu: Gpu, name: str) -> None:
    session.send(FRANCE.question)
    finish(session)
    assert session.model.info is not None
    assert session.model.info.device == "cuda"
    gpu.fail(FAILURES[name], after=5)
    session.send(COUNT.question)
    events = finish(session)
    failed = [event for event in events if isinstance(event, TurnFailed)]
    assert [type(event.error) for event in failed] == [DeviceFailed]
    broken = session.conversation.path[-1]
    assert broken.status is Status.FAILED
    assert broken.reasoning
    assert COUNT.thought.startswith(broken.reasoning)
    assert [event.model.device for event in events if isinstance(event, ModelLoaded)] == ["cpu"]
    assert session.model.info.device == "cpu"
    session.replies.retry()
    finish(session)
    assert (session.conversation.path[-1].reasoning, session.conversation.path[-1].text) == (
        COUNT.thought,
        COUNT.answer,
    )
    assert [message.text for message in session.conversation.path[:2]] == [FRANCE.question, FRANCE.answer]


def test_what_is_said_while_the_cpu_takes_over_is_answered_by_it(session: Session, gpu: Gpu) -> None:
    session.send(FRANCE.question)
    finish(session)
    gpu.fail(FAILURES["lost"], after=2)
    session.send(COUNT.question)
    while session.busy:
        session.wait(10)
    session.send(SKY.question)
    finish(session)
    said = session.conversation.path[-1]
    assert said.status is Status.COMPLETE
    assert said.provenance is not None
    assert said.provenance.model.device == "cpu"


def refuse(error: Exception) -> Callable[..., Any]:
    def stepper(*args: Any) -> None:
        raise error

    return stepper


@pytest.mark.parametrize("name", FAILURES)
def test_a_model_that_the_gpu_cannot_take_is_loaded_on_the_cpu_and_that_is_said(
    gpu: Gpu, tiny_qwen3: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    engine, steps = LocalEngine(paths), list[LoadProgressed]()
    monkeypatch.setitem(globals(), "Stepper", refuse(FAILURES[name]))
    model = engine.load(LoadModel(str(tiny_qwen3)), steps.append, StopSignal())
    assert model.device == "cpu"
    assert "runs on the CPU" in model.reason
    assert ask(engine, user(SKY.question)).answer == SKY.answer


def test_a_gpu_that_was_asked_for_is_not_replaced(
    gpu: Gpu, tiny_qwen3: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "Stepper", refuse(FAILURES["lost"]))
    with pytest.raises(DeviceFailed, match="illegal memory access"):
        load(LocalEngine(paths), tiny_qwen3, "cuda")


def test_a_model_that_fits_nowhere_is_refused(
    gpu: Gpu, tiny_qwen3: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "MARGIN", 1 << 60)
    with pytest.raises(OutOfMemory):
        load(LocalEngine(paths), tiny_qwen3)


@pytest.mark.parametrize("native", [True, False])
def test_half_precision_on_a_gpu_is_one_that_it_computes_itself(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(hardware, "may_have_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    assert hardware.choose("auto", "auto") == RunPlan("cuda", "bf16" if native else "float16")
