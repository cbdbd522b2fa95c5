"""How work is given to CUDA, with CUDA's own calls replaced by notes of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from qwenchat.engine.local.graph import CudaGraphRunner

Notes = list[str]


class Stream:
    def __init__(self, notes: Notes, name: str) -> None:
        self.notes, self.name = notes, name

    def wait_stream(self, other: "Stream") -> None:
        self.notes.append(f"{self.name} waits for {other.name}")


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    notes: Notes = []
    current = [Stream(notes, "usual")]

    class Graph:
        def replay(self) -> None:
            notes.append("replay")

    class Event:
        def record(self) -> None:
            notes.append("sent")

        def synchronize(self) -> None:
            notes.append("arrived")

    @contextmanager
    def stream(wanted: Stream) -> Iterator[None]:
        before, current[0] = current[0], wanted
        try:
            yield
        finally:
            current[0] = before

    @contextmanager
    def graph(graph: Graph, *, stream: Stream, capture_error_mode: str) -> Iterator[None]:
        """As torch does it: after an error the stream of the capture stays the current one."""
        current[0] = stream
        notes.append(f"begin on {stream.name}")
        yield
        notes.append("end")
        current[0] = usual

    usual, zeros = current[0], torch.zeros
    monkeypatch.setattr(torch.cuda, "Stream", lambda: Stream(notes, "own"))
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "set_stream", lambda wanted: current.__setitem__(0, wanted))
    monkeypatch.setattr(torch, "zeros", lambda *shape, pin_memory=False, **rest: zeros(*shape, **rest))
    return notes


def test_work_is_warmed_up_where_it_is_recorded_then_recorded_then_replayed(notes: Notes) -> None:
    def work() -> None:
        notes.append(f"work on {torch.cuda.current_stream().name}")  # type: ignore[attr-defined]

    recorded = CudaGraphRunner().record(work)
    recorded()
    assert notes == ["own waits for usual", "work on own", "usual waits for own"]
    notes.clear()
    recorded()
    assert notes == ["begin on own", "work on own", "end", "replay"]
    notes.clear()
    recorded()
    recorded()
    assert notes == ["replay", "replay"]


def test_after_a_recording_that_failed_work_runs_as_it_is_on_the_usual_stream(
    notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    cuda, runs = CudaGraphRunner(), list[str]()

    def work() -> None:
        if "begin on own" in notes:
            notes.clear()
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        runs.append(torch.cuda.current_stream().name)  # type: ignore[attr-defined]

    recorded = cuda.record(work)
    for _ in range(3):
        recorded()
    assert runs == ["own", "usual", "usual"]
    assert "not permitted when stream is capturing" in caplog.text
    assert "replay" not in notes


def test_a_recording_that_failed_does_not_keep_other_work_from_being_recorded(notes: Notes) -> None:
    cuda, failures = CudaGraphRunner(), [RuntimeError("CUDA out of memory")]

    def fails() -> None:
        if "begin on own" in notes and failures:
            raise failures.pop()

    for work in (cuda.record(fails), cuda.record(lambda: None)):
        notes.clear()
        for _ in range(3):
            work()
    assert not failures
    assert notes[-2:] == ["replay", "replay"]


def test_work_that_fails_at_first_is_waited_for_too(notes: Notes) -> None:
    """What it had begun may still write to memory that is given up now."""

    def fails() -> None:
        raise RuntimeError("FlashAttention only supports Ampere GPUs or newer.")

    with pytest.raises(RuntimeError, match="Ampere"):
        CudaGraphRunner().record(fails)()
    assert notes == ["own waits for usual", "usual waits for own"]
    assert torch.cuda.current_stream().name == "usual"  # type: ignore[attr-defined]


def test_a_number_arrives_as_it_was_when_it_was_sent(notes: Notes) -> None:
    cuda, number = CudaGraphRunner(), torch.tensor([7])
    arrival = cuda.send(number)
    number.fill_(8)
    assert notes == ["sent"]
    assert arrival() == 7
    assert notes == ["sent", "arrived"]
    assert cuda.send(number)() == 8


def test_attention_that_is_prepared_anew_for_each_length_is_not_used(notes: Notes) -> None:
    before: Any = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(enabled=True)
        CudaGraphRunner()
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(enabled=before)
