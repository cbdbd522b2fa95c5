"""What the networks that torch computes have in common: to the decode loop they are numpy arrays like any other."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from qwenchat.engine.base import StopSignal

DTYPES = {"bf16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
"""By the names that `RunPlan.dtype` has for them."""


class _OnDevice(Protocol):
    @property
    def device(self) -> torch.device: ...


C = TypeVar("C", bound=_OnDevice)


class TorchNetwork(Generic[C]):
    """Carries ids to the device and logits back."""

    def forward(self, ids: Tensor, cache: C, stop: StopSignal | None = None) -> Tensor:
        """What `Network.read` does, with `ids` [n] int64 and logits [vocab] float32 on the device."""
        raise NotImplementedError

    def read(self, ids: Sequence[int], cache: C, stop: StopSignal) -> np.ndarray:
        """See `Network.read`."""
        with torch.inference_mode():
            logits = self.forward(torch.tensor(ids, dtype=torch.long, device=cache.device), cache, stop)
            return logits.cpu().numpy()
