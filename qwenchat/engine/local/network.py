"""What the decode loop needs of a model, whichever way it is run."""

from collections.abc import Generator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.sampler import Sampler

C = TypeVar("C", bound="NetworkCache")


class NetworkCache(Protocol):
    """Keys and values of the tokens read so far."""

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
    """Whether `read` looks at the stop signal, so that it may be given many tokens at once."""

    def new_cache(self, window: int) -> C:
        """An empty cache for at most `window` tokens."""
        ...

    def read(self, ids: Sequence[int], cache: C, stop: StopSignal) -> np.ndarray:
        """Read `ids` after what the cache holds; returns the last position's logits, [vocab] float32.

        Raises Stopped when it was interrupted; the cache then holds what it held before.
        """
        ...

    def close(self) -> None:
        """Give threads back."""
        ...


@runtime_checkable
class SteppingNetwork(Protocol):
    """A network that can also draw tokens itself, and makes the next while its reader looks at the last."""

    ahead: bool
    """Whether it can do so here."""

    @property
    def chunks(self) -> tuple[int, int]:
        """How many tokens of a prompt it may be given at once at first, and at most."""
        ...

    def steps(self, cache: Any, logits: np.ndarray, sampler: Sampler, limit: int) -> Generator[int]:
        """Up to `limit` tokens, the first drawn from `logits`; all but the last of them are read before they are given.

        When it is closed early, the token that was drawn but not given is as if it had never been drawn.
        """
        ...
