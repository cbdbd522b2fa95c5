"""The chance in what is said: random numbers that follow from a seed, the same on every machine."""

import random
import secrets

import numpy as np

_WORDS = 624
"""32-bit words of the generator's state."""
_LEAST = np.finfo(np.float32).tiny


class Noise:
    """Exponentially distributed numbers, as `torch.Generator` makes them on the CPU: MT19937, 53 bits for each.

    With MKL, which is there on processors of Intel, torch makes others; here they do not hang on the processor.
    """

    def __init__(self, seed: int | None = None) -> None:
        """Without a seed it is one that nobody knows. Of a seed the lower 32 bits count."""
        word = (secrets.randbits(32) if seed is None else seed) & 0xFFFFFFFF
        state = [word]
        for at in range(1, _WORDS):
            word = 1812433253 * (word ^ word >> 30) + at & 0xFFFFFFFF
            state.append(word)
        self._random = random.Random()
        self._random.setstate((3, (*state, _WORDS), None))

    def exponential(self, count: int) -> np.ndarray:
        """The next numbers, [count] float32, above 0."""
        drawn = self._random.getrandbits(64 * count).to_bytes(8 * count, "little")
        words = np.frombuffer(drawn, "<u4").astype(np.uint64)
        bits = (words[::2] << np.uint64(32) | words[1::2]) & np.uint64((1 << 53) - 1)
        noise: np.ndarray = -np.log1p(bits * -(2.0**-53)).astype(np.float32)
        return noise.clip(_LEAST)
