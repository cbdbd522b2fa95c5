"""A tile of a quantized matrix times 32 quantized vectors at once, by the matrix unit that newer Xeons have (AMX).

It multiplies groups exactly, and what is done with their sums is what `simd` does with its own, in the same order: the
result is the same to the last bit, whichever of the two comes to it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from qwenchat.engine.local.cpu.layout import GROUP, MATRIX_BLOCK, ROWS, UNIT, UNIT_GROUPS, WeightFormat
from qwenchat.engine.local.cpu.llvm import F16, F32, I8, I32, I64, call, load, multiply_add, splat, store
from qwenchat.engine.local.cpu.processor import MATRIX_UNIT

_FLOATS, _INTS, _HALVES = (ir.VectorType(kind, UNIT) for kind in (F32, I32, F16))
_SQUARE = 4 * UNIT * UNIT
"""Bytes of a square."""
_TOTALS = 4 * UNIT_GROUPS * _SQUARE
"""Where in its room the totals follow the sums."""
_VOID = ir.VoidType()


@intrinsic
def open_unit(_):
    """Tell the unit the shapes of its eight registers: two of vectors, two of weights, four of sums."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        if not MATRIX_UNIT:
            return context.get_dummy_value()
        rows = [16, 16, GROUP // 4, GROUP // 4, 16, 16, 16, 16]
        columns = [GROUP, GROUP] + [64] * 6
        numbers = [1] + [0] * 15 + [byte for size in columns for byte in (size, 0)] + [0] * 16 + rows + [0] * 8
        shapes = cgutils.alloca_once_value(b, ir.Constant(ir.VectorType(I8, 64), numbers))
        call(b, "llvm.x86.ldtilecfg", _VOID, b.bitcast(shapes, I8.as_pointer()))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def close_unit(_):
    """Give its registers up, so that the system need not keep them."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        if MATRIX_UNIT:
            call(b, "llvm.x86.tilerelease", _VOID)
        return context.get_dummy_value()

    return types.void(), generate


def matrix_kernel(form: WeightFormat) -> Callable[..., None]:
    """The kernel for one format, with the arguments of `tile_kernel` and the address of a room of ROOM_BYTES.

    Its weights are signed bytes, as `unpacking` of `simd` makes them; x is [groups, 32, 32].
    """

    @intrinsic
    def kernel(_, weights, scales, minima, x, x_scales, x_sums, out, out_stride, groups, add, room):
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
            if MATRIX_UNIT:
                _Product(builder, form, args).emit()
            return context.get_dummy_value()

        return types.void(*[types.int64] * 11), generate

    return kernel


class _Product:
    """Emits the instructions of one kernel: in turn the unit multiplies a few groups, and their sums are scaled."""

    def __init__(self, builder: ir.IRBuilder, form: WeightFormat, args: Sequence[ir.Value]) -> None:
        self.b, self.form = builder, form
        self.weights, self.scales, self.minima, self.x, self.x_scales, self.x_sums = args[:6]
        self.out, self.out_stride, self.groups, self.add, self.room = args[6:]
        self.totals = builder.add(self.room, I64(_TOTALS))

    def emit(self) -> None:
        """Emit all."""
        b = self.b
        with b.if_else(b.icmp_signed("!=", self.add, I64(0))) as (adds, begins):
            with adds:
                for place, offset, total in self._parts():
                    store(b, load(b, place, offset, _FLOATS, 4), self.totals, total)
            with begins:
                for _, _, total in self._parts():
                    store(b, ir.Constant(_FLOATS, [0.0] * UNIT), self.totals, total)
        left = b.srem(self.groups, I64(UNIT_GROUPS))
        whole = b.sub(self.groups, left)
        with cgutils.for_range(b, b.sdiv(whole, I64(UNIT_GROUPS)), intp=I64) as loop:
            self._turn(b.mul(loop.index, I64(UNIT_GROUPS)), UNIT_GROUPS)
        with cgutils.for_range(b, left, intp=I64) as loop:
            self._turn(b.add(whole, loop.index), 1)
        for place, offset, total in self._parts():
            store(b, load(b, self.totals, total, _FLOATS, 4), place, offset)

    def _parts(self) -> Iterator[tuple[ir.Value, int, int]]:
        """Where each half row of the output and its totals are: an address, an offset to that, one to the totals."""
        stride = self.b.mul(self.out_stride, I64(4))
        for vector in range(MATRIX_BLOCK):
            place = self.b.add(self.out, self.b.mul(stride, I64(vector)))
            for row in range(0, ROWS, UNIT):
                yield place, 4 * row, 4 * (vector * ROWS + row)

    def _turn(self, first: ir.Value, count: int) -> None:
        """Add to the totals what some groups from `first` on contribute to them."""
        groups = [self.b.add(first, I64(at)) for at in range(count)]
        for at, group in enumerate(groups):
            self._multiply(group, at)
        for square in range(4):
            self._scale(groups, square)

    def _multiply(self, group: ir.Value, at: int) -> None:
        """Have the unit make the sums of a group."""
        b = self.b
        weights = b.add(self.weights, b.mul(group, I64(GROUP * ROWS)))
        x = b.add(self.x, b.mul(group, I64(GROUP * MATRIX_BLOCK)))
        for half in range(2):
            self._move("llvm.x86.tileloadd64", half, b.add(x, I64(GROUP * UNIT * half)), GROUP)
            for rows in range(2):
                if not half:
                    at_rows = b.add(weights, I64(4 * UNIT * rows))
                    self._move("llvm.x86.tileloadd64", 2 + rows, at_rows, 4 * ROWS)
                sums = I8(4 + 2 * half + rows)
                call(b, "llvm.x86.tilezero", _VOID, sums)
                call(b, "llvm.x86.tdpbssd", _VOID, sums, I8(half), I8(2 + rows))
        for square in range(4):
            room = b.add(self.room, I64((square * UNIT_GROUPS + at) * _SQUARE))
            self._move("llvm.x86.tilestored64", 4 + square, room, 4 * UNIT)

    def _move(self, name: str, register: int, address: ir.Value, stride: int) -> None:
        call(self.b, name, _VOID, I8(register), self.b.inttoptr(address, I8.as_pointer()), I64(stride))

    def _scale(self, groups: list[ir.Value], square: int) -> None:
        """Scale the sums of some groups in a square, and add them to its totals."""
        b, row, vector = self.b, UNIT * (square % 2), UNIT * (square // 2)
        places = [4 * ((vector + t) * ROWS + row) for t in range(UNIT)]
        totals = [load(b, self.totals, place, _FLOATS, 4) for place in places]
        for at, group in enumerate(groups):
            sums = b.add(self.room, I64((square * UNIT_GROUPS + at) * _SQUARE))
            figures = b.add(b.mul(group, I64(4 * MATRIX_BLOCK)), I64(4 * vector))
            scale = self._figures(self.scales, group, row)
            for t in range(UNIT):
                dots = b.sitofp(load(b, sums, 4 * UNIT * t, _INTS, 4), _FLOATS)
                factor = b.fmul(scale, self._splat(self.x_scales, figures, t, F32))
                totals[t] = multiply_add(b, dots, factor, totals[t])
            if self.form is WeightFormat.U4_MIN:
                part = ir.Constant(_FLOATS, [-1 / 128] * UNIT)
                minimum = b.fmul(self._figures(self.minima, group, row), part)
                for t in range(UNIT):
                    summed = b.sitofp(self._splat(self.x_sums, figures, t, I32), _FLOATS)
                    factor = b.fmul(minimum, self._splat(self.x_scales, figures, t, F32))
                    totals[t] = multiply_add(b, summed, factor, totals[t])
        for total, place in zip(totals, places, strict=True):
            store(b, total, self.totals, place)

    def _figures(self, of_all: ir.Value, group: ir.Value, row: int) -> ir.Value:
        """The halves that belong to the group in the rows from `row` on, as floats."""
        at = self.b.add(of_all, self.b.mul(group, I64(2 * ROWS)))
        return self.b.fpext(load(self.b, at, 2 * row, _HALVES, 2 * UNIT), _FLOATS)

    def _splat(self, of_all: ir.Value, figures: ir.Value, vector: int, kind: ir.Type) -> ir.Value:
        return splat(self.b, load(self.b, self.b.add(of_all, figures), 4 * vector, kind, 4), UNIT)
