"""Keys and values of the tokens read so far, in memory laid out before they come."""

import torch
from torch import Tensor

STEP = 512
"""Tokens by which the memory grows at least, so that a long window does not cost its memory before it is used."""
GRAIN = 128
"""The room is a multiple of it."""


class KVCache:
    """Preallocated keys and values, each [layers, kv_heads, capacity, head_dim]; what is not written yet is 0."""

    def __init__(
        self, layers: int, kv_heads: int, head_dim: int, window: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self.window = window
        """Most tokens it may hold."""
        self.length = 0
        """Tokens it holds."""
        shape = (layers, kv_heads, self._room(1), head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)

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
        """Make room for `tokens` in all; raises ValueError beyond the window."""
        if tokens > self.window:
            raise ValueError(f"{tokens} tokens do not fit a window of {self.window}")
        if tokens > self.keys.shape[2]:
            room = self._room(tokens)
            self.keys = self._grown(self.keys, room)
            self.values = self._grown(self.values, room)

    def _room(self, tokens: int) -> int:
        """How much to lay out for `tokens`: up to a quarter more, and no more than the window."""
        step = max(STEP, (1 << tokens.bit_length()) >> 3)
        return min(-(-tokens // step) * step, -(-self.window // GRAIN) * GRAIN)

    def _grown(self, old: Tensor, room: int) -> Tensor:
        layers, heads, _, dim = old.shape
        new = torch.zeros((layers, heads, room, dim), dtype=old.dtype, device=old.device)
        new[:, :, : self.length] = old[:, :, : self.length]
        return new
