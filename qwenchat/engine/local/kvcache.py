"""Keys and values of the tokens read so far, in memory laid out before they come."""

import torch
from torch import Tensor

STEP = 512
"""Tokens by which the memory grows at least, so that a long window does not cost its memory before it is used."""
GRAIN = 128
"""The room is a multiple of it."""


class KVCache:
    """Preallocated keys and values of each layer."""

    def __init__(
        self, layers: int, kv_heads: int, head_dim: int, window: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self.window = window
        """Most tokens it may hold."""
        self.length = 0
        """Tokens it holds."""
        self.moves = 0
        """How often the layers were moved to where there is more room."""
        shape = (2, kv_heads, self._enough(1), head_dim)
        self.layers = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)]
        """[2, kv_heads, room, head_dim] each: keys, then values; what is not written yet is 0."""

    @property
    def device(self) -> torch.device:
        """Where it lives."""
        return self.layers[0].device

    @property
    def room(self) -> int:
        """Tokens there is memory for."""
        return self.layers[-1].shape[2]

    @property
    def bytes_per_token(self) -> int:
        """Memory one more token costs, in bytes."""
        _, heads, _, dim = self.layers[0].shape
        return len(self.layers) * 2 * heads * dim * self.layers[0].element_size()

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; does nothing when there are not more."""
        self.length = min(self.length, length)

    def reserve(self, tokens: int) -> None:
        """Make room for `tokens` in all; raises ValueError beyond the window."""
        if tokens > self.window:
            raise ValueError(f"{tokens} tokens do not fit a window of {self.window}")
        if tokens > self.room:
            self.moves += 1
            for at, layer in enumerate(self.layers):  # one by one: there is no memory for all of them twice
                self.layers[at] = self._grown(layer, self._enough(tokens))

    def _enough(self, tokens: int) -> int:
        """How much to lay out for `tokens`: up to a quarter more, and no more than the window."""
        step = max(STEP, (1 << tokens.bit_length()) >> 3)
        return min(-(-tokens // step) * step, -(-self.window // GRAIN) * GRAIN)

    def _grown(self, old: Tensor, room: int) -> Tensor:
        two, heads, _, dim = old.shape
        new = torch.zeros((two, heads, room, dim), dtype=old.dtype, device=old.device)
        new[:, :, : self.length] = old[:, :, : self.length]
        return new
