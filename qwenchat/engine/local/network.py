"""What the decode loop needs of a model, whichever way it is run."""

from typing import Protocol

from torch import Tensor

from qwenchat.engine.local.kvcache import KVCache


class Network(Protocol):
    """A causal language model over one sequence."""

    def new_cache(self, window: int) -> KVCache:
        """An empty cache for at most `window` tokens."""
        ...

    def forward(self, ids: Tensor, cache: KVCache) -> Tensor:
        """Read `ids` [n] int64 after what the cache holds; returns the last position's logits, [vocab] float32."""
        ...
