"""Some rows of a quantized matrix times a few quantized vectors: the one kernel that all matrix products use.

Written as LLVM IR, since only there the processor's dot product instructions (see `dot`) can be named. Everything is
counted in groups of 32 neighbouring weights, which share a scale, as do 32 neighbouring elements of a vector:

    out[t, r] = sum over groups g of  scale[g, r] * vector_scale[g, t] * sum over k of (q[g, r, k] - zero) * x[g, t, k]

A tile is 32 rows. Its bytes lie so that one load holds four neighbouring k of as many rows as a vector has lanes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from qwenchat.engine.local.cpu.dot import DotProduct, best_dot
from qwenchat.engine.local.cpu.layout import GROUP, ROWS, WeightFormat
from qwenchat.engine.local.cpu.llvm import F16, F32, I8, I16, I32, I64, call, load, multiply_add, splat, store
from qwenchat.engine.local.cpu.processor import features

_AHEAD = 4096
"""Bytes of weights that are fetched before their turn while they are read as fast as memory gives them."""


BEST_DOT = best_dot(features())


def tile_kernel(form: WeightFormat, tokens: int, dot: DotProduct = BEST_DOT) -> Callable[..., None]:
    """The kernel for one format and that many vectors at once, to be called from numba code.

    Its arguments are addresses and counts: weights, scales (half), minima (half), x (int8, [groups, tokens, 32]),
    scales of x (float32, [groups, tokens]), sums of x times -128 (int32, [groups, tokens]), out (float32, [tokens,
    out_stride]), out_stride, groups, and add: 0 writes to out, 1 adds to it.
    """

    @intrinsic
    def kernel(_, weights, scales, minima, x, x_scales, x_sums, out, out_stride, groups, add):
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
            _Tile(builder, form, tokens, dot, args).emit()
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), generate

    return kernel


class _Tile:
    """Emits the instructions of one kernel: some of the rows after the others, where the registers hold no more."""

    def __init__(
        self, builder: ir.IRBuilder, form: WeightFormat, tokens: int, dot: DotProduct, args: Sequence[ir.Value]
    ) -> None:
        self.b, self.form, self.tokens, self.dot = builder, form, tokens, dot
        self.weights, self.scales, self.minima, self.x, self.x_scales, self.x_sums = args[:6]
        self.out, self.out_stride, self.groups, self.add = args[6:]
        self.turned = dot.signed and form is WeightFormat.U8
        lanes = dot.lanes
        self.bytes, self.ints = ir.VectorType(I8, 4 * lanes), ir.VectorType(I32, lanes)
        self.floats, self.halves = ir.VectorType(F32, lanes), ir.VectorType(F16, lanes)

    def emit(self) -> None:
        """Emit all."""
        lanes = self.dot.lanes
        together = lanes * max(1, self.dot.sums // self.tokens)
        for first in range(0, ROWS, together):
            self._rows(range(first, min(first + together, ROWS), lanes))

    def _rows(self, parts: range) -> None:
        """Emit the product of some rows, `parts` telling with which each vector of them begins."""
        b = self.b
        stride = b.mul(self.out_stride, I64(4))
        adds = b.icmp_signed("!=", self.add, I64(0))
        places = {(first, t): b.add(self.out, b.mul(stride, I64(t))) for first in parts for t in range(self.tokens)}
        totals = {}
        for (first, t), address in places.items():
            nothing = ir.Constant(self.floats, [0.0] * self.dot.lanes)
            begin = b.select(adds, load(b, address, 4 * first, self.floats, 4), nothing)
            totals[first, t] = cgutils.alloca_once_value(b, begin)
        with cgutils.for_range(b, self.groups, intp=I64) as loop:
            self._group(loop.index, parts, totals)
        for (first, t), address in places.items():
            store(b, b.load(totals[first, t]), address, 4 * first)

    def _group(self, group: ir.Value, parts: range, totals: dict[tuple[int, int], ir.Value]) -> None:
        """Add one group's share to the totals of some rows."""
        b, n, lanes = self.b, self.tokens, self.dot.lanes
        if n == 1:
            self._fetch(group)
        figures = b.mul(group, I64(4 * n))
        x_sums = [splat(b, load(b, b.add(self.x_sums, figures), 4 * t, I32, 4), lanes) for t in range(n)]
        small = self.form is not WeightFormat.U8
        sums = {(first, t): self.dot.new_sum(b, self._start(x_sums[t]), small) for first, t in totals}
        x = b.add(self.x, b.mul(group, I64(GROUP * n)))
        for quad, weights in enumerate(zip(*(self._quads(group, first) for first in parts), strict=True)):
            for t in range(n):
                four = splat(b, load(b, x, GROUP * t + 4 * quad, I32, 4), lanes)
                for first, rows in zip(parts, weights, strict=True):
                    sums[first, t].add(rows, four)
        x_scales = [splat(b, load(b, b.add(self.x_scales, figures), 4 * t, F32, 4), lanes) for t in range(n)]
        for first in parts:
            scale = self._figures(self.scales, group, first)
            for t in range(n):
                dots = b.sitofp(sums[first, t].total(), self.floats)
                total = multiply_add(b, dots, b.fmul(scale, x_scales[t]), b.load(totals[first, t]))
                b.store(total, totals[first, t])
            if self.form is WeightFormat.U4_MIN:
                minimum = b.fmul(self._figures(self.minima, group, first), ir.Constant(self.floats, [-1 / 128] * lanes))
                for t in range(n):
                    summed = b.sitofp(x_sums[t], self.floats)
                    total = multiply_add(b, summed, b.fmul(minimum, x_scales[t]), b.load(totals[first, t]))
                    b.store(total, totals[first, t])

    def _fetch(self, group: ir.Value) -> None:
        """Have what a later group needs brought from memory; the processor by itself looks less far ahead."""
        b, size = self.b, self.form.group_bytes
        weights = b.add(b.add(self.weights, b.mul(group, I64(size))), I64(_AHEAD))
        scales = b.add(b.add(self.scales, b.mul(group, I64(2 * ROWS))), I64(_AHEAD // size * 2 * ROWS))
        lines = [b.add(weights, I64(line)) for line in range(0, size, 64)]
        for at in [*lines, scales]:
            call(b, "llvm.prefetch.p0", ir.VoidType(), b.inttoptr(at, I8.as_pointer()), I32(0), I32(3), I32(1))

    def _figures(self, of_all: ir.Value, group: ir.Value, first: int) -> ir.Value:
        """The halves that belong to the group in the rows from `first` on, as floats."""
        b, lanes = self.b, self.dot.lanes
        at = b.add(of_all, b.mul(group, I64(2 * ROWS)))
        return b.fpext(load(b, at, 2 * first, self.halves, 2 * lanes), self.floats)

    def _start(self, x_sum: ir.Value) -> ir.Value:
        """What the products begin with, to make up for what stands for zero: that is 128, 8 or 0 times the sum of x."""
        if self.form is WeightFormat.U4:
            return self.b.ashr(x_sum, ir.Constant(self.ints, [4] * self.dot.lanes))
        return (
            x_sum if self.form is WeightFormat.U8 and not self.turned else ir.Constant(self.ints, [0] * self.dot.lanes)
        )

    def _quads(self, group: ir.Value, first: int) -> Iterator[ir.Value]:
        """The group's weights in the rows from `first` on: eight vectors of [row, four k] bytes, one by one."""
        b = self.b
        at = b.add(self.weights, b.mul(group, I64(self.form.group_bytes)))
        for stored in _stored(b, self.form, self.dot, at, first):
            yield b.xor(stored, ir.Constant(self.bytes, [128] * 4 * self.dot.lanes)) if self.turned else stored


def _stored(b: ir.IRBuilder, form: WeightFormat, dot: DotProduct, group: ir.Value, first: int) -> Iterator[ir.Value]:
    """The weights of the group at an address in the rows from `first` on: eight vectors of [row, four k] bytes."""
    lanes = dot.lanes
    kind, pairs = ir.VectorType(I8, 4 * lanes), ir.VectorType(I16, 2 * lanes)
    for begin in range(4 * first, form.group_bytes, 4 * ROWS):
        stored = load(b, group, begin, kind, 4 * lanes)
        if form is WeightFormat.U8:
            yield stored
            continue
        mask, four = (ir.Constant(pairs, [number] * 2 * lanes) for number in (0x0F0F, 4))
        yield b.bitcast(b.and_(b.bitcast(stored, pairs), mask), kind)
        yield b.bitcast(b.and_(b.lshr(b.bitcast(stored, pairs), four), mask), kind)


def unpacking(form: WeightFormat, dot: DotProduct = BEST_DOT) -> Callable[..., None]:
    """What makes signed bytes, zero standing for zero, of a tile: [groups, 8, 32, 4] of four neighbouring k of a row.

    Its arguments are the address of the weights, how many groups there are, and where the bytes are to go.
    """

    @intrinsic
    def kernel(_, weights, groups, out):
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
            b, (weights, groups, out) = builder, args
            zero = ir.Constant(ir.VectorType(I8, 4 * dot.lanes), [form.zero] * 4 * dot.lanes)
            with cgutils.for_range(b, groups, intp=I64) as loop:
                group = b.add(weights, b.mul(loop.index, I64(form.group_bytes)))
                to = b.add(out, b.mul(loop.index, I64(GROUP * ROWS)))
                for first in range(0, ROWS, dot.lanes):
                    for quad, stored in enumerate(_stored(b, form, dot, group, first)):
                        store(b, b.sub(stored, zero), to, 4 * (quad * ROWS + first))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 3), generate

    return kernel
