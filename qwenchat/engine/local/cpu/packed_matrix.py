"""A matrix of weights as the native code reads it."""

from dataclasses import dataclass

import numpy as np

from qwenchat.engine.local.cpu.layout import GROUP, ROWS, WeightFormat


@dataclass(frozen=True, slots=True)
class PackedMatrix:
    """A matrix [rows, columns] in tiles of 32 rows and groups of 32 columns; rows are filled up with zeros."""

    form: WeightFormat
    rows: int
    columns: int
    weights: np.ndarray
    """uint8, [tile, group, quads of columns, row, 4], two to a byte for the 4-bit formats."""
    scales: np.ndarray
    """float16, [tile, group, row]."""
    minima: np.ndarray
    """float16, [tile, group, row]; empty but for U4_MIN."""
    known_finite: bool = False
    """Whether somebody has looked already."""

    @staticmethod
    def sizes(form: WeightFormat, rows: int, columns: int) -> tuple[int, int, int]:
        """How many elements the weights, scales and minima of such a matrix have."""
        groups = -(-rows // ROWS) * (columns // GROUP)
        return groups * form.group_bytes, groups * ROWS, groups * ROWS if form is WeightFormat.U4_MIN else 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def table_row(self) -> list[int]:
        """The matrix as `linear` wants it: format, addresses of weights, scales and minima, tiles, groups."""
        addresses = [array.ctypes.data for array in (self.weights, self.scales, self.minima)]
        return [int(self.form), *addresses, -(-self.rows // ROWS), self.columns // GROUP]

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.weights.nbytes + self.scales.nbytes + self.minima.nbytes

    @property
    def finite(self) -> bool:
        """Whether it was made of finite numbers."""
        return self.known_finite or bool(np.isfinite(self.scales).all() and np.isfinite(self.minima).all())

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Some rows as float32 [n, columns]."""
        tile, lane, groups = rows // ROWS, rows % ROWS, self.columns // GROUP
        scales = self.scales.reshape(-1, groups, ROWS)[tile, :, lane].astype(np.float32)
        if self.form is WeightFormat.U8:
            q = self.weights.reshape(-1, groups, GROUP // 4, ROWS, 4)[tile, :, :, lane]
        else:
            both = self.weights.reshape(-1, groups, GROUP // 8, 1, ROWS, 4)[tile, :, :, :, lane]
            q = np.concatenate([both & 15, both >> 4], axis=3)
        values = (q.reshape(len(rows), groups, GROUP).astype(np.float32) - self.form.zero) * scales[..., None]
        if self.form is WeightFormat.U4_MIN:
            values += self.minima.reshape(-1, groups, ROWS)[tile, :, lane].astype(np.float32)[..., None]
        return values.reshape(len(rows), self.columns)
