"""What is done with 32 neighbouring numbers at once, which is how many share a scale when they are quantized."""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from qwenchat.engine.local.cpu.layout import GROUP
from qwenchat.engine.local.cpu.llvm import F16, F32, I8, I16, I32, I64, call, load, multiply_add, splat, store

_FLOATS, _INTS, _BYTES = (ir.VectorType(kind, GROUP) for kind in (F32, I32, I8))
_HALF = ir.VectorType(F32, GROUP // 2)


def _all(number: float) -> ir.Constant:
    return ir.Constant(_FLOATS, [number] * GROUP)


@intrinsic
def largest(_, source):
    """The largest absolute value of the 32 float32 at an address; NaN if there is one among them."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b = builder
        # Without the sign, the bits of floats are in the order of the floats, NaN last.
        bits = b.and_(load(b, args[0], 0, _INTS, 4), ir.Constant(_INTS, [0x7FFFFFFF] * GROUP))
        return b.bitcast(call(b, "llvm.vector.reduce.umax.v32i32", I32, bits), F32)

    return types.float32(types.int64), generate


@intrinsic
def total_of(_, source, groups):
    """The sum of the float32 at an address, added up in an order that groups of zeros at the end do not change."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, groups) = builder, args
        sums = cgutils.alloca_once_value(b, ir.Constant(_FLOATS, [0.0] * GROUP))
        with cgutils.for_range(b, groups, intp=I64) as loop:
            b.store(b.fadd(b.load(sums), load(b, _nth(b, source, loop.index), 0, _FLOATS, 4)), sums)
        nothing = ir.Constant(F32, 0.0)
        return call(b, "llvm.vector.reduce.fadd.v32f32", F32, nothing, b.load(sums), fastmath=["reassoc"])

    return types.float32(types.int64, types.int64), generate


@intrinsic
def highest(_, source, groups):
    """The largest of the float32 at an address, those that are NaN left out unless there is nothing else."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, groups) = builder, args
        top = cgutils.alloca_once_value(b, load(b, source, 0, _FLOATS, 4))
        with cgutils.for_range(b, groups, intp=I64) as loop:
            b.store(_larger(b, load(b, _nth(b, source, loop.index), 0, _FLOATS, 4), b.load(top)), top)
        return call(b, "llvm.vector.reduce.fmax.v32f32", F32, b.load(top), fastmath=["nnan"])

    return types.float32(types.int64, types.int64), generate


@intrinsic
def exponentials(_, source, top, groups):
    """Make of each float32 at an address e to the power of how far it is from `top`, at least e^-87."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, top, groups) = builder, args
        with cgutils.for_range(b, groups, intp=I64) as loop:
            at = _nth(b, source, loop.index)
            store(b, _exp(b, b.fsub(load(b, at, 0, _FLOATS, 4), splat(b, top, GROUP))), at, 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32, types.int64), generate


@intrinsic
def multiply_all(_, source, factors, groups):
    """Multiply each float32 at `source` by its own at `factors`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, factors, groups) = builder, args
        with cgutils.for_range(b, groups, intp=I64) as loop:
            at, factor = (_nth(b, begin, loop.index) for begin in (source, factors))
            store(b, b.fmul(load(b, at, 0, _FLOATS, 4), load(b, factor, 0, _FLOATS, 4)), at, 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def gate(_, source, other):
    """SwiGLU (arXiv:2002.05202): x / (1 + e^-x) of the 32 float32 at `source`, times those at `other`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, other) = builder, args
        x, times = (load(b, at, 0, _FLOATS, 4) for at in (source, other))
        store(b, b.fmul(b.fdiv(x, b.fadd(_exp(b, b.fneg(x)), _all(1.0))), times), source, 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def hadamard(_, source):
    """Multiply the 32 float32 at an address by the orthonormal Hadamard matrix, which is its own inverse.

    Products of two vectors stay as they are, but no element stands out any more that would take the precision of the
    others when they are quantized together (QuaRot, arXiv:2404.00456).
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        x = load(builder, args[0], 0, _FLOATS, 4)
        for bit in (1, 2, 4, 8, 16):
            partner = ir.Constant(_INTS, [i ^ bit for i in range(GROUP)])
            signs = ir.Constant(_FLOATS, [-1.0 if i & bit else 1.0 for i in range(GROUP)])
            x = builder.fadd(builder.shuffle_vector(x, x, partner), builder.fmul(x, signs))
        x = builder.fmul(x, ir.Constant(_FLOATS, [GROUP**-0.5] * GROUP))
        store(builder, x, args[0], 0)
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def rotate(_, first, second, cosines, sines):
    """Turn the 16 points whose coordinates are the float32 at `first` and at `second` by angles."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (first, second) = builder, args[:2]
        x, y, cosines, sines = (load(b, at, 0, _HALF, 4) for at in args)
        store(b, b.fsub(b.fmul(x, cosines), b.fmul(y, sines)), first, 0)
        store(b, b.fadd(b.fmul(y, cosines), b.fmul(x, sines)), second, 0)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def quantize(_, source, inverse, out):
    """Store the 32 float32 at `source`, times `inverse`, rounded to bytes, and return their sum times -128."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, inverse, out) = builder, args
        q = _rounded(b, source, inverse)
        store(b, b.trunc(q, _BYTES), out, 0)
        return b.mul(call(b, "llvm.vector.reduce.add.v32i32", I32, q), I32(-128))

    return types.int32(types.int64, types.float32, types.int64), generate


@intrinsic
def quantize_apart(_, source, inverse, out, stride):
    """Store the 32 float32 at `source`, times `inverse`, rounded to unsigned bytes with 128 standing for zero.

    They go to `out` four by four, `stride` bytes apart.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, inverse, out, stride) = builder, args
        stored = b.xor(b.trunc(_rounded(b, source, inverse), _BYTES), ir.Constant(_BYTES, [128] * GROUP))
        fours = b.bitcast(stored, ir.VectorType(I32, GROUP // 4))
        for quad in range(GROUP // 4):
            store(b, b.extract_element(fours, I32(quad)), b.add(out, b.mul(stride, I64(quad))), 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32, types.int64, types.int64), generate


@intrinsic
def quantize_into(_, source, inverse, out, place):
    """Store them as `quantize_apart` does, but as byte `place` of each of 32 fours, whose other bytes stay."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        b, (source, inverse, out, place) = builder, args
        zero, low = (ir.Constant(_INTS, [number] * GROUP) for number in (128, 255))
        shift = splat(b, b.trunc(b.mul(place, I64(8)), I32), GROUP)
        stored = b.shl(b.and_(b.add(_rounded(b, source, inverse), zero), low), shift)
        others = b.and_(load(b, out, 0, _INTS, 4), b.not_(b.shl(low, shift)))
        store(b, b.or_(others, stored), out, 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32, types.int64, types.int64), generate


def _widening(element: ir.Type, widen: Callable[[ir.IRBuilder, ir.Value], ir.Value]) -> Any:
    """Code that turns the 32 elements at one address into float32 at another."""

    @intrinsic
    def kernel(_, source, out):
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
            values = widen(builder, load(builder, args[0], 0, ir.VectorType(element, GROUP), 1))
            store(builder, values, args[1], 0)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return kernel


def _widen_bf16(b: ir.IRBuilder, values: ir.Value) -> ir.Value:
    return b.bitcast(b.shl(b.zext(values, _INTS), ir.Constant(_INTS, [16] * GROUP)), _FLOATS)


floats_of_floats = _widening(F32, lambda b, values: values)
floats_of_halves = _widening(F16, lambda b, values: b.fpext(values, _FLOATS))
floats_of_bf16 = _widening(I16, _widen_bf16)
floats_of_bytes = _widening(I8, lambda b, values: b.sitofp(values, _FLOATS))


def _rounded(b: ir.IRBuilder, source: ir.Value, inverse: ir.Value) -> ir.Value:
    """The 32 float32 at an address, times `inverse`, as the nearest integers."""
    scaled = b.fmul(load(b, source, 0, _FLOATS, 4), splat(b, inverse, GROUP))
    return b.fptosi(call(b, "llvm.rint.v32f32", _FLOATS, scaled), _INTS)


def _nth(b: ir.IRBuilder, source: ir.Value, group: ir.Value) -> ir.Value:
    """Where a group of float32 begins."""
    return b.add(source, b.mul(group, I64(4 * GROUP)))


def _larger(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """Of each two the larger, the second if one is NaN."""
    return b.select(b.fcmp_ordered(">", x, y), x, y)


def _exp(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """e^x of 32 float32, x cut to -87 to 87, after Cephes' expf; NaN stays NaN."""
    x = _larger(b, _all(-87.0), x)
    x = b.select(b.fcmp_ordered("<", _all(87.0), x), _all(87.0), x)
    n = call(b, "llvm.rint.v32f32", _FLOATS, b.fmul(x, _all(1.4426950408889634)))
    r = multiply_add(b, n, _all(2.12194440e-4), multiply_add(b, n, _all(-0.693359375), x))
    p = _all(1.9875691500e-4)
    for factor in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = multiply_add(b, p, r, _all(factor))
    p = multiply_add(b, b.fmul(p, r), r, b.fadd(r, _all(1.0)))
    bits = b.shl(b.add(b.fptosi(n, _INTS), ir.Constant(_INTS, [127] * GROUP)), ir.Constant(_INTS, [23] * GROUP))
    return b.fmul(p, b.bitcast(bits, _FLOATS))
