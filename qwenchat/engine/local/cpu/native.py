"""What numba lacks for code that several threads run together: atomics, a barrier, and a few bit tricks."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

COUNTERS = 8
"""Counters by which threads share out the work of one step; a barrier sets them back to zero."""
_ARRIVED, _PASSED, _STOP = COUNTERS, COUNTERS + 8, COUNTERS + 16
_SPINS = 1 << 12
_I64 = ir.IntType(64)
yield_processor = types.ExternalFunction("sched_yield", types.int32())


def new_shared() -> np.ndarray:
    """The memory through which the threads of one team agree: counters, barrier, stop."""
    return np.zeros(COUNTERS + 24, np.int64)


def _address(context: Any, builder: ir.IRBuilder, array: Any, value: ir.Value, at: ir.Value) -> ir.Value:
    data = context.make_array(array)(context, builder, value).data
    return builder.gep(data, [at])


@intrinsic  # type: ignore[untyped-decorator]
def fetch_add(typing_context, array, at, amount):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Add to an element of an int64 array and return what was there before, as one step for all threads."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        where = _address(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("add", where, args[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def read_shared(typing_context, array, at):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """An element of an int64 array as the other threads left it."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        where = _address(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(where, "acquire", 8)

    return types.int64(array, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def write_shared(typing_context, array, at, value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Set an element of an int64 array for the other threads to see, after all that was written before."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        where = _address(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], where, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def float_of_bits(typing_context, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The float32 with these bits."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic  # type: ignore[untyped-decorator]
def half_bits(typing_context, value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The bits of a float32 rounded to half precision."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def float_of_half(typing_context, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The float32 of a half's bits."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


@intrinsic  # type: ignore[untyped-decorator]
def address_of(typing_context, array):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Where an array's data begins."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return builder.ptrtoint(context.make_array(signature.args[0])(context, builder, args[0]).data, _I64)

    return types.int64(array), generate


@intrinsic  # type: ignore[untyped-decorator]
def relax(typing_context):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Tell an x86 processor that this thread is only waiting."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        if builder.module.triple.startswith(("x86_64", "i686")):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


@njit(nogil=True)  # type: ignore[untyped-decorator]
def barrier(shared, threads, stop):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Wait until all threads are here; say whether to go on.

    All threads get the same answer, taken from `stop` [1] uint8 by the last to arrive.
    """
    passed = read_shared(shared, _PASSED)
    if fetch_add(shared, _ARRIVED, 1) == threads - 1:
        for counter in range(COUNTERS):
            shared[counter] = 0
        shared[_ARRIVED] = 0
        shared[_STOP] = stop[0]
        write_shared(shared, _PASSED, passed + 1)
    else:
        spins = 0
        while read_shared(shared, _PASSED) == passed:
            relax()
            spins += 1
            if spins > _SPINS:
                yield_processor()
    return shared[_STOP] == 0
