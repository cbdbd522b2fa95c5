"""Weights as they lie in files, packed into the formats of the native kernels in one pass.

GGUF's 4-bit and 8-bit blocks keep their integers and scales; floats and the other blocks are quantized.
"""

import numpy as np

from qwenchat.engine.local.cpu.arrays import aligned
from qwenchat.engine.local.cpu.groups import (
    floats_of_bf16,
    floats_of_bytes,
    floats_of_floats,
    floats_of_halves,
    largest,
    quantize_apart,
)
from qwenchat.engine.local.cpu.layout import GROUP, ROWS, WeightFormat
from qwenchat.engine.local.cpu.linear import U8
from qwenchat.engine.local.cpu.native import address_of, float_of_half, half_bits, native
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.engine.local.ggml import Kind, dequantize

_EXACT = {
    Kind.Q8_0: WeightFormat.U8,
    Kind.Q5_0: WeightFormat.U8,
    Kind.Q4_0: WeightFormat.U4,
    Kind.Q4_1: WeightFormat.U4_MIN,
}
_EXACT |= {Kind.Q4_K: WeightFormat.U4_MIN}
"""Blocks that a format holds as they are."""
_FLOATS = (Kind.F32, Kind.F16, Kind.BF16, Kind.Q6_K)
"""What is read as floats here; the rest is dequantized first."""
_F32, _F16, _BF16, _Q8_0, _Q5_0, _Q4_0, _Q4_1, _Q4_K = (
    int(kind) for kind in (Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q5_0, Kind.Q4_0, Kind.Q4_1, Kind.Q4_K)
)


def pack(
    kind: Kind, data: np.ndarray, columns: int, form: WeightFormat | None, order: np.ndarray | None
) -> PackedMatrix:
    """Pack a matrix that lies in a file as `data` [rows, bytes] uint8; columns must be a multiple of 32.

    `form` is what floats are quantized to, U8 or U4; with None, blocks stay as near to themselves as the formats
    allow. `order` says which of the file's rows each row is.
    """
    exact = _EXACT.get(kind) if form is None else None
    if exact is None and kind not in _FLOATS:
        data = dequantize(data, kind).view(np.uint8).reshape(len(data), -1)
        kind = Kind.F32
    form = exact or form or WeightFormat.U8
    rows = len(data)
    sizes = PackedMatrix.sizes(form, rows, columns)
    weights, (scales, minima) = aligned(sizes[0], np.uint8), (aligned(size, np.uint16) for size in sizes[1:])
    weights[:] = form.zero * (1 if form is WeightFormat.U8 else 17)
    order = np.arange(rows) if order is None else order
    _pack(int(kind), int(form), np.ascontiguousarray(data), order, columns // GROUP, weights, scales, minima)
    return PackedMatrix(form, rows, columns, weights, scales.view(np.float16), minima.view(np.float16))


@native
def _pack(kind, form, data, order, groups, weights, scales, minima):
    values, q = np.empty(GROUP, np.float32), np.empty(GROUP, np.uint8)
    for row in range(order.shape[0]):
        source, tile, lane = data[order[row]], row // ROWS, row % ROWS
        for group in range(groups):
            figure, minimum = tile * groups + group, np.float32(0.0)
            if form == U8:
                scale = _read_floats(kind, source, group, values)
                inverse = np.float32(1.0) / scale if scale > 0 else np.float32(0.0)
                if kind in (_Q8_0, _Q5_0):
                    inverse = np.float32(1.0)
                to = address_of(weights) + figure * GROUP * ROWS + 4 * lane
                quantize_apart(address_of(values), inverse, to, 4 * ROWS)
            else:
                if kind in (_Q4_0, _Q4_1, _Q4_K):
                    scale, minimum = _read_block(kind, source, group, q)
                else:
                    _read_floats(kind, source, group, values)
                    scale = _nearest_u4(values, q)
                for quad in range(0, GROUP // 4, 2):
                    at = (figure * GROUP // 8 + quad // 2) * 4 * ROWS + 4 * lane
                    for i in range(4):
                        weights[at + i] = q[4 * quad + i] | q[4 * quad + 4 + i] << 4
            scales[figure * ROWS + lane] = half_bits(scale)
            if minima.shape[0]:
                minima[figure * ROWS + lane] = half_bits(minimum)


@native
def _nearest_u4(values, q):
    """Quantize 32 floats to four bits around 8 as ggml's Q4_0 does, and return the scale: the outermost becomes 0.

    Scales with a smaller square error bring what the model expects no nearer to what it should.
    """
    low, high = values.min(), values.max()
    scale = (high if high > -low else low) / np.float32(-8.0)
    inverse = np.float32(1.0) / scale if scale != 0 else np.float32(0.0)
    for i in range(GROUP):
        q[i] = np.uint8(min(max(values[i] * inverse + np.float32(8.5), np.float32(0.0)), np.float32(15.0)))
    return scale if low > -np.inf and high < np.inf else np.float32(np.nan)


@native
def _byte(source, at):
    return np.int64(source[at])


@native
def _half(source, at):
    return float_of_half(np.uint16(_byte(source, at) | _byte(source, at + 1) << 8))


@native
def _read_floats(kind, source, group, values):
    """32 floats of a row, or integers as floats; returns the scale that makes eight bits of them."""
    to, begin = address_of(values), address_of(source)
    if kind == _F32:
        floats_of_floats(begin + 4 * GROUP * group, to)
    elif kind == _BF16:
        floats_of_bf16(begin + 2 * GROUP * group, to)
    elif kind == _F16:
        floats_of_halves(begin + 2 * GROUP * group, to)
    elif kind == _Q8_0:
        floats_of_bytes(begin + 34 * group + 2, to)
        return _half(source, 34 * group)
    elif kind == _Q5_0:
        _read_q5_0(source, 22 * group, values)
        return _half(source, 22 * group)
    else:
        for i in range(GROUP):
            values[i] = _q6_k(source, group * GROUP + i)
    return largest(to) / np.float32(127.0)


@native
def _read_q5_0(source, block, values):
    """The integers of ggml's Q5_0, around zero."""
    for i in range(GROUP):
        both, fifth = _byte(source, block + 6 + i % 16), _byte(source, block + 2 + i // 8) >> (i % 8) & 1
        values[i] = np.float32((both & 15 if i < 16 else both >> 4) + fifth * 16 - 16)


@native
def _q6_k(source, at):
    """One weight of ggml's Q6_K: 256 to a block, sixteen to a scale; low four and high two bits lie apart."""
    block, place = at // 256 * 210, at % 256
    part, within = place // 128, place % 128
    low = _byte(source, block + 64 * part + within % 64)
    low = low & 15 if within < 64 else low >> 4
    high = _byte(source, block + 128 + 32 * part + within % 32) >> (within // 32 * 2) & 3
    scale = np.float32(np.int8(source[block + 192 + place // 16]))
    return _half(source, block + 208) * scale * np.float32((low | high << 4) - 32)


@native
def _read_block(kind, source, group, q):
    """The integers, the scale and the minimum of 32 weights of four bits."""
    if kind == _Q4_K:
        return _read_q4_k(source, group, q)
    size = 18 if kind == _Q4_0 else 20
    block, first = group * size, group * size + size - GROUP // 2
    for i in range(GROUP // 2):
        both = _byte(source, first + i)
        q[i], q[GROUP // 2 + i] = both & 15, both >> 4
    return _half(source, block), _half(source, block + 2) if kind == _Q4_1 else np.float32(0.0)


@native
def _read_q4_k(source, group, q):
    """ggml's Q4_K: eight groups share two halves; six-bit factors make each group's scale and minimum of them."""
    block, part = group // 8 * 144, group % 8
    for i in range(GROUP):
        both = _byte(source, block + 16 + part // 2 * GROUP + i)
        q[i] = both & 15 if part % 2 == 0 else both >> 4
    factors = block + 4
    if part < 4:
        scale, minimum = _byte(source, factors + part) & 63, _byte(source, factors + part + 4) & 63
    else:
        both = _byte(source, factors + part + 4)
        scale = (both & 15) | (_byte(source, factors + part - 4) >> 6) << 4
        minimum = (both >> 4) | (_byte(source, factors + part) >> 6) << 4
    return _half(source, block) * np.float32(scale), -_half(source, block + 2) * np.float32(minimum)
