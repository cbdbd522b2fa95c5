"""Attention over an 8-bit cache of keys and values, as native code.

Keys lie in tiles of 32 tokens and values in tiles of 32 dimensions, so that both products, keys with
queries and values with probabilities, are those of packed matrices.
"""

import math

import numpy as np

from qwenchat.engine.local.cpu.arrays import QuantizedVectors
from qwenchat.engine.local.cpu.groups import (
    exponentials,
    hadamard,
    highest,
    largest,
    multiply_all,
    quantize_apart,
    quantize_into,
    rotate,
    total_of,
)
from qwenchat.engine.local.cpu.layout import BLOCKS_TOGETHER, GROUP, ROWS, SEGMENT
from qwenchat.engine.local.cpu.linear import U8, normalize, quantize_group, quantize_row, tile
from qwenchat.engine.local.cpu.native import address_of, fetch_add, half_bits, native


@native
def _rotate(row, rope):
    """Rotary position embedding (arXiv:2104.09864), non-interleaved; rope [2, d/2], cosines and sines."""
    half, at = row.shape[0] // 2, address_of(row)
    cosines, sines = address_of(rope), address_of(rope[1])
    for some in range(0, 4 * half, 2 * GROUP):
        rotate(at + some, at + 4 * half + some, cosines + some, sines + some)


@native
def _store_key(row, place, keys, scales):
    """Put a key, spread in groups of 32 dimensions, into its tile of a segment, quantized in these."""
    d, lane = row.shape[0], place % ROWS
    tile_at = (place - lane) * d
    for group in range(d // GROUP):
        source = address_of(row) + 4 * GROUP * group
        hadamard(source)
        top = largest(source)
        inverse = np.float32(127.0) / top if top > 0 else np.float32(0.0)
        quantize_apart(source, inverse, address_of(keys) + tile_at + GROUP * group * ROWS + 4 * lane, 4 * ROWS)
        scales[tile_at // GROUP + group * ROWS + lane] = half_bits(top / np.float32(127.0))


@native
def _store_value(row, place, values):
    """Put a value, spread in groups of 32 dimensions, into its tiles of a segment, quantized as a whole; its scale.

    The three tokens that share its fours must not be stored by another thread meanwhile.
    """
    groups, source = row.shape[0] // GROUP, address_of(row)
    top = np.float32(0.0)
    for group in range(groups):
        hadamard(source + 4 * GROUP * group)
        top = max(top, largest(source + 4 * GROUP * group))
    inverse = np.float32(127.0) / top if top > 0 else np.float32(0.0)
    to = address_of(values) + place // 4 * 4 * ROWS
    for group in range(groups):
        quantize_into(source + 4 * GROUP * group, inverse, to + GROUP * group * SEGMENT, place % 4)
    return top / np.float32(127.0)


@native
def prepare(layer, w, qkv, rope, cache, start, count, first_head, per_block, scratch, rank, threads):
    """This thread's share of norm, rotation and quantization of queries, keys and values of `count` tokens.

    Of a token alone it is some heads, else whole blocks of positions. What is before `first_head` is left out.
    """
    d, kv_heads, group = w.head_dim, w.kv_heads, w.heads // w.kv_heads
    padded, scale = -(-count * group // per_block) * per_block, np.float32(1.0 / math.sqrt(d))
    row, norms = scratch.row[rank], w.head_norms.shape[0] > 0
    first, step = (first_head + rank, threads) if count == 1 else (first_head, 1)
    for token in range(count):
        position = start + token
        if count > 1 and position // per_block % threads != rank:
            continue
        segment, place = position // SEGMENT, position % SEGMENT
        for head in range(first, w.heads + 2 * kv_heads, step):
            source = qkv[token, head * d : (head + 1) * d]
            if w.biases.shape[0]:
                for i in range(d):
                    source[i] += w.biases[layer, head * d + i]
            if head >= w.heads + kv_heads:
                kv = head - w.heads - kv_heads
                scale_of_value = _store_value(source, place, cache.values[segment, layer * kv_heads + kv])
                cache.value_scales[segment, layer * kv_heads + kv, place] = scale_of_value
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
                    hadamard(address_of(row) + 4 * at)
                at = head // group * padded + token * group + head % group
                quantize_row(row, scratch.queries, per_block, at)
            else:
                at = layer * kv_heads + head - w.heads
                _store_key(row, place, cache.keys[segment, at], cache.key_scales[segment, at])


@native
def _shares(scores, n, kv, cache, padded, vectors, per_block, at):
    """Softmax over `n` scores, weighted by the values' scales and quantized; returns what to divide the mix by.

    What lies beyond `n`, up to the whole groups of `padded`, changes nothing.
    """
    scores[n:padded] = np.float32(-np.inf)
    source, groups = address_of(scores), padded // GROUP
    exponentials(source, highest(source, groups), groups)
    scores[n:padded] = np.float32(0.0)
    divisor = total_of(source, groups)
    for first in range(0, padded, SEGMENT):
        scales, some = cache.value_scales[first // SEGMENT, kv], min(SEGMENT, padded - first) // GROUP
        multiply_all(source + 4 * first, address_of(scales), some)
    scores[n:padded] = np.float32(0.0)
    quantize_row(scores[:padded], vectors, per_block, at)
    return divisor


@native
def attend(layer, w, cache, start, count, per_query_block, vectors, per_block, scratch, shared, rank, threads):
    """This thread's share of attention; the mixed values become vectors for the output matrix."""
    d, group = w.head_dim, w.heads // w.kv_heads
    span = cache.keys.shape[1] * SEGMENT * d
    blocks = -(-count * group // per_query_block)
    together = max(1, min(BLOCKS_TOGETHER, w.kv_heads * blocks // (4 * threads)))
    items = -(-blocks // together)
    scores, mixed, divisors = scratch.scores[rank], scratch.mixed[rank], scratch.divisors[rank]
    shares = QuantizedVectors(scratch.shares_q[rank], scratch.shares_scales[rank], scratch.shares_sums[rank])
    ones, groups, query_bytes = address_of(scratch.ones), d // GROUP, per_query_block * d
    item = fetch_add(shared, 0, 1)
    while item < w.kv_heads * items:
        kv, first = item // items, item % items * together
        some = min(together, blocks - first)
        head_at, begin = layer * w.kv_heads + kv, first * per_query_block
        reach = start + min((begin + some * per_query_block - 1) // group, count - 1) + 1
        padded = -(-reach // GROUP) * GROUP
        keys, key_scales = address_of(cache.keys[0, head_at]), address_of(cache.key_scales[0, head_at])
        for at in range(-(-reach // ROWS)):
            here = at * ROWS // SEGMENT * span + at * ROWS % SEGMENT * d
            for block in range(some):
                query = (kv * blocks + first + block) * query_bytes
                figures, to = query // GROUP * 4, address_of(scores[block * per_query_block, at * ROWS :])
                tile(U8, per_query_block, keys + here, key_scales + here // GROUP * 2, 0,
                     address_of(scratch.queries.q) + query, address_of(scratch.queries.scales) + figures,
                     address_of(scratch.queries.sums) + figures, to, scores.shape[1], groups, 0)  # fmt: skip
        for place in range(some * per_query_block):
            token = min((begin + place) // group, count - 1)
            divisors[place] = _shares(
                scores[place], start + token + 1, head_at, cache, padded, shares, per_query_block, place
            )
        for segment in range(-(-padded // SEGMENT)):
            length = min(SEGMENT, padded - segment * SEGMENT)
            for at in range(d // ROWS):
                values = address_of(cache.values[segment, head_at]) + at * ROWS * SEGMENT
                for block in range(some):
                    share = (block * padded + segment * SEGMENT) * per_query_block
                    figures, to = share // GROUP * 4, address_of(mixed[block * per_query_block, at * ROWS :])
                    tile(U8, per_query_block, values, ones, 0, address_of(shares.q) + share,
                         address_of(shares.scales) + figures, address_of(shares.sums) + figures,
                         to, d, length // GROUP, min(segment, 1))  # fmt: skip
        for place in range(some * per_query_block):
            token, head = (begin + place) // group, kv * group + (begin + place) % group
            if token >= count:
                continue
            for i in range(d):
                mixed[place, i] /= divisors[place]
            for g in range(groups):
                source = address_of(mixed[place, g * GROUP :])
                hadamard(source)
                quantize_group(source, vectors, per_block, w.heads * groups, token, head * groups + g)
        item = fetch_add(shared, 0, 1)
