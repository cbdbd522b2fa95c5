import errno
import threading
from collections.abc import Callable, Iterator

import pytest

from qwenchat.chat.continuation import NOTHING
from qwenchat.chat.engine_commands import AnswerNow, LoadModel, Prefill, ScoreReply, StartTurn, Stop, StopScoring
from qwenchat.chat.errors import EngineFailed, ModelNotFound, OutOfMemory
from qwenchat.chat.events import (
    Channel,
    Event,
    LoadFailed,
    LoadProgressed,
    ModelLoaded,
    ScoringEnded,
    TextProduced,
    ThoughtEnded,
    TokensScored,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.provenance import FinishReason, ModelInfo, ThoughtCut, Timing, Usage
from qwenchat.chat.sampling import Sampling
from qwenchat.engine.base import Stopped, StopSignal, TurnSignals
from qwenchat.engine.worker import Worker


class Script:
    """An engine that fails or waits where it is told to."""

    def __init__(self, fail_load: Exception | bool = False, fail_at: int | None = None, wait: bool = False) -> None:
        self.fail_load, self.fail_at, self.wait = fail_load, fail_at, wait
        self.thread: str = ""
        self.reading, self.fail_ahead = threading.Event(), False

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> ModelInfo:
        self.thread = threading.current_thread().name
        if isinstance(self.fail_load, Exception):
            raise self.fail_load
        if self.fail_load:
            raise ModelNotFound("No model x.", "Try y.")
        return ModelInfo("fake")

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        for at in range(4):
            if at == self.fail_at:
                raise ValueError("boom")
            yield TextProduced(command.turn, Channel.ANSWER, "x", 1, float(at))
        while self.wait:
            if signals.is_set():
                raise Stopped
            if signals.wants_answer():
                yield ThoughtEnded(command.turn, 0.0, ThoughtCut.USER)
                break
            threading.Event().wait(0.005)
        yield TurnFinished(command.turn, FinishReason.STOP, Usage(), Timing())

    def count_tokens(self, command: Prefill, stop: StopSignal) -> None:
        return None

    def read_ahead(self, command: Prefill, stop: StopSignal) -> None:
        self.reading.set()
        if self.fail_ahead:
            raise ValueError("boom")
        while not stop.is_set():
            threading.Event().wait(0.005)

    def score(self, command: ScoreReply, stop: StopSignal) -> Iterator[TokensScored]:
        yield TokensScored(command.number, (), 7)
        if self.fail_ahead:
            raise ValueError("boom")
        self.reading.set()
        while not stop.is_set():
            threading.Event().wait(0.005)
        raise Stopped

    def close(self) -> None: ...


def start(turn: int) -> StartTurn:
    return StartTurn(turn, (), True, Sampling())


def until(worker: Worker, kind: type[Event]) -> list[Event]:
    seen: list[Event] = []
    while not any(isinstance(event, kind) for event in seen):
        assert worker.events.wait(10), f"no {kind.__name__} came, only {seen}"
        seen += worker.events.drain()
    return seen


def test_engine_lives_on_its_own_thread() -> None:
    engine = Script()
    worker = Worker(lambda: engine)
    worker.send(LoadModel())
    assert isinstance(until(worker, ModelLoaded)[-1], ModelLoaded)
    assert engine.thread == "engine"
    assert worker.close()


@pytest.mark.parametrize("fail_at", [0, 1, 3])
def test_failure_at_any_token_ends_the_turn_exactly_once_and_the_next_turn_works(fail_at: int) -> None:
    engine = Script(fail_at=fail_at)
    worker = Worker(lambda: engine)
    worker.send(LoadModel())
    worker.send(start(1))
    events = until(worker, TurnFailed)
    assert sum(isinstance(event, TurnEnded) for event in events) == 1
    assert sum(isinstance(event, TextProduced) for event in events) == fail_at
    failure = events[-1]
    assert isinstance(failure, TurnFailed)
    assert isinstance(failure.error, EngineFailed)
    assert "boom" in str(failure.error)
    engine.fail_at = None
    worker.send(start(2))
    assert until(worker, TurnFinished)[-1].turn == 2  # type: ignore[union-attr]
    worker.close()


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OSError("libllvmlite.so: failed to map segment from shared object"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        caused(
            ImportError("Importing the numpy C-extensions failed."), ImportError("_umath.so: failed to map segment")
        ),
        RuntimeError("can't start new thread"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
        SystemError("error return without exception set"),
        SystemError("<built-in function f> returned NULL without setting an exception"),
        caused(ValueError("broken"), MemoryError()),
    ],
    ids=lambda error: repr(error)[:40],
)
def test_that_memory_ran_out_while_loading_is_said_however_a_library_puts_it(error: Exception) -> None:
    worker = Worker(lambda: Script(fail_load=error))
    worker.send(LoadModel())
    (failed,) = (event for event in until(worker, LoadFailed) if isinstance(event, LoadFailed))
    worker.close()
    assert isinstance(failed.error, OutOfMemory)
    assert "too little memory" in failed.error.what


def test_failed_load_fails_the_turns_that_follow() -> None:
    worker = Worker(lambda: Script(fail_load=True))
    worker.send(LoadModel("x"))
    worker.send(start(1))
    events = until(worker, TurnFailed)
    assert [type(event) for event in events[-2:]] == [LoadFailed, TurnFailed]
    worker.close()


def test_engine_that_cannot_even_be_made_is_a_failed_load() -> None:
    def broken() -> Script:
        raise ImportError("no torch")

    worker = Worker(broken)
    worker.send(LoadModel())
    failed = until(worker, LoadFailed)[-1]
    assert isinstance(failed, LoadFailed)
    assert "no torch" in str(failed.error)
    worker.close()


def test_stop_ends_a_running_turn_and_one_still_in_the_queue() -> None:
    engine = Script(wait=True)
    worker = Worker(lambda: engine)
    worker.send(LoadModel())
    worker.send(start(1))
    worker.send(start(2))
    worker.send(Stop(2))
    until(worker, TextProduced)
    worker.send(Stop(1))
    seen: list[Event] = []
    while sum(isinstance(event, TurnStopped) for event in seen) < 2:
        seen += until(worker, TurnStopped)
    assert [event.turn for event in seen if isinstance(event, TurnStopped)] == [1, 2]
    assert not any(isinstance(event, TextProduced) and event.turn == 2 for event in seen)
    worker.close()


def test_close_in_the_middle_of_a_turn_ends_the_thread() -> None:
    worker = Worker(lambda: Script(wait=True))
    worker.send(LoadModel())
    worker.send(start(1))
    until(worker, TextProduced)
    assert worker.close(timeout_s=5)


def test_reading_ahead_yields_to_a_turn_and_its_failure_is_not_the_users() -> None:
    engine = Script(wait=True)
    worker = Worker(lambda: engine)
    worker.send(LoadModel())
    worker.send(Prefill((), True))
    assert engine.reading.wait(10)
    engine.wait = False
    worker.send(start(1))
    assert until(worker, TurnFinished)[-1].turn == 1  # type: ignore[union-attr]
    engine.fail_ahead = True
    worker.send(Prefill((), True))
    worker.send(start(2))
    events = until(worker, TurnFinished)
    assert not any(isinstance(event, LoadFailed | TurnFailed) for event in events)
    worker.close()


def test_asking_for_the_answer_reaches_its_turn_running_or_waiting_and_no_other() -> None:
    engine = Script(wait=True)
    worker = Worker(lambda: engine)
    worker.send(LoadModel())
    for turn in (1, 2, 3):
        worker.send(start(turn))
    until(worker, TextProduced)
    worker.send(AnswerNow(1))
    worker.send(AnswerNow(3))
    seen: list[Event] = []
    while sum(isinstance(event, ThoughtEnded) for event in seen) < 1:
        seen += until(worker, ThoughtEnded)
    worker.send(Stop(2))
    while sum(isinstance(event, TurnEnded) for event in seen) < 3:
        assert worker.events.wait(10)
        seen += worker.events.drain()
    assert [event.turn for event in seen if isinstance(event, ThoughtEnded)] == [1, 3]
    assert [event.turn for event in seen if isinstance(event, TurnStopped)] == [2]
    worker.close()


def test_looking_at_a_reply_yields_to_a_turn_and_not_to_reading_ahead() -> None:
    engine = Script()
    worker = Worker(lambda: engine)
    worker.send(LoadModel())
    worker.send(ScoreReply((), NOTHING, False, number=1))
    assert engine.reading.wait(10)
    worker.send(Prefill((), True))
    assert not any(isinstance(event, ScoringEnded) for event in worker.events.drain())
    worker.send(start(1))
    events = until(worker, TurnFinished)
    assert ScoringEnded(1) in events
    engine.reading.clear()
    worker.send(ScoreReply((), NOTHING, False, number=2))
    assert engine.reading.wait(10)
    worker.send(StopScoring(1))
    worker.send(StopScoring(2))
    assert until(worker, ScoringEnded)[-1] == ScoringEnded(2)
    worker.close()


def test_looking_at_a_reply_that_fails_says_why_and_the_next_turn_is_answered() -> None:
    engine = Script()
    engine.fail_ahead = True
    worker = Worker(lambda: engine)
    worker.send(ScoreReply((), NOTHING, False, number=1))
    ended = [event for event in until(worker, ScoringEnded) if isinstance(event, ScoringEnded)]
    assert isinstance(ended[0].error, ModelNotFound)
    worker.send(LoadModel())
    worker.send(ScoreReply((), NOTHING, False, number=2))
    ended = [event for event in until(worker, ScoringEnded) if isinstance(event, ScoringEnded)]
    assert "boom" in str(ended[0].error)
    worker.send(start(1))
    until(worker, TurnFinished)
    worker.close()
