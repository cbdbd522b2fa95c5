"""Sixteen rows of a quantized matrix times a few quantized vectors: the one kernel that all matrix products use.

Written as LLVM IR, since only there the processor's dot product instructions (see `dot`) can be named. Everything is
counted in groups of 32 neighbouring weights, which share a scale, as do 32 neighbouring elements of a vector:

    out[t, r] = sum over groups g of  scale[g, r] * vector_scale[g, t] * sum over k of (q[g, r, k] - zero) * x[g, t, k]

A tile is sixteen rows. Its bytes lie so that one 64-byte load holds four neighbouring k of all sixteen rows.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from qwenchat.engine.local.cpu.dot import I8, I16, I32, Dot, best_dot, features

GROUP = 32
"""Weights that share a scale."""
ROWS = 16
"""Rows of a tile."""


class Format(IntEnum):
    """How the weights of a matrix are stored."""

    U8 = 1
    """Unsigned bytes, 128 standing for zero."""
    U4 = 2
    """Four bits, 8 standing for zero; the low half of a byte holds the first four of eight k."""
    U4_MIN = 3
    """Four bits, 0 standing for the group's minimum, which is stored beside the scale."""

    @property
    def group_bytes(self) -> int:
        """Bytes of one group of one tile, scales not counted."""
        return GROUP * ROWS // (1 if self is Format.U8 else 2)

    @property
    def zero(self) -> int:
        """The stored value that stands for zero."""
        return {Format.U8: 128, Format.U4: 8, Format.U4_MIN: 0}[self]


_I64, _F32 = ir.IntType(64), ir.FloatType()
_GROUP = ir.VectorType(_F32, GROUP)


BEST_DOT = best_dot(features())
RUNS_HERE = not llvmlite.binding.get_process_triple().startswith(("x86_64", "i686")) or "f16c" in features()
"""Whether the processor turns halves into floats, which the very oldest do not."""


def tile_kernel(form: Format, tokens: int, dot: Dot = BEST_DOT) -> Callable[..., None]:
    """The kernel for one format and that many vectors at once, to be called from numba code.

    Its arguments are addresses and counts: weights, scales (half), minima (half), x (int8, [k/4, tokens, 4]), scales
    of x (float32, [groups, tokens]), sums of x times -128 (int32, [groups, tokens]), out (float32, [tokens,
    out_stride]), out_stride, groups, and add: 0 writes to out, 1 adds to it.
    """

    @intrinsic
    def kernel(_, weights, scales, minima, x, x_scales, x_sums, out, out_stride, groups, add):
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
            _Tile(builder, form, tokens, dot, args).emit()
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), generate

    return kernel


@intrinsic
def largest(_, source):
    """The largest absolute value of the 32 float32 at an address; NaN if there is one among them."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        magnitude = _call(builder, "llvm.fabs.v32f32", _GROUP, [_load(builder, args[0], 0, _GROUP, 4)])
        return _call(builder, "llvm.vector.reduce.fmaximum.v32f32", _F32, [magnitude])

    return types.float32(types.int64), generate


@intrinsic
def total_of(_, source, groups):
    """The sum of the float32 at an address, added up in an order that groups of zeros at the end do not change."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, groups) = builder, args
        sums = cgutils.alloca_once_value(b, ir.Constant(_GROUP, [0.0] * GROUP))
        with cgutils.for_range(b, groups, intp=_I64) as loop:
            values = _load(b, b.add(source, b.mul(loop.index, _I64(4 * GROUP))), 0, _GROUP, 4)
            b.store(b.fadd(b.load(sums), values), sums)
        return _call(b, "llvm.vector.reduce.fadd.v32f32", _F32, [ir.Constant(_F32, 0.0), b.load(sums)])

    return types.float32(types.int64, types.int64), generate


@intrinsic
def spread(_, source):
    """Multiply the 32 float32 at an address by the orthonormal Hadamard matrix, which is its own inverse.

    Products of two vectors stay as they are, but no element stands out any more that would take the precision of the
    others when they are quantized together (QuaRot, arXiv:2404.00456).
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        x = _load(builder, args[0], 0, _GROUP, 4)
        for bit in (1, 2, 4, 8, 16):
            partner = ir.Constant(ir.VectorType(I32, GROUP), [i ^ bit for i in range(GROUP)])
            signs = ir.Constant(_GROUP, [-1.0 if i & bit else 1.0 for i in range(GROUP)])
            x = builder.fadd(builder.shuffle_vector(x, x, partner), builder.fmul(x, signs))
        x = builder.fmul(x, ir.Constant(_GROUP, [GROUP**-0.5] * GROUP))
        builder.store(x, builder.inttoptr(args[0], _GROUP.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def quantize(_, source, inverse, out, stride, flip):
    """Store the 32 float32 at `source`, times `inverse`, rounded to bytes, and return their sum times -128.

    They go to `out` four by four, `stride` bytes apart, with the bits of `flip` turned: 0, or 128 for unsigned ones
    with 128 standing for zero.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, inverse, out, stride, flip) = builder, args
        scaled = b.fmul(_load(b, source, 0, _GROUP, 4), _splat(b, inverse, GROUP))
        q = b.fptosi(_call(b, "llvm.rint.v32f32", _GROUP, [scaled]), ir.VectorType(I32, GROUP))
        stored = b.xor(b.trunc(q, ir.VectorType(I8, GROUP)), _splat(b, b.trunc(flip, I8), GROUP))
        fours = b.bitcast(stored, ir.VectorType(I32, GROUP // 4))
        for quad in range(GROUP // 4):
            at = b.inttoptr(b.add(out, b.mul(stride, _I64(quad))), I32.as_pointer())
            b.store(b.extract_element(fours, I32(quad)), at).align = 1
        return b.mul(_call(b, "llvm.vector.reduce.add.v32i32", I32, [q]), I32(-128))

    return types.int32(types.int64, types.float32, types.int64, types.int64, types.int64), generate


def _widening(element: ir.Type, widen: Callable[[ir.IRBuilder, ir.Value], ir.Value]) -> Any:
    """Code that turns the 32 elements at one address into float32 at another."""

    @intrinsic
    def kernel(_, source, out):
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
            values = widen(builder, _load(builder, args[0], 0, ir.VectorType(element, GROUP), 1))
            builder.store(values, builder.inttoptr(args[1], _GROUP.as_pointer())).align = 4
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return kernel


def _widen_bf16(b: ir.IRBuilder, values: ir.Value) -> ir.Value:
    ints = ir.VectorType(I32, GROUP)
    return b.bitcast(b.shl(b.zext(values, ints), ir.Constant(ints, [16] * GROUP)), _GROUP)


floats_of_floats = _widening(_F32, lambda b, values: values)
floats_of_halves = _widening(ir.HalfType(), lambda b, values: b.fpext(values, _GROUP))
floats_of_bf16 = _widening(I16, _widen_bf16)
floats_of_bytes = _widening(I8, lambda b, values: b.sitofp(values, _GROUP))


def _call(b: ir.IRBuilder, name: str, result: ir.Type, args: Sequence[ir.Value]) -> ir.Value:
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), args)


def _load(b: ir.IRBuilder, address: ir.Value, offset: int, kind: ir.Type, alignment: int) -> ir.Value:
    value = b.load(b.inttoptr(b.add(address, _I64(offset)), kind.as_pointer()))
    value.align = alignment
    return value


def _store(b: ir.IRBuilder, value: ir.Value, address: ir.Value, offset: int) -> None:
    b.store(value, b.inttoptr(b.add(address, _I64(offset)), value.type.as_pointer())).align = 4


def _splat(b: ir.IRBuilder, value: ir.Value, count: int) -> ir.Value:
    """A vector of `count` times the same value."""
    nothing = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    first = b.insert_element(nothing, value, I32(0))
    return b.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(I32, count), [0] * count))


class _Tile:
    """Emits the instructions of one kernel: some of the rows after the others, where the registers hold no more."""

    def __init__(self, builder: ir.IRBuilder, form: Format, tokens: int, dot: Dot, args: Sequence[ir.Value]) -> None:
        self.b, self.form, self.tokens, self.dot = builder, form, tokens, dot
        self.weights, self.scales, self.minima, self.x, self.x_scales, self.x_sums = args[:6]
        self.out, self.out_stride, self.groups, self.add = args[6:]
        self.turned = dot.signed and form is Format.U8
        lanes = dot.lanes
        self.bytes, self.ints = ir.VectorType(I8, 4 * lanes), ir.VectorType(I32, lanes)
        self.floats, self.halves = ir.VectorType(_F32, lanes), ir.VectorType(ir.HalfType(), lanes)

    def emit(self) -> None:
        """Emit all."""
        lanes = self.dot.lanes
        together = lanes * max(1, self.dot.sums // self.tokens)
        for first in range(0, ROWS, together):
            self._rows(range(first, min(first + together, ROWS), lanes))

    def _rows(self, parts: range) -> None:
        """Emit the product of some rows, `parts` telling with which each vector of them begins."""
        b = self.b
        stride = b.mul(self.out_stride, _I64(4))
        adds = b.icmp_signed("!=", self.add, _I64(0))
        places = [(b.add(self.out, b.mul(stride, _I64(t))), 4 * first) for first in parts for t in range(self.tokens)]
        totals = []
        for address, offset in places:
            nothing = ir.Constant(self.floats, [0.0] * self.dot.lanes)
            begin = b.select(adds, _load(b, address, offset, self.floats, 4), nothing)
            totals.append(cgutils.alloca_once_value(b, begin))
        with cgutils.for_range(b, self.groups, intp=_I64) as loop:
            for at, first in enumerate(parts):
                self._group(loop.index, first, totals[at * self.tokens : (at + 1) * self.tokens])
        for (address, offset), total in zip(places, totals, strict=True):
            _store(b, b.load(total), address, offset)

    def _group(self, group: ir.Value, first: int, totals: list[ir.Value]) -> None:
        """Add one group's share to the totals of the rows from `first` on."""
        b, n, lanes = self.b, self.tokens, self.dot.lanes
        figures = b.mul(group, _I64(4 * n))
        x_sums = [_splat(b, _load(b, b.add(self.x_sums, figures), 4 * t, I32, 4), lanes) for t in range(n)]
        small = self.form is not Format.U8
        sums = [self.dot.new_sum(b, self._start(x_sum), small) for x_sum in x_sums]
        x = b.add(self.x, b.mul(group, _I64(GROUP * n)))
        for quad, weights in enumerate(self._quads(group, first)):
            for t in range(n):
                sums[t].add(weights, _splat(b, _load(b, x, 4 * (quad * n + t), I32, 4), lanes))
        halves = b.mul(group, _I64(2 * ROWS))
        scale = b.fpext(_load(b, b.add(self.scales, halves), 2 * first, self.halves, 2 * lanes), self.floats)
        if self.form is Format.U4_MIN:
            minimum = b.fpext(_load(b, b.add(self.minima, halves), 2 * first, self.halves, 2 * lanes), self.floats)
            minimum = b.fmul(minimum, ir.Constant(self.floats, [-1 / 128] * lanes))
        for t in range(n):
            x_scale = _splat(b, _load(b, b.add(self.x_scales, figures), 4 * t, _F32, 4), lanes)
            dots = b.sitofp(sums[t].total(), self.floats)
            total = self._multiply_add(dots, b.fmul(scale, x_scale), b.load(totals[t]))
            if self.form is Format.U4_MIN:
                weighted = b.fmul(minimum, x_scale)
                total = self._multiply_add(b.sitofp(x_sums[t], self.floats), weighted, total)
            b.store(total, totals[t])

    def _start(self, x_sum: ir.Value) -> ir.Value:
        """What the products begin with, to make up for what stands for zero: that is 128, 8 or 0 times the sum of x."""
        if self.form is Format.U4:
            return self.b.ashr(x_sum, ir.Constant(self.ints, [4] * self.dot.lanes))
        return x_sum if self.form is Format.U8 and not self.turned else ir.Constant(self.ints, [0] * self.dot.lanes)

    def _quads(self, group: ir.Value, first: int) -> list[ir.Value]:
        """The group's weights in the rows from `first` on, as eight vectors of [row, four k] bytes."""
        b, size = self.b, 4 * self.dot.lanes
        at = b.add(self.weights, b.mul(group, _I64(self.form.group_bytes)))
        whole = 4 * ROWS
        stored = [_load(b, at, whole * i + 4 * first, self.bytes, size) for i in range(self.form.group_bytes // whole)]
        if self.form is Format.U8:
            turn = ir.Constant(self.bytes, [128] * size)
            return [b.xor(quad, turn) for quad in stored] if self.turned else stored
        words = ir.VectorType(I16, size // 2)
        mask, four = ir.Constant(words, [0x0F0F] * words.count), ir.Constant(words, [4] * words.count)
        quads = []
        for both in stored:
            pairs = b.bitcast(both, words)
            quads += [b.and_(pairs, mask), b.and_(b.lshr(pairs, four), mask)]
        return [b.bitcast(quad, self.bytes) for quad in quads]

    def _multiply_add(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        return _call(self.b, f"llvm.fma.v{self.dot.lanes}f32", self.floats, [x, y, z])
