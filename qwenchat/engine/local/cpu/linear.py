"""Matrix products of packed matrices with vectors that are quantized on the way, as native code.

A vector is cut into groups of 32 elements, each with its scale; of `per_block` vectors those that are multiplied by
the same weights lie together, as `simd` and `amx` want them: one alone while decoding, BLOCK or MATRIX_BLOCK while a
prompt is read.
"""

import math

import numpy as np

from qwenchat.engine.local.cpu.amx import close_unit, matrix_kernel, open_unit
from qwenchat.engine.local.cpu.groups import largest, quantize
from qwenchat.engine.local.cpu.layout import BLOCKS, GROUP, MATRIX_BLOCK, ROOM_BYTES, ROWS, WeightFormat
from qwenchat.engine.local.cpu.native import address_of, fetch_add, native
from qwenchat.engine.local.cpu.simd import tile_kernel, unpacking

FORMAT, WEIGHTS, SCALES, MINIMA, TILES, GROUPS = range(6)
"""What a row of a matrix table says: format, three addresses, two sizes."""
U8, U4 = int(WeightFormat.U8), int(WeightFormat.U4)

_u8_x1, _u8_x2, _u8_x4, _u8_x8 = (tile_kernel(WeightFormat.U8, vectors) for vectors in BLOCKS)
_u4_x1, _u4_x2, _u4_x4, _u4_x8 = (tile_kernel(WeightFormat.U4, vectors) for vectors in BLOCKS)
_u4_min_x1, _u4_min_x2, _u4_min_x4, _u4_min_x8 = (tile_kernel(WeightFormat.U4_MIN, vectors) for vectors in BLOCKS)
_u8_many, _u4_many, _u4_min_many = (matrix_kernel(form) for form in WeightFormat)
_unpack_u8, _unpack_u4, _unpack_u4_min = (unpacking(form) for form in WeightFormat)


@native
def tile(form, per_block, weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add):
    """One tile times a block of vectors, of as many as one of BLOCKS; all but the sizes are addresses."""
    if form == U8:
        if per_block == 1:
            _u8_x1(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
        elif per_block == 2:
            _u8_x2(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
        elif per_block == 4:
            _u8_x4(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
        else:
            _u8_x8(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
    elif form == U4:
        if per_block == 1:
            _u4_x1(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
        elif per_block == 2:
            _u4_x2(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
        elif per_block == 4:
            _u4_x4(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
        else:
            _u4_x8(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
    elif per_block == 1:
        _u4_min_x1(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
    elif per_block == 2:
        _u4_min_x2(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
    elif per_block == 4:
        _u4_min_x4(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)
    else:
        _u4_min_x8(weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add)


@native
def _tile_by_unit(form, blocks, weights, scales, minima, x, x_scales, x_sums, out, stride, groups, add, room):
    """One tile times many blocks of vectors; all but the sizes are addresses."""
    signed = room + ROOM_BYTES
    if form == U8:
        _unpack_u8(weights, groups, signed)
    elif form == U4:
        _unpack_u4(weights, groups, signed)
    else:
        _unpack_u4_min(weights, groups, signed)
    for block in range(blocks):
        figures, to = 4 * block * groups * MATRIX_BLOCK, out + 4 * block * MATRIX_BLOCK * stride
        q, q_scales, q_sums = x + GROUP // 4 * figures, x_scales + figures, x_sums + figures
        if form == U8:
            _u8_many(signed, scales, minima, q, q_scales, q_sums, to, stride, groups, add, room)
        elif form == U4:
            _u4_many(signed, scales, minima, q, q_scales, q_sums, to, stride, groups, add, room)
        else:
            _u4_min_many(signed, scales, minima, q, q_scales, q_sums, to, stride, groups, add, room)


@native
def multiply(matrix, vectors, per_block, blocks, out, column, add, room, shared, counter, threads):
    """This thread's share of `out[:, column:] = vectors @ matrix.T`, or `+=`; out [vectors, any] float32.

    `room` is where a matrix unit, if there is one, puts what it works with.
    """
    form, tiles, groups, stride = matrix[FORMAT], matrix[TILES], matrix[GROUPS], out.shape[1]
    weight_bytes = groups * GROUP * ROWS // (1 if form == U8 else 2)
    scale_bytes = groups * ROWS * 2
    x, x_scales, x_sums = address_of(vectors.q), address_of(vectors.scales), address_of(vectors.sums)
    to = address_of(out) + 4 * column
    step = max(1, tiles // (8 * threads))
    first = fetch_add(shared, counter, step)
    while first < tiles:
        last = min(first + step, tiles)
        if per_block == MATRIX_BLOCK:
            open_unit()
            for at in range(first, last):
                _tile_by_unit(
                    form,
                    blocks,
                    matrix[WEIGHTS] + at * weight_bytes,
                    matrix[SCALES] + at * scale_bytes,
                    matrix[MINIMA] + at * scale_bytes,
                    x,
                    x_scales,
                    x_sums,
                    to + 4 * at * ROWS,
                    stride,
                    groups,
                    add,
                    address_of(room),
                )
            close_unit()
        else:
            for block in range(blocks):
                figures = 4 * block * groups * per_block
                for at in range(first, last):
                    tile(
                        form,
                        per_block,
                        matrix[WEIGHTS] + at * weight_bytes,
                        matrix[SCALES] + at * scale_bytes,
                        matrix[MINIMA] + at * scale_bytes,
                        x + GROUP // 4 * figures,
                        x_scales + figures,
                        x_sums + figures,
                        to + 4 * (block * per_block * stride + at * ROWS),
                        stride,
                        groups,
                        add,
                    )
        first = fetch_add(shared, counter, step)


@native
def _quantize(source, vectors, figure):
    """Make the 32 float32 at the address `source` the group that has number `figure` among those of all vectors."""
    top = largest(source)
    inverse = np.float32(127.0) / top if top > 0 else np.float32(0.0)
    vectors.sums[figure] = quantize(source, inverse, address_of(vectors.q) + GROUP * figure)
    vectors.scales[figure] = top / np.float32(127.0)


@native
def quantize_group(source, vectors, per_block, groups, at, group):
    """Make the 32 float32 at the address `source` the group `group` of vector `at`."""
    _quantize(source, vectors, (at // per_block * groups + group) * per_block + at % per_block)


@native
def quantize_row(row, vectors, per_block, at):
    """Make a whole float32 array vector `at`."""
    groups = row.shape[0] // GROUP
    first = at // per_block * groups * per_block + at % per_block
    for group in range(groups):
        _quantize(address_of(row) + 4 * GROUP * group, vectors, first + group * per_block)


@native
def quantize_finely(row, vectors):
    """Make a float32 array, which is used up, the sum of vectors 0 and 1, a block of two: the second holds the rest."""
    for part in range(2):
        quantize_row(row, vectors, 2, part)
        for i in range(row.shape[0]):
            figure = i // GROUP * 2 + part
            row[i] -= vectors.scales[figure] * np.float32(vectors.q[GROUP * figure + i % GROUP])


@native
def normalize(source, weight, eps, out):
    """RMSNorm of a vector."""
    n = source.shape[0]
    total = np.float32(0.0)
    for i in range(n):
        total += source[i] * source[i]
    factor = np.float32(1.0) / math.sqrt(total / np.float32(n) + np.float32(eps))
    for i in range(n):
        out[i] = source[i] * factor * weight[i]
