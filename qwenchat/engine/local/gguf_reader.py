"""The layout of a GGUF file: metadata and where each tensor lies (ggml's docs/gguf.md, versions 2 and 3)."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qwenchat.chat.errors import ModelDamaged, ModelUnsupported
from qwenchat.engine.local.ggml import SIZES, Kind
from qwenchat.i18n.texts import say

_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")
_MOST_ITEMS = 4_000_000
"""More tokens or merges than any vocabulary has."""
_MOST_ENTRIES = 1_000_000
"""More metadata or tensors than any file has."""
_MOST_DIMENSIONS = 4


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor as it lies in the file."""

    name: str
    shape: tuple[int, ...]
    """As torch has it, the fastest dimension last."""
    kind: Kind
    data: np.ndarray
    """uint8, the shape of the tensor with bytes in place of the last dimension; a view of the mapped file."""


@dataclass(frozen=True, slots=True)
class StringArray:
    """Texts in the mapped file, such as a vocabulary, which are decoded only if somebody goes through them."""

    data: mmap.mmap
    begin: int
    count: int

    def __iter__(self) -> Iterator[str]:
        """Each in turn; raises UnicodeDecodeError."""
        at = self.begin
        for _ in range(self.count):
            begin = at + _LENGTH.size
            at = begin + _LENGTH.unpack_from(self.data, at)[0]
            yield self.data[begin:at].decode("utf-8")


class GGUFLayout:
    """Reads everything but the tensors' bytes, in time and memory bounded by the size of the file.

    Raises ModelDamaged or ModelUnsupported, both naming the file, and OSError.
    """

    def __init__(self, path: Path) -> None:
        self.metadata: dict[str, Any] = {}
        self.tensors: dict[str, StoredTensor] = {}
        self._path = path
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise self._damaged(say("its header is not that of a GGUF file"))
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 4
        try:
            self._read()
        except (struct.error, UnicodeDecodeError, ValueError, IndexError, OverflowError) as error:
            raise self._damaged(say("its header is broken ({error})", error=error)) from error

    @property
    def header(self) -> memoryview:
        """The bytes before the tensors."""
        return memoryview(self._bytes)[: self._at]

    def _read(self) -> None:
        version = self._scalar("<I")
        if version not in (2, 3):
            raise ModelUnsupported(
                say("{path} is of GGUF version {version}.", path=self._path, version=version),
                say("Versions 2 and 3 can be read."),
            )
        tensors, entries = self._count(_MOST_ENTRIES), self._count(_MOST_ENTRIES)
        for _ in range(entries):
            key = self._string()
            self.metadata[key] = self._value(self._scalar("<I"))
        infos = [self._tensor_info() for _ in range(tensors)]
        alignment = self.metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
            raise self._damaged(say("its alignment is {alignment}", alignment=alignment))
        start = -(-self._at // alignment) * alignment
        for name, shape, kind, offset in infos:
            self.tensors[name] = self._tensor(name, shape, kind, start + offset)

    def _tensor_info(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        dimensions = self._scalar("<I")
        if not 0 < dimensions <= _MOST_DIMENSIONS:
            raise self._damaged(say("its tensor {name} has {number} dimensions", name=name, number=dimensions))
        shape = tuple(reversed([self._scalar("<Q") for _ in range(dimensions)]))
        return name, shape, self._scalar("<I"), self._scalar("<Q")

    def _tensor(self, name: str, shape: tuple[int, ...], number: int, start: int) -> StoredTensor:
        try:
            kind = Kind(number)
            block, block_bytes = SIZES[kind]
        except ValueError as error:
            raise ModelUnsupported(
                say("{path} has weights in an unknown format ({number}).", path=self._path, number=number),
                say("Try another."),
            ) from error
        row, over = divmod(shape[-1], block)
        rows = 1
        for size in shape[:-1]:
            rows *= size
        length = rows * row * block_bytes
        if over or length <= 0 or start + length > len(self._bytes):
            raise self._damaged(say("its tensor {name} reaches beyond its end", name=name))
        data = np.frombuffer(self._bytes, np.uint8, length, start)
        return StoredTensor(name, shape, kind, data.reshape(*shape[:-1], row * block_bytes))

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._scalar(self._format(kind))
        kind = self._scalar("<I")
        if kind == _STRING:
            return self._strings(self._count(_MOST_ITEMS))
        layout = self._format(kind)
        count = self._count(min(_MOST_ITEMS, len(self._bytes) // struct.calcsize(layout)))
        values = np.frombuffer(self._bytes, layout, count, self._at)
        self._at += values.nbytes
        return values.tolist()

    def _format(self, kind: int) -> str:
        if kind not in _SCALARS:
            raise self._damaged(say("its metadata has a value of the unknown type {kind}", kind=kind))
        return _SCALARS[kind]

    def _scalar(self, layout: str) -> Any:
        (value,) = struct.unpack_from(layout, self._bytes, self._at)
        self._at += struct.calcsize(layout)
        return value

    def _string(self) -> str:
        end = self._count(len(self._bytes)) + self._at
        if end > len(self._bytes):
            raise self._damaged(say("it ends within its header"))
        text = self._bytes[self._at : end].decode("utf-8")
        self._at = end
        return text

    def _strings(self, count: int) -> "StringArray":
        found = StringArray(self._bytes, self._at, count)
        at, read = self._at, _LENGTH.unpack_from
        for _ in range(count):
            at += 8 + read(self._bytes, at)[0]
        if at > len(self._bytes):
            raise self._damaged(say("it ends within its header"))
        self._at = at
        return found

    def _count(self, most: int) -> int:
        count = int(self._scalar("<Q"))
        if count > most:
            raise self._damaged(say("its header speaks of {number:,} entries", number=count))
        return count

    def _damaged(self, why: str) -> ModelDamaged:
        return ModelDamaged(say("{path} cannot be read: {why}.", path=self._path, why=why), say("Download it again."))
