"""What the kernels are written with: instructions of LLVM, put together by its builder."""

from collections.abc import Sequence

from llvmlite import ir
from numba.core import cgutils

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F16, F32 = ir.HalfType(), ir.FloatType()


def call(b: ir.IRBuilder, name: str, result: ir.Type, *args: ir.Value, fastmath: Sequence[str] = ()) -> ir.Value:
    """Call a function by name, an intrinsic of LLVM as a rule."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), args, fastmath=fastmath)


def load(b: ir.IRBuilder, address: ir.Value, offset: int, kind: ir.Type, alignment: int) -> ir.Value:
    """What lies `offset` bytes behind an address."""
    value = b.load(b.inttoptr(b.add(address, I64(offset)), kind.as_pointer()))
    value.align = alignment
    return value


def store(b: ir.IRBuilder, value: ir.Value, address: ir.Value, offset: int, alignment: int = 4) -> None:
    """Put a value `offset` bytes behind an address."""
    b.store(value, b.inttoptr(b.add(address, I64(offset)), value.type.as_pointer())).align = alignment


def splat(b: ir.IRBuilder, value: ir.Value, count: int) -> ir.Value:
    """A vector of `count` times the same value."""
    nothing = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    first = b.insert_element(nothing, value, I32(0))
    return b.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(I32, count), [0] * count))


def multiply_add(b: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """x * y + z of vectors of float32, rounded once."""
    return call(b, f"llvm.fma.v{x.type.count}f32", x.type, x, y, z)
