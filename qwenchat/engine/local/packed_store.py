"""Packed weights kept on disk, so that the next load maps them in place of reading and packing the model's files."""

import contextlib
import hashlib
import json
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qwenchat.chat.errors import ModelError
from qwenchat.engine.local.cpu.layout import WeightFormat
from qwenchat.engine.local.cpu.machine_code import sources
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.engine.local.cpu.processor import features
from qwenchat.engine.local.gguf_parts import parts_of
from qwenchat.engine.local.shards import shards
from qwenchat.system.private_files import make_private_folder

MOST_BYTES = 8_000_000_000
"""What the files may take together; the ones that were not used for longest go first."""
SPARE_BYTES = 2_000_000_000
"""What must stay free on the disk."""
_MAGIC = b"qwenchat packed\n"
_HEADER = 1 << 20
"""Bytes before the first array, where the description lies."""
_ALIGNMENT = 64
_DRAFT_S = 3600.0
"""Seconds after which what another process began to write is taken for left behind."""

Weight = PackedMatrix | np.ndarray


@dataclass(frozen=True, slots=True)
class PackedStore:
    """The packed weights of one model in one number format, in a folder that holds those of others too."""

    folder: Path
    model: tuple[Path, ...]
    """The model's files."""
    bits: int | None
    """4 or 8 for what floats are quantized to; None for blocks as they are."""
    key: str
    """Stands for what the packed weights depend on: the model's files as they were, our code, the processor."""

    @classmethod
    def of(cls, folder: Path, path: Path, bits: int | None) -> "PackedStore | None":
        """For the model at `path`, before it is opened; None if not all of its files can be seen."""
        try:
            model = tuple(parts_of(path) if path.is_file() else shards(path))
            return cls(folder, model, bits, _key(model, bits))
        except (OSError, ModelError):
            return None

    @property
    def file(self) -> Path:
        """Where they are kept: one file for each path and format, whatever the path has held."""
        named = repr((str(self.model[0].resolve()), self.bits))
        return self.folder / f"{hashlib.sha256(named.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}.packed"

    def read(self) -> dict[str, Weight] | None:
        """The weights by name, mapped; None without them. What is there but cannot be used is removed."""
        try:
            with self.file.open("rb") as opened:
                mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            mapped = None
        if mapped is not None:
            with contextlib.suppress(ValueError, LookupError, TypeError, OSError):
                weights = dict(_weights(mapped, self.key))
                with contextlib.suppress(OSError):
                    os.utime(self.file)
                return weights
        with contextlib.suppress(OSError):
            self.file.unlink()
        return None

    def keep(self, weights: dict[str, Weight]) -> None:
        """Keep what the model's files were packed to, unless they have changed meanwhile.

        It appears as a whole, and the oldest of the others make room. Whatever prevents it costs only the next load.
        """
        with contextlib.suppress(OSError, ValueError):
            description, total = _described(self.key, weights)
            if total > MOST_BYTES:
                return
            make_private_folder(self.folder)
            self._make_room(total)
            if shutil.disk_usage(self.folder).free < total + SPARE_BYTES:
                return
            with tempfile.TemporaryDirectory(dir=self.folder, prefix="draft-") as draft:
                whole = Path(draft) / self.file.name
                with whole.open("wb") as file:
                    file.write(description)
                    for array in _arrays(weights):
                        file.write(bytes(-file.tell() % _ALIGNMENT))
                        file.write(array.view(np.uint8).data)
                    file.flush()
                    os.fsync(file.fileno())
                if _key(self.model, self.bits) == self.key:
                    whole.replace(self.file)

    def _make_room(self, wanted: int) -> None:
        """Remove what was left behind, and the oldest of what is kept, until so many bytes are within the bound."""
        for draft in self.folder.glob("draft-*"):
            if time.time() - draft.stat().st_mtime > _DRAFT_S:
                shutil.rmtree(draft, ignore_errors=True)
        files = [(file.stat().st_mtime_ns, file.stat().st_size, file) for file in self.folder.glob("*.packed")]
        held = sum(size for _, size, file in files if file != self.file)
        for _, size, file in sorted(files):
            if held + wanted <= MOST_BYTES:
                return
            if file != self.file:
                file.unlink(missing_ok=True)
                held -= size


def _key(model: tuple[Path, ...], bits: int | None) -> str:
    found = [(str(file.resolve()), _identity(file)) for file in model]
    reported = repr((found, bits, sources(), sorted(features())))
    return hashlib.sha256(reported.encode("utf-8", "surrogateescape")).hexdigest()


def _identity(file: Path) -> tuple[int, ...]:
    about = file.stat()
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def _arrays(weights: dict[str, Weight]) -> Iterator[np.ndarray]:
    """All arrays in the order in which they are written, none of them empty."""
    for weight in weights.values():
        parts = (weight.weights, weight.scales, weight.minima) if isinstance(weight, PackedMatrix) else (weight,)
        yield from (np.ascontiguousarray(part) for part in parts if part.size)


def _described(key: str, weights: dict[str, Weight]) -> tuple[bytes, int]:
    """The first bytes of the file, and how long that is in all; raises ValueError for too many weights."""
    end = _HEADER
    for array in _arrays(weights):
        end += -end % _ALIGNMENT + array.nbytes
    listed = [
        [name, int(weight.form), *weight.shape] if isinstance(weight, PackedMatrix) else [name, 0, *weight.shape]
        for name, weight in weights.items()
    ]
    text = json.dumps({"key": key, "bytes": end, "weights": listed}).encode()
    digest = hashlib.sha256(text).hexdigest().encode()
    head = b"\n".join([_MAGIC + digest, text, b""])
    if len(head) > _HEADER:
        raise ValueError("there are too many weights")
    return head.ljust(_HEADER, b"\0"), end


def _weights(mapped: mmap.mmap, key: str) -> Iterator[tuple[str, Weight]]:
    """The weights in a file; raises ValueError, LookupError or TypeError for one that is not what `key` stands for."""
    digest, text, _ = mapped[len(_MAGIC) : _HEADER].split(b"\n", 2)
    if mapped[: len(_MAGIC)] != _MAGIC or hashlib.sha256(text).hexdigest().encode() != digest:
        raise ValueError("it is not whole")
    about: dict[str, Any] = json.loads(text)
    if about["key"] != key or about["bytes"] != len(mapped):
        raise ValueError("it is of something else")
    at = _HEADER

    def take(dtype: Any, count: int) -> np.ndarray:
        nonlocal at
        begin = at + -at % _ALIGNMENT if count else at
        at = begin + count * np.dtype(dtype).itemsize
        return np.frombuffer(mapped, dtype, count, begin) if count else np.empty(0, dtype)

    for name, form, *shape in about["weights"]:
        if not form:
            yield name, take(np.float32, int(np.prod(shape))).reshape(shape)
            continue
        rows, columns = shape
        sizes = PackedMatrix.sizes(WeightFormat(form), rows, columns)
        weights, scales, minima = map(take, (np.uint8, np.float16, np.float16), sizes)
        yield name, PackedMatrix(WeightFormat(form), rows, columns, weights, scales, minima, known_finite=True)
    if at != len(mapped):
        raise ValueError("it is longer than it should be")
