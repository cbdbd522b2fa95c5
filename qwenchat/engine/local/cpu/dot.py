"""Dot products of four unsigned with four signed bytes, in each lane of a vector, as the processor does them best.

Written as LLVM IR, since only there its instructions can be named.
"""

from collections.abc import Callable
from typing import NamedTuple

from llvmlite import ir

from qwenchat.engine.local.cpu.llvm import I8, I16, I32, call


class DotProduct(NamedTuple):
    """A way to do them."""

    lanes: int
    """32-bit integers of a vector."""
    sums: int
    """Vectors of sums that its registers hold besides what else is needed."""
    signed: bool
    """Whether it wants the unsigned bytes, if they take all eight bits, as signed ones: turned by 128."""
    new_sum: Callable[[ir.IRBuilder, ir.Value, bool], "DotSum"]
    """A sum that begins with a value [lanes] i32; given whether the unsigned bytes are below 16."""


class DotSum:
    """A sum of dot products in the making, [lanes] i32: this one for any processor, with plain arithmetic."""

    def __init__(self, b: ir.IRBuilder, start: ir.Value, small: bool) -> None:
        self.b, self.start, self.small = b, start, small
        self._sum = start
        self._lanes: int = start.type.count
        self._bytes, self._words = ir.VectorType(I8, 4 * self._lanes), ir.VectorType(I16, 2 * self._lanes)

    def add(self, weights: ir.Value, x: ir.Value) -> None:
        """Add `weights` [lanes, 4] bytes times `x` [lanes] i32, four signed bytes each."""
        b, words = self.b, self._words
        eight, low = ir.Constant(words, [8] * words.count), ir.Constant(words, [255] * words.count)
        w, x = b.bitcast(weights, words), b.bitcast(x, words)
        for ours, theirs in ((b.and_(w, low), b.ashr(b.shl(x, eight), eight)), (b.lshr(w, eight), b.ashr(x, eight))):
            wide = ir.VectorType(I32, words.count)
            products = b.mul(b.sext(ours, wide), b.sext(theirs, wide))
            even, odd = (ir.Constant(self.start.type, list(range(first, words.count, 2))) for first in (0, 1))
            pairs = (b.shuffle_vector(products, products, pick) for pick in (even, odd))
            self._sum = b.add(self._sum, b.add(*pairs))

    def total(self) -> ir.Value:
        """What it has come to."""
        return self._sum


class _Vnni(DotSum):
    """By one instruction of x86: AVX-512 VNNI, or AVX-VNNI for vectors half as long."""

    def add(self, weights: ir.Value, x: ir.Value) -> None:
        name = f"llvm.x86.avx512.vpdpbusd.{32 * self._lanes}"
        self._sum = call(self.b, name, self._sum.type, self._sum, weights, self.b.bitcast(x, self._bytes))


class _Neon(DotSum):
    """By one instruction of ARM, which takes both as signed."""

    def add(self, weights: ir.Value, x: ir.Value) -> None:
        name = f"llvm.aarch64.neon.sdot.v{self._lanes}i32.v{4 * self._lanes}i8"
        self._sum = call(self.b, name, self._sum.type, self._sum, weights, self.b.bitcast(x, self._bytes))


class _Avx2(DotSum):
    """By the products of AVX2, which gives the sums of two as 16 bits: with small weights, a whole group fits these."""

    def __init__(self, b: ir.IRBuilder, start: ir.Value, small: bool) -> None:
        super().__init__(b, start, small)
        if small:
            self._sum = ir.Constant(self._words, [0] * self._words.count)

    def add(self, weights: ir.Value, x: ir.Value) -> None:
        b, x = self.b, self.b.bitcast(x, self._bytes)
        if self.small:
            self._sum = b.add(self._sum, self._pairs(weights, x))
            return
        # Only x, which is never -128, can change its sign in eight bits.
        turned = call(self.b, "llvm.x86.avx2.psign.b", self._bytes, x, weights)
        size = call(self.b, f"llvm.abs.v{self._bytes.count}i8", self._bytes, weights, ir.Constant(ir.IntType(1), 0))
        self._sum = b.add(self._sum, self._fours(self._pairs(size, turned)))

    def total(self) -> ir.Value:
        return self.b.add(self.start, self._fours(self._sum)) if self.small else self._sum

    def _pairs(self, unsigned: ir.Value, signed: ir.Value) -> ir.Value:
        return call(self.b, "llvm.x86.avx2.pmadd.ub.sw", self._words, unsigned, signed)

    def _fours(self, pairs: ir.Value) -> ir.Value:
        ones = ir.Constant(self._words, [1] * self._words.count)
        return call(self.b, "llvm.x86.avx2.pmadd.wd", self.start.type, pairs, ones)


AVX512_VNNI = DotProduct(16, 16, False, _Vnni)
AVX_VNNI = DotProduct(8, 8, False, _Vnni)
AVX2 = DotProduct(8, 8, True, _Avx2)
NEON = DotProduct(4, 16, True, _Neon)
PLAIN = DotProduct(16, 16, False, DotSum)


def best_dot(features: frozenset[str]) -> DotProduct:
    """The fastest way with these features of a processor, as LLVM names them."""
    ways = {"avx512vnni": AVX512_VNNI, "avxvnni": AVX_VNNI, "avx2": AVX2, "dotprod": NEON}
    return next((dot for feature, dot in ways.items() if feature in features), PLAIN)
