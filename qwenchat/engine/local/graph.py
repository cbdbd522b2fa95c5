"""Work on a device that is recorded once and replayed as a whole: starting its pieces takes longer than they do."""

import logging
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

log = logging.getLogger(__name__)

_cuda: Any = torch.cuda
Work = Callable[[], None]


class DeviceRunner(Protocol):
    """How a device is given work, and how a number comes back from it."""

    def record(self, work: Work) -> Work:
        """The same work, to be started faster; it may only read and write tensors that stay where they are."""
        ...

    def send(self, number: Tensor) -> Callable[[], int]:
        """Start to bring an int64 [1] to the host as it is after the work so far; the result waits for it.

        One number must be there before the next is sent.
        """
        ...


class DirectRunner:
    """Runs the work as it is: on devices whose work starts fast, and in tests."""

    def record(self, work: Work) -> Work:
        """See `DeviceRunner.record`."""
        return work

    def send(self, number: Tensor) -> Callable[[], int]:
        """See `DeviceRunner.send`."""
        value = int(number)
        return lambda: value


class CudaGraphRunner:
    """Records work as CUDA graphs; work of which that fails is run as it is."""

    def __init__(self) -> None:
        self._stream = _cuda.Stream()
        # cuDNN would prepare its attention anew for every length of context.
        torch.backends.cuda.enable_cudnn_sdp(enabled=False)
        self._number = torch.zeros(1, dtype=torch.long, pin_memory=True)
        self._arrived = _cuda.Event()

    def record(self, work: Work) -> Work:
        """See `DeviceRunner.record`."""
        return RecordedWork(work, self._warm_up, self._capture)

    def send(self, number: Tensor) -> Callable[[], int]:
        """See `DeviceRunner.send`."""
        self._number.copy_(number, non_blocking=True)
        self._arrived.record()
        return self._received

    def _received(self) -> int:
        self._arrived.synchronize()
        return int(self._number)

    def _warm_up(self, work: Work) -> None:
        """Run the work where it will be recorded: libraries set up what they need when first called on a stream."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                work()
        finally:  # what failed midway may still write to memory that is given up now
            current.wait_stream(self._stream)

    def _capture(self, work: Work) -> Work:
        current, graph = torch.cuda.current_stream(), torch.cuda.CUDAGraph()
        try:
            # Each graph has memory of its own: a pool that is shared cannot be entered again once its graphs are gone.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                work()
        finally:  # after an error torch leaves the stream of the recording in place
            torch.cuda.set_stream(current)
        return graph.replay


class RecordedWork:
    """Work that runs as it is the first time, is recorded the second, and replayed from then on."""

    def __init__(self, work: Work, warm_up: Callable[[Work], None], capture: Callable[[Work], Work]) -> None:
        """`capture` records work without running it, and gives what replays it."""
        self._work, self._warm_up, self._capture = work, warm_up, capture
        self._next: Work = self._first

    def __call__(self) -> None:
        """Run it."""
        self._next()

    def _first(self) -> None:
        self._warm_up(self._work)
        self._next = self._second

    def _second(self) -> None:
        try:
            self._next = self._capture(self._work)
        except RuntimeError as error:
            log.warning("The GPU's work cannot be recorded and is started piece by piece: %s", error)
            self._next = self._work
        self._next()
