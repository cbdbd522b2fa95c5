"""Keys and values of the tokens read so far, in memory laid out before they come."""

import torch
from torch import Tensor

STEP = 1024
"""Tokens by which the memory grows, so that a long window does not cost its memory before it is used."""


class KVCache:
    """Preallocated keys and values, each [layers, kv_heads, capacity, head_dim]."""

    def __init__(
        self, layers: int, kv_heads: int, head_dim: int, window: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self.window = window
        """Most tokens it may hold."""
        self.length = 0
        """Tokens it holds."""
        shape = (layers, kv_heads, min(STEP, window), head_dim)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)

    @property
    def device(self) -> torch.device:
        """Where it lives."""
        return self.keys.device

    @property
    def bytes_per_token(self) -> int:
        """Memory one more token costs, in bytes."""
        layers, heads, _, dim = self.keys.shape
        return 2 * layers * heads * dim * self.keys.element_size()

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; does nothing when there are not more."""
        self.length = min(self.length, length)

    def reserve(self, tokens: int) -> None:
        """Make room for `tokens` in all, doubling in steps; raises ValueError beyond the window."""
        capacity = self.keys.shape[2]
        if tokens <= capacity:
            return
        if tokens > self.window:
            raise ValueError(f"{tokens} tokens do not fit a window of {self.window}")
        wanted = min(self.window, max(2 * capacity, -(-tokens // STEP) * STEP))
        self.keys, self.values = self._grown(self.keys, wanted), self._grown(self.values, wanted)

    def _grown(self, old: Tensor, capacity: int) -> Tensor:
        layers, heads, _, dim = old.shape
        new = torch.empty((layers, heads, capacity, dim), dtype=old.dtype, device=old.device)
        new[:, :, : self.length] = old[:, :, : self.length]
        return new
