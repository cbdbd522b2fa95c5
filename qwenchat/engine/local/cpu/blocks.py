"""GGUF's quantized blocks as packed matrices: 4-bit stays 4-bit, and nothing is dequantized that need not be."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from torch import Tensor

from qwenchat.engine.local.cpu.packing import PackedMatrix, pack
from qwenchat.engine.local.cpu.simd import GROUP, Format

_SUPERBLOCK = 256


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Groups of 32 weights: q [n, k / 32, 32] uint8, scales and minima [n, k / 32] float."""

    q: np.ndarray
    scales: np.ndarray
    form: Format
    minima: np.ndarray | None = None


def packed(kind: Kind, data: np.ndarray, rows: np.ndarray | None = None) -> PackedMatrix | None:
    """A matrix of GGUF blocks [n, bytes], its rows reordered by `rows`; None for kinds that must be dequantized."""
    read = _READERS.get(kind)
    if read is None:
        return None
    blocks = read(data.reshape(data.shape[0], -1))

    def ordered(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array if rows is None else array[rows])

    minima = None if blocks.minima is None else ordered(blocks.minima)
    return pack(ordered(blocks.q).flatten(1), ordered(blocks.scales), blocks.form, minima)


def _halves(data: np.ndarray) -> np.ndarray:
    """Bytes [..., 2] as float16 [...]."""
    return np.ascontiguousarray(data).view(np.float16)[..., 0]


def _nibbles(data: np.ndarray) -> np.ndarray:
    """Bytes [..., m] as [..., 2 m]: the low halves, then the high ones."""
    return np.concatenate([data & 15, data >> 4], axis=-1)


def _q8_0(data: np.ndarray) -> _Blocks:
    blocks = data.reshape(len(data), -1, 2 + GROUP)
    return _Blocks(blocks[..., 2:] ^ 128, _halves(blocks[..., :2]), Format.U8)


def _q4_0(data: np.ndarray) -> _Blocks:
    blocks = data.reshape(len(data), -1, 2 + GROUP // 2)
    return _Blocks(_nibbles(blocks[..., 2:]), _halves(blocks[..., :2]), Format.U4)


def _q4_1(data: np.ndarray) -> _Blocks:
    blocks = data.reshape(len(data), -1, 4 + GROUP // 2)
    return _Blocks(
        _nibbles(blocks[..., 4:]), _halves(blocks[..., :2]), Format.U4_MIN, _halves(blocks[..., 2:4])
    )


def _q5_0(data: np.ndarray) -> _Blocks:
    """Five bits and a zero of 16 fit eight bits with a zero of 128."""
    blocks = data.reshape(len(data), -1, 6 + GROUP // 2)
    fifth = np.unpackbits(blocks[..., 2:6], axis=-1, bitorder="little") << 4
    return _Blocks((_nibbles(blocks[..., 6:]) | fifth) + 112, _halves(blocks[..., :2]), Format.U8)


def _q4_k(data: np.ndarray) -> _Blocks:
    """Eight groups share two halves; six-bit factors make each group's scale and minimum of them."""
    blocks = data.reshape(len(data), -1, 16 + _SUPERBLOCK // 2)
    scale, minimum = (_halves(blocks[..., at : at + 2])[..., None].astype(np.float32) for at in (0, 2))
    first, second, third = (blocks[..., at : at + 4] for at in (4, 8, 12))
    scales = np.concatenate([first & 63, (third & 15) | (first >> 6 << 4)], axis=-1)
    minima = np.concatenate([second & 63, (third >> 4) | (second >> 6 << 4)], axis=-1)
    q = _nibbles(blocks[..., 16:].reshape(*blocks.shape[:2], 4, GROUP))
    n = len(data)
    return _Blocks(
        q.reshape(n, -1, GROUP), (scale * scales).reshape(n, -1), Format.U4_MIN, (-minimum * minima).reshape(n, -1)
    )


_READERS: dict[Kind, Callable[[np.ndarray], _Blocks]] = {
    Kind.Q8_0: _q8_0,
    Kind.Q4_0: _q4_0,
    Kind.Q4_1: _q4_1,
    Kind.Q5_0: _q5_0,
    Kind.Q4_K: _q4_k,
}
