"""What a CUDA graph does, on the CPU: work is recorded operation by operation, and replayed in the same memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from qwenchat.engine.local.graph import DirectRunner, RecordedWork, Work

WAITS = ("_local_scalar_dense", "item", "nonzero", "masked_select", "is_nonzero", "equal", "lift_fresh", "unique")
"""Operations for which the host waits for the device, or that bring a tensor from the host."""


class Tape(TorchDispatchMode):
    """Records all operations, and puts back what they changed: a capture runs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._operations: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self._own: set[int] = set()
        self._before: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in WAITS:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({name})")
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        if name == "index" and any(value.dtype is torch.bool for value in given):
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing (index by bool)")
        for value in given if func._schema.is_mutable else ():
            if _place(value) not in self._own:
                self._before.append((value, value.clone()))
        result = func(*args, **kwargs)
        places = {_place(value) for value in given}
        fresh = [value for value in tree_leaves(result) if isinstance(value, Tensor) and _place(value) not in places]
        self._own.update(map(_place, fresh))
        self._operations.append((func, args, kwargs, fresh))
        return result

    @property
    def pieces(self) -> int:
        """How many operations do something, and do not only look at memory in another way."""
        schemas = [func._schema for func, *_ in self._operations]
        return sum(schema.is_mutable or not any(part.alias_info for part in schema.returns) for schema in schemas)

    def restore(self) -> None:
        """Leave everything as it was before."""
        for value, before in reversed(self._before):
            value.copy_(before)

    def replay(self) -> None:
        """Run the operations again on the same memory, whatever it holds now."""
        for func, args, kwargs, places in self._operations:
            if func.overloadpacket.__name__ == "empty":
                continue
            results = [value for value in tree_leaves(func(*args, **kwargs)) if isinstance(value, Tensor)]
            for place, value in zip(places, results if places else (), strict=True):
                place.copy_(value)


def _place(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()


class Recorder(DirectRunner):
    """Records work on tapes as a GPU records it in graphs."""

    def __init__(self) -> None:
        self.captures = self.replays = 0

    def record(self, work: Work) -> Work:
        return RecordedWork(work, lambda first: first(), self._capture)

    def _capture(self, work: Work) -> Work:
        self.captures += 1
        with Tape() as tape:
            work()
        tape.restore()

        def replay() -> None:
            self.replays += 1
            tape.replay()

        return replay


class Failing(DirectRunner):
    """Fails where a GPU would: `fail` is called for each recording."""

    def __init__(self, fail: Callable[[], None]) -> None:
        self._fail = fail

    def record(self, work: Work) -> Work:
        def capture(work: Work) -> Work:
            self._fail()
            return work

        return RecordedWork(work, lambda first: first(), capture)
