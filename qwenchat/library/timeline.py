"""A stream's timeline as a few bytes: varints of milliseconds since the last tick, channel, characters."""

import zlib
from collections.abc import Sequence

from qwenchat.chat.events import Channel
from qwenchat.chat.timeline import Tick
from qwenchat.i18n.texts import say

_LONGEST = 10_000_000
"""Bytes of a timeline that are looked at; a reply of a million tokens has a third of that."""

_BITS = 63


def pack(ticks: Sequence[Tick]) -> bytes:
    """The ticks, about two to three bytes each."""
    data, last = bytearray(), 0
    for tick in ticks:
        _put(data, max(0, tick.at_ms - last))
        _put(data, tick.characters << 1 | (tick.channel is Channel.THOUGHT))
        last = max(last, tick.at_ms)
    return zlib.compress(bytes(data), 1)


def unpack(packed: bytes) -> tuple[Tick, ...]:
    """The ticks of `pack`; raises ValueError for anything else."""
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(packed, _LONGEST)
    except zlib.error as error:
        raise ValueError(say("not a timeline: {error}", error=error)) from error
    if not unpacking.eof:
        raise ValueError(say("not a timeline: it does not end"))
    numbers, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > _BITS:
            raise ValueError(say("not a timeline: a number does not end"))
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    ticks, at = [], 0
    for delta, what in zip(numbers[::2], numbers[1::2], strict=True):
        at += delta
        ticks.append(Tick(at, Channel.THOUGHT if what & 1 else Channel.ANSWER, what >> 1))
    return tuple(ticks)


def _put(data: bytearray, value: int) -> None:
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
