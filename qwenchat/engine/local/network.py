"""What the decode loop needs of a model, whichever way it is run."""

from typing import Protocol, TypeVar

import torch
from torch import Tensor

from qwenchat.engine.base import StopSignal

C = TypeVar("C", bound="Cache")


class Cache(Protocol):
    """Keys and values of the tokens read so far."""

    @property
    def device(self) -> torch.device:
        """Where it lives."""
        ...

    @property
    def bytes_per_token(self) -> int:
        """Memory one token costs."""
        ...

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; does nothing when there are not more."""
        ...


class Network(Protocol[C]):
    """A causal language model over one sequence."""

    interruptible: bool
    """Whether `forward` looks at the stop signal, so that it may be given many tokens at once."""

    def new_cache(self, window: int) -> C:
        """An empty cache for at most `window` tokens."""
        ...

    def forward(self, ids: Tensor, cache: C, stop: StopSignal) -> Tensor:
        """Read `ids` [n] int64 after what the cache holds; returns the last position's logits, [vocab] float32.

        Raises Stopped when it was interrupted; the cache then holds what it held before.
        """
        ...

    def close(self) -> None:
        """Give threads back."""
        ...
