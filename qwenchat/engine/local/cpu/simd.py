"""Sixteen rows of a quantized matrix times a few quantized vectors: the one kernel that all matrix products use.

Written as LLVM IR, since only there the 8-bit dot product instruction of the CPU can be named. Everything is counted
in groups of 32 neighbouring weights, which share a scale, as do 32 neighbouring elements of a vector:

    out[t, r] = sum over groups g of  scale[g, r] * vector_scale[g, t] * sum over k of (q[g, r, k] - zero) * x[g, t, k]

A tile is sixteen rows. Its bytes lie so that one 64-byte load holds four neighbouring k of all sixteen rows.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

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


_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES, _WORDS = ir.VectorType(_I8, 64), ir.VectorType(_I16, 32)
_INTS, _FLOATS = ir.VectorType(_I32, ROWS), ir.VectorType(ir.FloatType(), ROWS)
_HALVES = ir.VectorType(ir.HalfType(), ROWS)
_F32 = ir.FloatType()
_GROUP = ir.VectorType(_F32, GROUP)
_FMA = "llvm.fma.v16f32"


def _features() -> frozenset[str]:
    """What the processor that numba compiles for can do: this one, unless numba was told of another."""
    told = config.CPU_FEATURES  # type: ignore[attr-defined]  # set by name
    listed = get_host_cpu_features() if told is None else told
    return frozenset(name[1:] for name in listed.split(",") if name.startswith("+"))


HAS_VNNI = "avx512vnni" in _features()
RUNS_HERE = not llvmlite.binding.get_process_triple().startswith(("x86_64", "i686")) or "f16c" in _features()
"""Whether the processor turns halves into floats, which the very oldest do not."""


def tile_kernel(form: Format, tokens: int, vnni: bool = HAS_VNNI) -> Callable[..., None]:
    """The kernel for one format and that many vectors at once, to be called from numba code.

    Its arguments are addresses and counts: weights, scales (half), minima (half), x (int8, [k/4, tokens, 4]), scales
    of x (float32, [groups, tokens]), sums of x (int32, [groups, tokens]), out (float32, [tokens, out_stride]),
    out_stride, groups, and add: 0 writes to out, 1 adds to it.
    """

    @intrinsic
    def kernel(_, weights, scales, minima, x, x_scales, x_sums, out, out_stride, groups, add):
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
            _Tile(builder, form, tokens, vnni, args).emit()
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
            partner = ir.Constant(ir.VectorType(_I32, GROUP), [i ^ bit for i in range(GROUP)])
            signs = ir.Constant(_GROUP, [-1.0 if i & bit else 1.0 for i in range(GROUP)])
            x = builder.fadd(builder.shuffle_vector(x, x, partner), builder.fmul(x, signs))
        x = builder.fmul(x, ir.Constant(_GROUP, [GROUP**-0.5] * GROUP))
        builder.store(x, builder.inttoptr(args[0], _GROUP.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def quantize(_, source, inverse, out, stride, flip):
    """Store the 32 float32 at `source`, times `inverse`, rounded to bytes, and return their sum.

    They go to `out` four by four, `stride` bytes apart, with the bits of `flip` turned: 0, or 128 for unsigned ones
    with 128 standing for zero.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, inverse, out, stride, flip) = builder, args
        scaled = b.fmul(_load(b, source, 0, _GROUP, 4), _splat(b, inverse, GROUP))
        q = b.fptosi(_call(b, "llvm.rint.v32f32", _GROUP, [scaled]), ir.VectorType(_I32, GROUP))
        stored = b.xor(b.trunc(q, ir.VectorType(_I8, GROUP)), _splat(b, b.trunc(flip, _I8), GROUP))
        fours = b.bitcast(stored, ir.VectorType(_I32, GROUP // 4))
        for quad in range(GROUP // 4):
            at = b.inttoptr(b.add(out, b.mul(stride, _I64(quad))), _I32.as_pointer())
            b.store(b.extract_element(fours, _I32(quad)), at).align = 1
        return _call(b, "llvm.vector.reduce.add.v32i32", _I32, [q])

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
    ints = ir.VectorType(_I32, GROUP)
    return b.bitcast(b.shl(b.zext(values, ints), ir.Constant(ints, [16] * GROUP)), _GROUP)


floats_of_floats = _widening(_F32, lambda b, values: values)
floats_of_halves = _widening(ir.HalfType(), lambda b, values: b.fpext(values, _GROUP))
floats_of_bf16 = _widening(_I16, _widen_bf16)
floats_of_bytes = _widening(_I8, lambda b, values: b.sitofp(values, _GROUP))


def _call(b: ir.IRBuilder, name: str, result: ir.Type, args: Sequence[ir.Value]) -> ir.Value:
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), args)


def _load(b: ir.IRBuilder, address: ir.Value, offset: int, kind: ir.Type, alignment: int) -> ir.Value:
    value = b.load(b.inttoptr(b.add(address, _I64(offset)), kind.as_pointer()))
    value.align = alignment
    return value


def _splat(b: ir.IRBuilder, value: ir.Value, count: int = ROWS) -> ir.Value:
    """A vector of `count` times the same value."""
    nothing = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    first = b.insert_element(nothing, value, _I32(0))
    return b.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_I32, count), [0] * count))


class _Tile:
    """Emits the instructions of one kernel."""

    def __init__(self, builder: ir.IRBuilder, form: Format, tokens: int, vnni: bool, args: Sequence[ir.Value]) -> None:
        self.b, self.form, self.tokens, self.vnni = builder, form, tokens, vnni
        self.weights, self.scales, self.minima, self.x, self.x_scales, self.x_sums = args[:6]
        self.out, self.out_stride, self.groups, self.add = args[6:]

    def emit(self) -> None:
        b = self.b
        stride = b.mul(self.out_stride, _I64(4))
        addresses = [b.add(self.out, b.mul(stride, _I64(t))) for t in range(self.tokens)]
        adds = b.icmp_signed("!=", self.add, _I64(0))
        totals = []
        for address in addresses:
            begin = b.select(adds, _load(b, address, 0, _FLOATS, 4), ir.Constant(_FLOATS, [0.0] * ROWS))
            totals.append(cgutils.alloca_once_value(b, begin))
        with cgutils.for_range(b, self.groups, intp=_I64) as loop:
            self._group(loop.index, totals)
        for address, total in zip(addresses, totals, strict=True):
            b.store(b.load(total), b.inttoptr(address, _FLOATS.as_pointer())).align = 4

    def _group(self, group: ir.Value, totals: list[ir.Value]) -> None:
        """Add one group's share to the totals."""
        b, n = self.b, self.tokens
        figures = b.mul(group, _I64(4 * n))
        sums = [_splat(b, _load(b, b.add(self.x_sums, figures), 4 * t, _I32, 4)) for t in range(n)]
        zero = ir.Constant(_INTS, [-self.form.zero] * ROWS)
        dots = [b.mul(total, zero) for total in sums]
        x = b.add(self.x, b.mul(group, _I64(GROUP * n)))
        for quad, weights in enumerate(self._quads(group)):
            for t in range(n):
                four = _splat(b, _load(b, x, 4 * (quad * n + t), _I32, 4))
                dots[t] = self._dot4(dots[t], weights, four)
        halves = b.mul(group, _I64(2 * ROWS))
        scale = b.fpext(_load(b, b.add(self.scales, halves), 0, _HALVES, 32), _FLOATS)
        for t in range(n):
            x_scale = _splat(b, _load(b, b.add(self.x_scales, figures), 4 * t, _F32, 4))
            total = _call(b, _FMA, _FLOATS, [b.sitofp(dots[t], _FLOATS), b.fmul(scale, x_scale), b.load(totals[t])])
            if self.form is Format.U4_MIN:
                minimum = b.fpext(_load(b, b.add(self.minima, halves), 0, _HALVES, 32), _FLOATS)
                total = _call(b, _FMA, _FLOATS, [b.sitofp(sums[t], _FLOATS), b.fmul(minimum, x_scale), total])
            b.store(total, totals[t])

    def _quads(self, group: ir.Value) -> list[ir.Value]:
        """The group's weights as eight vectors of [row, four k] unsigned bytes."""
        b = self.b
        at = b.add(self.weights, b.mul(group, _I64(self.form.group_bytes)))
        stored = [_load(b, at, 64 * i, _BYTES, 64) for i in range(self.form.group_bytes // 64)]
        if self.form is Format.U8:
            return stored
        mask, four = ir.Constant(_WORDS, [0x0F0F] * 32), ir.Constant(_WORDS, [4] * 32)
        quads = []
        for both in stored:
            words = b.bitcast(both, _WORDS)
            quads += [b.and_(words, mask), b.and_(b.lshr(words, four), mask)]
        return [b.bitcast(quad, _BYTES) for quad in quads]

    def _dot4(self, total: ir.Value, weights: ir.Value, four: ir.Value) -> ir.Value:
        """Add to each of sixteen integers the dot product of four unsigned with four signed bytes."""
        b = self.b
        if self.vnni:
            return _call(b, "llvm.x86.avx512.vpdpbusd.512", _INTS, [total, weights, b.bitcast(four, _BYTES)])
        eight, low = ir.Constant(_WORDS, [8] * 32), ir.Constant(_WORDS, [255] * 32)
        w, x = b.bitcast(weights, _WORDS), b.bitcast(four, _WORDS)
        for ours, theirs in ((b.and_(w, low), b.ashr(b.shl(x, eight), eight)), (b.lshr(w, eight), b.ashr(x, eight))):
            wide = ir.VectorType(_I32, 32)
            products = b.mul(b.sext(ours, wide), b.sext(theirs, wide))
            even, odd = (ir.Constant(_INTS, list(range(start, 32, 2))) for start in (0, 1))
            total = b.add(total, b.add(*(b.shuffle_vector(products, products, pick) for pick in (even, odd))))
        return total
