"""Keys and values of one sequence in eight bits."""

import numpy as np

from qwenchat.engine.local.cpu.arrays import CacheView, aligned
from qwenchat.engine.local.cpu.layout import GROUP, SEGMENT
from qwenchat.engine.local.decoder_config import DecoderConfig


class QuantizedCache:
    """8-bit keys and values; the memory is reserved for the whole window and taken segment by segment."""

    def __init__(self, config: DecoderConfig, window: int) -> None:
        self.window = window
        self.length = 0
        segments = -(-window // SEGMENT)
        self.capacity = segments * SEGMENT
        """The window in whole segments."""
        self._heads = config.layers * config.kv_heads
        # An odd number, so that the segments of a head do not compete for the same lines of the processor's cache.
        heads = self._heads | 1
        tokens, d, shape = self.capacity * heads, config.head_dim, (segments, heads, -1)
        self.arrays = CacheView(
            keys=aligned(tokens * d, np.uint8).reshape(shape),
            key_scales=aligned(tokens * d // GROUP, np.uint16).reshape(shape),
            values=aligned(tokens * d, np.uint8).reshape(shape),
            value_scales=aligned(tokens, np.float32).reshape(shape),
        )

    @property
    def bytes_per_token(self) -> int:
        """Memory one token costs."""
        spare = self.arrays.keys.shape[1] - self._heads
        return sum(array[:, spare:].size * array.itemsize for array in self.arrays) // self.capacity

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; does nothing when there are not more."""
        self.length = min(self.length, length)
