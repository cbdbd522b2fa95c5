"""Qwen3, Qwen2 and Llama as one native function that a team of threads runs together, for a token or a chunk.

Between two barriers each thread takes the next piece of work that is left, so that a slow thread holds up little.
"""

import numpy as np

from qwenchat.engine.local.cpu.attention import attend, prepare
from qwenchat.engine.local.cpu.groups import gate
from qwenchat.engine.local.cpu.layout import BLOCK, GROUP, MATRIX_BLOCK
from qwenchat.engine.local.cpu.linear import (
    GROUPS,
    multiply,
    normalize,
    quantize_finely,
    quantize_group,
    quantize_row,
)
from qwenchat.engine.local.cpu.native import address_of, barrier, native

Q, K, V, OUT, GATE, UP, DOWN = range(7)
"""The matrices of a layer."""


@native
def _normalized(x, weight, eps, row, vectors, per_block, count, rank, threads):
    """Normalize and quantize this thread's blocks of the residual stream."""
    for token in range(count):
        if token // per_block % threads == rank:
            normalize(x[token, : row.shape[0]], weight, eps, row)
            quantize_row(row, vectors, per_block, token)


@native
def _gated(gate_up, inner, vectors, per_block, count, rank, threads):
    """This thread's share of SwiGLU, quantized: whole blocks of tokens, or a part of a single one."""
    groups = inner // GROUP
    first, last = (groups * rank // threads, groups * (rank + 1) // threads) if count == 1 else (0, groups)
    for token in range(count):
        if count > 1 and token // per_block % threads != rank:
            continue
        for group in range(first, last):
            source = address_of(gate_up[token]) + 4 * GROUP * group
            gate(source, source + 4 * inner)
            quantize_group(source, vectors, per_block, groups, token, group)


@native
def _make_first(s, at):
    """Put what is known of token `at` where the first token's is."""
    for i in range(s.x.shape[1]):
        s.x[0, i] = s.x[at, i]
    for i in range(s.rope.shape[2]):
        s.rope[0, 0, i], s.rope[0, 1, i] = s.rope[at, 0, i], s.rope[at, 1, i]


@native
def forward(rank, threads, w, cache, s, start, count, logits, shared, stop):
    """Read `count` tokens, whose embeddings are in `s.x`, after `start` others; all threads call it together.

    `logits` [2, vocab] float32 become two summands of those after the last token. `stop` [1] uint8 ends it early; says
    whether it came to its end.
    """
    # Numba would compile `multiply` anew for each combination of numbers that are written out.
    zero, one, two = np.int64(0), np.int64(1), np.int64(2)
    group, d, layers = w.heads // w.kv_heads, w.head_dim, w.norms.shape[0]
    keys, values, inner = w.heads * d, (w.heads + w.kv_heads) * d, w.matrices[0, DOWN, GROUPS] * GROUP
    queries_of_one = np.int64(4 if group % 4 == 0 else 2 if group % 2 == 0 else 1)
    per_query_block = queries_of_one if count == 1 else np.int64(BLOCK)
    per_block = one if count == 1 else np.int64(BLOCK) if count < MATRIX_BLOCK else s.block
    room = s.rooms[rank]
    blocks = -(-count // per_block)
    for layer in range(layers):
        matrices = w.matrices[layer]
        if layer == layers - 1 and count > 1:
            # Its result matters only for the token whose logits are wanted; of the others it needs keys and values.
            _normalized(s.x, w.norms[layer, 0], w.eps, s.row[rank], s.vectors, per_block, count - 1, rank, threads)
            barrier(shared, threads, stop)
            multiply(matrices[K], s.vectors, per_block, blocks, s.qkv, keys, zero, room, shared, one, threads)
            multiply(matrices[V], s.vectors, per_block, blocks, s.qkv, values, zero, room, shared, two, threads)
            barrier(shared, threads, stop)
            prepare(layer, w, s.qkv, s.rope, cache, start, count - 1, w.heads, per_query_block, s.attention, rank,
                    threads)  # fmt: skip
            barrier(shared, threads, stop)
            if rank == 0:
                _make_first(s, count - 1)
            barrier(shared, threads, stop)
            start, count, per_block, blocks, per_query_block = start + count - 1, one, one, one, queries_of_one
        _normalized(s.x, w.norms[layer, 0], w.eps, s.row[rank], s.vectors, per_block, count, rank, threads)
        if not barrier(shared, threads, stop):
            return False
        multiply(matrices[Q], s.vectors, per_block, blocks, s.qkv, zero, zero, room, shared, zero, threads)
        multiply(matrices[K], s.vectors, per_block, blocks, s.qkv, keys, zero, room, shared, one, threads)
        multiply(matrices[V], s.vectors, per_block, blocks, s.qkv, values, zero, room, shared, two, threads)
        barrier(shared, threads, stop)
        prepare(layer, w, s.qkv, s.rope, cache, start, count, zero, per_query_block, s.attention, rank, threads)
        barrier(shared, threads, stop)
        attend(layer, w, cache, start, count, per_query_block, s.vectors, per_block, s.attention, shared, rank, threads)
        barrier(shared, threads, stop)
        multiply(matrices[OUT], s.vectors, per_block, blocks, s.x, zero, one, room, shared, zero, threads)
        barrier(shared, threads, stop)
        _normalized(s.x, w.norms[layer, 1], w.eps, s.row[rank], s.vectors, per_block, count, rank, threads)
        if not barrier(shared, threads, stop):
            return False
        multiply(matrices[GATE], s.vectors, per_block, blocks, s.gate_up, zero, zero, room, shared, zero, threads)
        multiply(matrices[UP], s.vectors, per_block, blocks, s.gate_up, inner, zero, room, shared, one, threads)
        barrier(shared, threads, stop)
        _gated(s.gate_up, inner, s.vectors, per_block, count, rank, threads)
        if not barrier(shared, threads, stop):
            return False
        multiply(matrices[DOWN], s.vectors, per_block, blocks, s.x, zero, one, room, shared, zero, threads)
        barrier(shared, threads, stop)
    if rank == 0:
        normalize(s.x[0, : s.row.shape[1]], w.last_norm, w.eps, s.row[0])
        quantize_finely(s.row[0], s.vectors)
    barrier(shared, threads, stop)
    multiply(w.output, s.vectors, two, one, logits, zero, zero, room, shared, zero, threads)
    barrier(shared, threads, stop)
    return True
