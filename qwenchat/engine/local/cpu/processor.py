"""What this processor can do."""

import ctypes
import os
import platform
import sys

import llvmlite.binding

_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18


def features() -> frozenset[str]:
    """Its features as LLVM names them; those of another where numba was set to compile for that."""
    reported = os.environ.get("NUMBA_CPU_FEATURES")
    listed = llvmlite.binding.get_host_cpu_features().flatten() if reported is None else reported
    found = frozenset(name[1:] for name in listed.split(",") if name.startswith("+"))
    return found | {"dotprod"} if sys.platform == "darwin" and platform.machine() == "arm64" else found


RUNS_HERE = not llvmlite.binding.get_process_triple().startswith(("x86_64", "i686")) or "f16c" in features()
"""Whether it turns halves into floats, which the very oldest do not."""
MATRIX_UNIT = sys.platform == "linux" and {"amx-int8", "amx-tile", "avx512f"} <= features()
"""Whether there is code for a matrix unit in it."""


def matrix_unit_permitted() -> bool:
    """Ask the system for the unit, whose registers it keeps for a program only on request (Linux 5.16 and newer)."""
    if not MATRIX_UNIT or platform.machine() != "x86_64":
        return False
    return bool(ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA) == 0)
