"""The native `forward` as machine code that is kept on disk, and its calls: numba is imported only to compile it."""

import contextlib
import ctypes
import functools
import hashlib
import os
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numpy as np

from qwenchat.engine.local.cpu.arrays import CacheView, Scratch, Weights
from qwenchat.system.paths import Paths
from qwenchat.system.private_files import make_private_folder

ENTRY = "qwenchat_entry"
"""The function that is called from here: it takes the address of a table of arguments, and returns a bool."""
MOST_FILES = 4
"""Files that are kept: one for each version, and each processor that shares the folder."""
_GIVES_BACK = "NRT_MemInfo_call_dtor"
"""What numba calls for an array that owns memory. Those of a table do not, so it only has to be there."""
_DIGEST, _LENGTH = 32, struct.Struct("<q")


class Forward:
    """Calls `forward` for one model, one cache and one scratch memory."""

    def __init__(
        self, weights: Weights, cache: CacheView, scratch: Scratch, logits: np.ndarray, shared: np.ndarray, threads: int
    ) -> None:
        """`logits` are written by each call; the cache is not kept alive.

        The function is loaded, or compiled, which takes seconds.
        """
        self.scratch, self.logits = scratch, logits
        stop = np.zeros(1, np.uint8)
        before = [0, 0, *flattened((weights, cache, scratch))]
        self._start = len(before)
        self._table = np.array([[*before, *flattened((0, 0, logits, shared, stop))]] * threads, np.int64)
        self._table[:, 0] = np.arange(threads)
        self._stop = self._table.shape[1] - 3
        """Where the address of the stop signal is: of an array of one dimension, length and stride follow it."""
        self._rows = [row.ctypes.data for row in self._table]
        self._held = (weights, shared)
        self._entry = _loaded((0, 0, weights, cache, scratch, 0, 0, logits, shared, stop))

    def prepare(self, threads: int, start: int, count: int, stop: np.ndarray) -> None:
        """Lay out the arguments of the next call, which all threads share."""
        self._table[:, 1] = threads
        self._table[:, self._start : self._start + 2] = start, count
        self._table[:, self._stop] = stop.ctypes.data

    def run(self, rank: int) -> bool:
        """This thread's part; says whether it came to its end."""
        return self._entry(self._rows[rank]) == 1


def flattened(value: Any) -> Iterator[int]:
    """A value as numba passes it: numbers by their 64 bits, an array as a header, a tuple part by part."""
    if isinstance(value, np.ndarray):
        yield from (0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
    elif isinstance(value, tuple):
        for part in value:
            yield from flattened(part)
    elif isinstance(value, float):
        yield from struct.unpack("q", struct.pack("d", value))
    else:
        yield int(value)


def _kinds(value: Any) -> Iterator[str]:
    """What the code for a value depends on."""
    if isinstance(value, np.ndarray):
        yield f"{value.dtype.str}{value.ndim}{'' if value.flags.c_contiguous else ' apart'}"
    elif isinstance(value, tuple):
        for part in value:
            yield from _kinds(part)
    else:
        yield type(value).__name__


_engines: dict[str, Callable[[int], int]] = {}
"""What was loaded, by its key."""


def _loaded(arguments: Sequence[Any]) -> Callable[[int], int]:
    key = _key(",".join(_kinds(tuple(arguments))))
    if key not in _engines:
        code = _kept(key)
        if code is None:
            from qwenchat.engine.local.cpu import compiler, forward  # noqa: PLC0415  (import numba)

            code = compiler.compiled(forward.forward, arguments)
            _keep(key, code)
        _engines[key] = _linked(code)
    return _engines[key]


def _key(kinds: str) -> str:
    """Stands for all that the code depends on."""
    binding = llvmlite.binding
    reported = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_"))
    processor = [binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten(), binding.get_process_triple()]
    parts = [sources(), llvmlite.__version__, *processor, *reported, kinds]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.cache
def sources() -> str:
    """Stands for all code of this package: functions are compiled into those that call them."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _linked(code: tuple[bytes, bytes]) -> Callable[[int], int]:
    """The entry, called without holding up other threads; its engine is never given up."""
    binding = llvmlite.binding
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    if binding.address_of_symbol(_GIVES_BACK) is None:
        binding.add_symbol(_GIVES_BACK, ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value)
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    for part in code:
        engine.add_object_file(binding.ObjectFileRef.from_data(part))
    engine.finalize_object()
    entry = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(engine.get_function_address(ENTRY))
    entry.engine = engine  # type: ignore[attr-defined]
    return entry


def _folders() -> Iterator[Path]:
    """Where code is kept: beside the sources, or where those must not be written, with the user's files."""
    yield Path(__file__).parent / "__pycache__"
    with contextlib.suppress(OSError):
        yield Paths.of_user().cache / "kernels"


def _kept(key: str) -> tuple[bytes, bytes] | None:
    """The code under a key; None where there is none, or what is there was damaged."""
    for folder in _folders():
        with contextlib.suppress(OSError):
            stored = (folder / f"forward-{key}.code").read_bytes()
            digest, body = stored[:_DIGEST], stored[_DIGEST:]
            if hashlib.sha256(body).digest() == digest:
                (length,) = _LENGTH.unpack_from(body)
                at = _LENGTH.size + length
                return body[_LENGTH.size : at], body[at:]
    return None


def _keep(key: str, code: tuple[bytes, bytes]) -> None:
    """Keep code where that can be, as a whole or not at all."""
    body = _LENGTH.pack(len(code[0])) + b"".join(code)
    for folder in _folders():
        with contextlib.suppress(OSError):
            make_private_folder(folder)
            with tempfile.TemporaryDirectory(dir=folder) as draft:
                whole = Path(draft) / "code"
                whole.write_bytes(hashlib.sha256(body).digest() + body)
                whole.replace(folder / f"forward-{key}.code")
            files = sorted(folder.glob("forward-*.code"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
            for file in files[MOST_FILES:]:
                file.unlink(missing_ok=True)
            return
