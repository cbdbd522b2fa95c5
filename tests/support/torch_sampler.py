"""The sampler with the chance that `Draw` has for the same seed, so that both draw the same on every processor."""

from collections.abc import Sequence

import numpy as np
import torch

from qwenchat.chat.sampling import Sampling
from qwenchat.engine.local.sampler import Sampler


class TorchNoise:
    """What torch's own generator makes on the CPU."""

    def __init__(self, seed: int | None) -> None:
        self._random = torch.Generator()
        if seed is not None:
            self._random.manual_seed(seed)

    def exponential(self, count: int) -> np.ndarray:
        return torch.empty(count).exponential_(generator=self._random).numpy()


def torch_sampler(sampling: Sampling, prompt: Sequence[int], output: Sequence[int] = ()) -> Sampler:
    sampler = Sampler(sampling, prompt, output)
    sampler._noise = TorchNoise(sampling.seed)  # type: ignore[assignment]
    return sampler
