"""Weights in the formats of the native kernels: quantized, laid out in tiles, and kept in memory that is aligned."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qwenchat.engine.local.cpu.simd import GROUP, ROWS, Format

_ALIGNMENT = 64


def aligned(count: int, dtype: type[np.generic]) -> np.ndarray:
    """`count` zeros that begin at a multiple of 64 bytes, as the kernels want it; memory is taken as it is written."""
    size = count * np.dtype(dtype).itemsize
    raw = np.zeros(size + _ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % _ALIGNMENT
    return raw[begin : begin + size].view(dtype)


@dataclass(frozen=True, slots=True)
class PackedMatrix:
    """A matrix [rows, columns] in tiles of sixteen rows and groups of 32 columns; rows are filled up with zeros."""

    form: Format
    rows: int
    columns: int
    weights: np.ndarray
    """uint8, [tile, group, quads of columns, row, 4], two to a byte for the 4-bit formats."""
    scales: np.ndarray
    """float16, [tile, group, row]."""
    minima: np.ndarray
    """float16, [tile, group, row]; empty but for U4_MIN."""

    @property
    def table_row(self) -> list[int]:
        """The matrix as `linear` wants it: format, addresses of weights, scales and minima, tiles, groups."""
        addresses = [array.ctypes.data for array in (self.weights, self.scales, self.minima)]
        return [int(self.form), *addresses, -(-self.rows // ROWS), self.columns // GROUP]

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.weights.nbytes + self.scales.nbytes + self.minima.nbytes

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Some rows as float32 [n, columns]."""
        tile, lane, groups = rows // ROWS, rows % ROWS, self.columns // GROUP
        scales = self.scales.reshape(-1, groups, ROWS)[tile, :, lane].astype(np.float32)
        if self.form is Format.U8:
            q = self.weights.reshape(-1, groups, GROUP // 4, ROWS, 4)[tile, :, :, lane]
        else:
            both = self.weights.reshape(-1, groups, GROUP // 8, 1, ROWS, 4)[tile, :, :, :, lane]
            q = np.concatenate([both & 15, both >> 4], axis=3)
        values = (q.reshape(len(rows), groups, GROUP).astype(np.float32) - self.form.zero) * scales[..., None]
        if self.form is Format.U4_MIN:
            values += self.minima.reshape(-1, groups, ROWS)[tile, :, lane].astype(np.float32)[..., None]
        return values.reshape(len(rows), self.columns)


def pack(q: Tensor, scales: Tensor, form: Format, minima: Tensor | None = None) -> PackedMatrix:
    """Lay out quantized weights: q [n, k] uint8, scales and minima [n, k / 32]; k must be a multiple of 32."""
    rows, columns = q.shape
    tiles, groups = -(-rows // ROWS), columns // GROUP
    if missing := tiles * ROWS - rows:
        q = torch.nn.functional.pad(q, (0, 0, 0, missing), value=form.zero)
        scales = torch.nn.functional.pad(scales, (0, 0, 0, missing))
        minima = None if minima is None else torch.nn.functional.pad(minima, (0, 0, 0, missing))
    tiled = q.view(tiles, ROWS, columns // 4, 4).transpose(1, 2)
    if form is not Format.U8:
        halves = tiled.reshape(tiles, columns // 8, 2, ROWS, 4)
        tiled = halves[:, :, 0] | halves[:, :, 1] << 4
    weights = aligned(tiled.numel(), np.uint8)
    torch.from_numpy(weights).view(tiled.shape).copy_(tiled)
    empty = aligned(0, np.float16)
    return PackedMatrix(
        form, rows, columns, weights, _tiled(scales, tiles, groups),
        empty if minima is None else _tiled(minima, tiles, groups),
    )  # fmt: skip


def _tiled(figures: Tensor, tiles: int, groups: int) -> np.ndarray:
    """Scales or minima [n, groups] as float16 [tile, group, row]."""
    out = aligned(figures.numel(), np.float16)
    torch.from_numpy(out).view(tiles, groups, ROWS).copy_(figures.view(tiles, ROWS, groups).transpose(1, 2))
    return out


def quantize(weight: Tensor, form: Format) -> PackedMatrix:
    """Quantize a matrix [n, k] of floats, group by group."""
    groups = weight.float().unflatten(1, (-1, GROUP))
    if form is Format.U8:
        scale = (groups.abs().amax(-1) / 127).half().float()
        q = groups * _inverse(scale)[..., None]
        return pack((q.round_() + 128).clamp_(1, 255).to(torch.uint8).flatten(1), scale, form)
    low, high = groups.amin(-1), groups.amax(-1)
    scale = ((high - low) / 15).half().float()
    minimum = low.half().float()
    q = (groups - minimum[..., None]) * _inverse(scale)[..., None]
    return pack(q.round_().clamp_(0, 15).to(torch.uint8).flatten(1), scale, Format.U4_MIN, minimum)


def _inverse(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, 1 / scale, 0)
