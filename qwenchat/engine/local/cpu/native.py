"""What numba lacks for code that several threads run together: atomics, a barrier, and a few bit tricks."""

import contextlib

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

from qwenchat.engine.local.cpu.machine_code import sources

FAST = {"reassoc", "contract", "arcp", "nsz"}
"""Sums may be reordered; NaN stays NaN, so that damaged weights are noticed."""
COUNTERS = 4
"""Counters by which threads share out the work of one step; a barrier sets them back to zero."""
_ARRIVED, _PASSED, _STOPPED = 8, 16, 24
_SPINS = 4096
"""How often a waiting thread looks before it lets others have its processor."""
_F16, _F32, _I16, _I64 = ir.HalfType(), ir.FloatType(), ir.IntType(16), ir.IntType(64)
_yield_processor = types.ExternalFunction("sched_yield", types.int32())


def native(function):
    """Compile a function to code that holds no lock and checks nothing; kept on disk where that can be written."""
    compiled = njit(nogil=True, error_model="numpy", fastmath=FAST)(function)
    with contextlib.suppress(RuntimeError):
        compiled._cache = _CompiledCode(function)
    return compiled


class _CompiledCode(FunctionCache):
    """What numba keeps of a function on disk; done without when it is damaged or cannot be written."""

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001  (there is no end to what a damaged file can raise)
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig, data):
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)

    def _index_key(self, sig, codegen):
        return *super()._index_key(sig, codegen), sources()


def _element(context, b, signature, args):
    """The address of element args[1] of the array args[0]."""
    return b.gep(context.make_array(signature.args[0])(context, b, args[0]).data, [args[1]])


@intrinsic
def fetch_add(_, array, at, amount):
    """Add to an element of an int64 array and return what was there before, as one step for all threads."""

    def generate(context, b, signature, args):
        return b.atomic_rmw("add", _element(context, b, signature, args), args[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), generate


@intrinsic
def read_shared(_, array, at):
    """An element of an int64 array, as the other threads left it."""

    def generate(context, b, signature, args):
        return b.load_atomic(_element(context, b, signature, args), "acquire", 8)

    return types.int64(array, types.int64), generate


@intrinsic
def write_shared(_, array, at, value):
    """Set an element of an int64 array for the other threads to see, after all that was written before."""

    def generate(context, b, signature, args):
        b.store_atomic(args[2], _element(context, b, signature, args), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@intrinsic
def address_of(_, array):
    """Where an array's data begins."""

    def generate(context, b, signature, args):
        return b.ptrtoint(context.make_array(signature.args[0])(context, b, args[0]).data, _I64)

    return types.int64(array), generate


@intrinsic
def half_bits(_, value):
    """The bits of a float32 rounded to half precision."""
    return types.uint16(types.float32), lambda context, b, signature, args: b.bitcast(b.fptrunc(args[0], _F16), _I16)


@intrinsic
def float_of_half(_, bits):
    """The float32 that these bits of a half stand for."""
    return types.float32(types.uint16), lambda context, b, signature, args: b.fpext(b.bitcast(args[0], _F16), _F32)


@intrinsic
def _relax(_):
    """Tell an x86 processor that this thread is only waiting."""

    def generate(context, b, signature, args):
        if b.module.triple.startswith("x86_64"):
            kind = ir.FunctionType(ir.VoidType(), [])
            b.call(cgutils.get_or_insert_function(b.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


@native
def barrier(shared, threads, stop):
    """Wait until all threads are here, and say whether to go on: the same answer for all, taken from `stop` [1]."""
    passed = read_shared(shared, _PASSED)
    if fetch_add(shared, _ARRIVED, 1) == threads - 1:
        for counter in range(COUNTERS):
            shared[counter] = 0
        shared[_ARRIVED] = 0
        shared[_STOPPED] = stop[0]
        write_shared(shared, _PASSED, passed + 1)
    else:
        spins = 0
        while read_shared(shared, _PASSED) == passed:
            _relax()
            spins += 1
            if spins > _SPINS:
                _yield_processor()
    return shared[_STOPPED] == 0
