"""Weights as they lie in files, before they are made ready for a device."""

import json
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from qwenchat.chat.errors import ModelDamaged
from qwenchat.engine.local.ggml import Kind, dequantize
from qwenchat.i18n.texts import say

_KINDS = {"F32": Kind.F32, "F16": Kind.F16, "BF16": Kind.BF16}
"""By the names that safetensors has for them."""
_NUMBERS = {"F64": "<f8", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}
"""Other numbers, which become F32."""


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

    def floats(self) -> np.ndarray:
        """The weight as float32."""
        if self.kind is Kind.F32:
            value = self.data.view(np.float32)
        elif self.kind is Kind.F16:
            value = self.data.view(np.float16).astype(np.float32)
        elif self.kind is Kind.BF16:
            value = (self.data.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            value = dequantize(self.data, self.kind)
        value = value.reshape(self.shape)
        return value if self.order is None else value[self.order]


def read_safetensors(files: list[Path]) -> Iterator[StoredWeight]:
    """All weights of some safetensors files, as views of the mapped files; raises ModelDamaged naming the file."""
    for file in files:
        try:
            with safe_open(file, framework="np"):
                pass  # that its header is sound is for the library to find out
            with file.open("rb") as opened:
                mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
            begin = 8 + int.from_bytes(mapped[:8], "little")
            for name, about in json.loads(mapped[8:begin]).items():
                if name != "__metadata__":
                    yield _stored(name, about, memoryview(mapped)[begin:])
        except (SafetensorError, OSError, ValueError, LookupError) as error:
            raise ModelDamaged(
                say("{file} cannot be read: {error}.", file=file, error=error), say("Download it again.")
            ) from error


def _stored(name: str, about: dict[str, Any], data: memoryview) -> StoredWeight:
    first, last = about["data_offsets"]
    kind, shape = about["dtype"], tuple(about["shape"])
    stored = np.frombuffer(data[first:last], np.uint8)
    if kind not in _KINDS:
        stored = np.frombuffer(data[first:last], _NUMBERS[kind]).astype(np.float32).view(np.uint8)
        kind = "F32"
    return StoredWeight(name, shape, _KINDS[kind], stored.reshape(*shape[:-1], -1))
