"""Weights as they lie in files, before they are made ready for a device."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize
from safetensors import SafetensorError, safe_open
from torch import Tensor

from qwenchat.chat.errors import ModelDamaged
from qwenchat.i18n.texts import say

_KINDS = {torch.float32: Kind.F32, torch.float16: Kind.F16, torch.bfloat16: Kind.BF16}
_DTYPES = {kind: dtype for dtype, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class StoredWeight:
    """One weight under its safetensors name."""

    name: str
    shape: tuple[int, ...]
    kind: Kind
    """Format of the data, in ggml's terms: F32, F16, BF16, or one of its quantizations."""
    data: np.ndarray
    """uint8, the shape with bytes in place of the last dimension."""
    order: np.ndarray | None = None
    """[rows] int64, which of the file's rows each row is; None for those in order."""

    def floats(self, dtype: torch.dtype) -> Tensor:
        """The weight as floats of that type."""
        if self.kind in _DTYPES:
            data = self.data if self.data.flags.writeable else self.data.copy()
            value = torch.from_numpy(data).view(_DTYPES[self.kind]).reshape(self.shape)
        else:
            value = torch.from_numpy(dequantize(self.data, self.kind)).reshape(self.shape)
        return (value if self.order is None else value[torch.from_numpy(self.order)]).to(dtype)


def read_safetensors(files: list[Path]) -> Iterator[StoredWeight]:
    """All weights of some safetensors files; raises ModelDamaged naming the file."""
    for file in files:
        try:
            with safe_open(file, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118  (not a mapping)
                    yield _stored(name, weights.get_tensor(name))
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelDamaged(
                say("{file} cannot be read: {error}.", file=file, error=error), say("Download it again.")
            ) from error


def _stored(name: str, tensor: Tensor) -> StoredWeight:
    if tensor.dtype not in _KINDS:
        tensor = tensor.float()
    shape = tuple(tensor.shape)
    return StoredWeight(name, shape, _KINDS[tensor.dtype], tensor.reshape(*shape).view(torch.uint8).numpy())
