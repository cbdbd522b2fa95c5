"""Messages to JSON and back. Text that is not valid Unicode is repaired on the way in."""

import dataclasses
from contextlib import suppress
from typing import Any

import msgspec

from qwenchat.chat.characters import well_formed, well_formed_values
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.messages import Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import Provenance

_KINDS: dict[str, type[Part]] = {
    "text": TextPart,
    "reasoning": ReasoningPart,
    "tool_call": ToolCallPart,
    "tool_result": ToolResultPart,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def pack_parts(parts: tuple[Part, ...]) -> bytes:
    """The parts as JSON."""
    entries = []
    for part in parts:
        fields = {f.name: getattr(part, f.name) for f in dataclasses.fields(part)}
        fields = {name: well_formed(value) if isinstance(value, str) else value for name, value in fields.items()}
        entries.append({"kind": _NAMES[type(part)], **fields})
    return msgspec.json.encode(entries)


def unpack_parts(data: bytes) -> tuple[Part, ...]:
    """The parts of `pack_parts`; kinds that are not known are left out. Raises ValueError for anything else."""
    return tuple(
        msgspec.convert(entry, _KINDS[entry["kind"]])
        for entry in msgspec.json.decode(data, type=list[dict[str, Any]])
        if entry.get("kind") in _KINDS
    )


def readable_parts(stored: object) -> tuple[Part, ...]:
    """The parts of a row of which not every byte may be right: where they are no parts, the text that stands there."""
    data = stored.encode("utf-8", errors="replace") if isinstance(stored, str) else stored
    if isinstance(data, bytes):
        with suppress(ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            return unpack_parts(data)
        return (TextPart(data.decode("utf-8", errors="replace")),)
    return () if stored is None else (TextPart(str(stored)),)


def pack_provenance(provenance: Provenance | None) -> bytes | None:
    """The provenance as JSON; None stays None."""
    if provenance is None:
        return None
    try:
        return msgspec.json.encode(provenance)
    except UnicodeEncodeError:  # as in the name of a file that is no UTF-8
        return msgspec.json.encode(well_formed_values(msgspec.to_builtins(provenance)))


def readable_provenance(stored: object) -> Provenance | None:
    """The provenance of a row; None where it makes no sense."""
    with suppress(ValueError, TypeError, RecursionError, OverflowError, ConfigInvalid):
        return unpack_provenance(stored) if isinstance(stored, bytes) else None
    return None


def unpack_provenance(data: bytes | None) -> Provenance | None:
    """The provenance of `pack_provenance`; fields that are not known are left out."""
    return None if data is None else msgspec.json.decode(data, type=Provenance)
