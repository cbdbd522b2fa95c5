"""Native functions to machine code that numba need not be imported for."""

from collections.abc import Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import njit, typeof
from numba.core.registry import cpu_target

from qwenchat.engine.local.cpu.llvm import I8, I32, I64
from qwenchat.engine.local.cpu.machine_code import ENTRY
from qwenchat.engine.local.cpu.native import FAST

_DOUBLE = ir.DoubleType()


def compiled(function: Any, arguments: Sequence[Any]) -> tuple[bytes, bytes]:
    """Two object files: `ENTRY`, and the function, which may return a bool and must neither allocate nor raise.

    `ENTRY` takes the address of a table of the arguments, as `machine_code.flattened` makes it, and returns 1 or 0.
    """
    options: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy", "fastmath": FAST}
    dispatcher: Any = njit(nogil=True, **options)(function.py_func)
    signature = tuple(map(typeof, arguments))
    dispatcher.compile(signature)
    made = dispatcher.overloads[signature]
    flat = made.target_context.get_arg_packer(made.fndesc.argtypes).argument_types
    return _entry(made.fndesc.llvm_func_name, flat), made.library._get_compiled_object()


def _entry(name: str, flat: Sequence[ir.Type]) -> bytes:
    """The object file of a function that calls the one of that name by numba's convention, with `flat` arguments."""
    module = ir.Module("entry")
    pointer = I8.as_pointer()
    kinds = [_DOUBLE if isinstance(kind, ir.DoubleType) else I64 for kind in flat]
    inner = ir.Function(module, ir.FunctionType(I32, [pointer, pointer, *kinds]), name)
    outer = ir.Function(module, ir.FunctionType(I32, [pointer]), ENTRY)
    b = ir.IRBuilder(outer.append_basic_block())
    result, error = b.alloca(I8), b.alloca(pointer)
    b.store(I8(0), result)
    table = outer.args[0]
    values = [
        b.load(b.bitcast(b.gep(table, [I64(8 * at)]), kind.as_pointer()), typ=kind) for at, kind in enumerate(kinds)
    ]
    b.call(inner, [result, b.bitcast(error, pointer), *values])
    b.ret(b.zext(b.load(result, typ=I8), I32))
    machine: Any = cpu_target.target_context.codegen()._tm
    emitted: bytes = machine.emit_object(llvmlite.binding.parse_assembly(str(module)))
    return emitted
