"""Attention over an 8-bit cache of keys and values, as native code.

Keys lie in tiles of sixteen tokens and values in tiles of sixteen dimensions, so that both products, keys with
queries and values with probabilities, are those of packed matrices.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from qwenchat.engine.local.cpu.linear import (
    U8,
    Vectors,
    normalize,
    quantize_group,
    quantize_row,
    tile,
)
from qwenchat.engine.local.cpu.native import FAST, address_of, fetch_add, float_of_bits, half_bits, native
from qwenchat.engine.local.cpu.simd import GROUP, ROWS, largest, quantize, spread, total_of


class Cache(NamedTuple):
    """Keys and values of the tokens read; `capacity` is a multiple of 32."""

    keys: np.ndarray
    """[layers, kv_heads, capacity * head_dim] uint8."""
    key_scales: np.ndarray
    """[layers, kv_heads, capacity * head_dim / 32] uint16: halves, one for 32 dimensions of a token."""
    values: np.ndarray
    """[layers, kv_heads, head_dim * capacity] uint8."""
    value_scales: np.ndarray
    """[layers, kv_heads, capacity] float32."""


class AttentionScratch(NamedTuple):
    """Memory for the attention of one chunk."""

    queries: Vectors
    """Blocks of queries, those that share a kv head together."""
    scores: np.ndarray
    """[threads, BLOCK, capacity] float32, the rows a little longer."""
    mixed: np.ndarray
    """[threads, BLOCK, head_dim] float32."""
    shares_q: np.ndarray
    """[threads, BLOCK * capacity] int8: probabilities as `Vectors`."""
    shares_scales: np.ndarray
    """[threads, BLOCK * capacity / 32] float32."""
    shares_sums: np.ndarray
    """[threads, BLOCK * capacity / 32] int32."""
    ones: np.ndarray
    """[capacity / 2] uint16, halves: the scales of value tiles, whose own are in the probabilities."""
    row: np.ndarray
    """[threads, head_dim] float32."""
    bytes: np.ndarray
    """[threads, head_dim] uint8."""


@native
def exp(x):
    """e^x of a float32 within -87 to 87, after Cephes' expf; written so that it is done for many x at once."""
    x = min(max(x, np.float32(-87.0)), np.float32(87.0))
    n = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    return p * float_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))


@native
def _rotate(row, rope):
    """Rotary position embedding (arXiv:2104.09864), non-interleaved; rope [2, d/2], cosines and sines."""
    half = row.shape[0] // 2
    for i in range(half):
        first, second = row[i], row[i + half]
        row[i] = first * rope[0, i] - second * rope[1, i]
        row[i + half] = second * rope[0, i] + first * rope[1, i]


@native
def _store_key(row, position, keys, scales):
    """Put a key, spread in groups of 32 dimensions, into its tile, quantized in these."""
    d, lane = row.shape[0], position % ROWS
    tile_at = (position - lane) * d
    for group in range(d // GROUP):
        source = address_of(row) + 4 * GROUP * group
        spread(source)
        top = largest(source)
        inverse = np.float32(127.0) / top if top > 0 else np.float32(0.0)
        quantize(source, inverse, address_of(keys) + tile_at + (GROUP * group * ROWS) + 4 * lane, 4 * ROWS, 128)
        scales[tile_at // GROUP + group * ROWS + lane] = half_bits(top / np.float32(127.0))


@native
def _store_value(row, position, values, scales, bytes_):
    """Put a value, spread in groups of 32 dimensions, into its tiles, quantized as a whole."""
    d, capacity = row.shape[0], scales.shape[0]
    top = np.float32(0.0)
    for group in range(d // GROUP):
        spread(address_of(row) + 4 * GROUP * group)
        top = max(top, largest(address_of(row) + 4 * GROUP * group))
    inverse = np.float32(127.0) / top if top > 0 else np.float32(0.0)
    for group in range(d // GROUP):
        quantize(address_of(row) + 4 * GROUP * group, inverse, address_of(bytes_) + GROUP * group, 4, 128)
    base = position // 4 * 4 * ROWS + position % 4
    for dims in range(0, d, ROWS):
        for i in range(ROWS):
            values[dims * capacity + base + 4 * i] = bytes_[dims + i]
    scales[position] = top / np.float32(127.0)


@native
def prepare(layer, w, qkv, rope, cache, start, count, per_block, scratch, rank, threads):
    """This thread's share of norm, rotation and quantization of queries, keys and values of `count` tokens."""
    d, kv_heads, group = w.head_dim, w.kv_heads, w.heads // w.kv_heads
    padded, scale = -(-count * group // per_block) * per_block, np.float32(1.0 / math.sqrt(d))
    row, norms = scratch.row[rank], w.head_norms.shape[0] > 0
    first, step = (rank, threads) if count == 1 else (0, 1)
    for token in range(count):
        if count > 1 and token // per_block % threads != rank:
            continue
        for head in range(first, w.heads + 2 * kv_heads, step):
            source = qkv[token, head * d : (head + 1) * d]
            if w.biases.shape[0]:
                for i in range(d):
                    source[i] += w.biases[layer, head * d + i]
            if head >= w.heads + kv_heads:
                kv = head - w.heads - kv_heads
                _store_value(source, start + token, cache.values[layer, kv], cache.value_scales[layer, kv],
                             scratch.bytes[rank])  # fmt: skip
                continue
            is_query = head < w.heads
            if norms:
                normalize(source, w.head_norms[layer, 0 if is_query else 1], w.eps, row)
            else:
                for i in range(d):
                    row[i] = source[i]
            _rotate(row, rope[token])
            if is_query:
                for i in range(d):
                    row[i] *= scale
                for at in range(0, d, GROUP):
                    spread(address_of(row) + 4 * at)
                at = head // group * padded + token * group + head % group
                quantize_row(row, scratch.queries, per_block, at)
            else:
                kv = head - w.heads
                _store_key(row, start + token, cache.keys[layer, kv], cache.key_scales[layer, kv])


@njit(nogil=True, error_model="numpy", fastmath=FAST | {"nnan"})
def _highest(scores, n):
    """The largest of the first `n`."""
    top = scores[0]
    for i in range(n):
        top = max(top, scores[i])
    return top


@native
def _shares(scores, n, value_scales, padded, vectors, per_block, at):
    """Softmax over `n` scores, weighted by the values' scales and quantized; returns what to divide the mix by.

    What lies beyond `n`, up to the whole groups of `padded`, changes nothing.
    """
    scores[n:padded] = np.float32(-np.inf)
    top = _highest(scores, padded)
    for i in range(padded):
        scores[i] = exp(scores[i] - top)
    scores[n:padded] = np.float32(0.0)
    divisor = total_of(address_of(scores), padded // GROUP)
    for i in range(n):
        scores[i] *= value_scales[i]
    quantize_row(scores[:padded], vectors, per_block, at)
    return divisor


@native
def attend(layer, w, cache, start, count, per_query_block, vectors, per_block, scratch, shared, counter, rank):
    """This thread's share of attention; the mixed values become vectors for the output matrix."""
    d, capacity, group = w.head_dim, cache.value_scales.shape[2], w.heads // w.kv_heads
    blocks = -(-count * group // per_query_block)
    scores, mixed = scratch.scores[rank], scratch.mixed[rank]
    shares = Vectors(scratch.shares_q[rank], scratch.shares_scales[rank], scratch.shares_sums[rank])
    ones, groups, query_bytes = address_of(scratch.ones), d // GROUP, per_query_block * d
    item = fetch_add(shared, counter, 1)
    while item < w.kv_heads * blocks:
        kv, block = item // blocks, item % blocks
        last = min(((block + 1) * per_query_block - 1) // group, count - 1)
        reach = start + last + 1
        padded = -(-reach // GROUP) * GROUP
        keys, key_scales = address_of(cache.keys[layer, kv]), address_of(cache.key_scales[layer, kv])
        query = address_of(scratch.queries.q) + item * query_bytes
        figures = item * groups * per_query_block * 4
        q_scales, q_sums = address_of(scratch.queries.scales) + figures, address_of(scratch.queries.sums) + figures
        for at in range(-(-reach // ROWS)):
            tile(U8, per_query_block, keys + at * ROWS * d, key_scales + at * ROWS * groups * 2, 0, query,
                 q_scales, q_sums, address_of(scores) + 4 * at * ROWS, scores.shape[1], groups, 0)  # fmt: skip
        for place in range(per_query_block):
            token = min((block * per_query_block + place) // group, count - 1)
            scratch.row[rank, place] = _shares(scores[place], start + token + 1, cache.value_scales[layer, kv], padded,
                                               shares, per_query_block, place)  # fmt: skip
        for at in range(d // ROWS):
            tile(U8, per_query_block, address_of(cache.values[layer, kv]) + at * ROWS * capacity, ones, 0,
                 address_of(shares.q), address_of(shares.scales), address_of(shares.sums),
                 address_of(mixed) + 4 * at * ROWS, d, padded // GROUP, 0)  # fmt: skip
        for place in range(per_query_block):
            query_at = block * per_query_block + place
            token, head = query_at // group, kv * group + query_at % group
            if token >= count:
                continue
            for i in range(d):
                mixed[place, i] /= scratch.row[rank, place]
            for g in range(groups):
                source = address_of(mixed) + 4 * (place * d + g * GROUP)
                spread(source)
                quantize_group(source, vectors, per_block, w.heads * groups, token, head * groups + g)
        item = fetch_add(shared, counter, 1)
