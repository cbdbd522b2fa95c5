"""The arrays that native code works on, and what they hold."""

from typing import NamedTuple

import numpy as np

from qwenchat.engine.local.cpu.layout import GROUP

_ALIGNMENT = 64


def aligned(count: int, dtype: type[np.generic]) -> np.ndarray:
    """`count` zeros that begin at a multiple of 64 bytes, as the kernels want it; memory is taken as it is written."""
    size = count * np.dtype(dtype).itemsize
    raw = np.zeros(size + _ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % _ALIGNMENT
    return raw[begin : begin + size].view(dtype)


def new_shared() -> np.ndarray:
    """The memory through which the threads of one team agree: counters, barrier, stop, each on a cache line."""
    return np.zeros(32, np.int64)


class QuantizedVectors(NamedTuple):
    """Quantized vectors, by blocks."""

    q: np.ndarray
    """int8, [block, group, vector, 32]."""
    scales: np.ndarray
    """float32, [block, group, vector]."""
    sums: np.ndarray
    """int32, [block, group, vector]: of the elements of each group, times -128."""


def new_vectors(count: int, length: int) -> QuantizedVectors:
    """Room for `count` vectors of `length` elements."""
    groups = count * length // GROUP
    return QuantizedVectors(aligned(count * length, np.int8), aligned(groups, np.float32), aligned(groups, np.int32))


class CacheView(NamedTuple):
    """Keys and values of the tokens read; `layer * kv_heads + kv_head` says where those of a head lie in a segment."""

    keys: np.ndarray
    """[segments, heads, SEGMENT * head_dim] uint8."""
    key_scales: np.ndarray
    """[segments, heads, SEGMENT * head_dim / 32] uint16: halves, one for 32 dimensions of a token."""
    values: np.ndarray
    """[segments, heads, head_dim * SEGMENT] uint8."""
    value_scales: np.ndarray
    """[segments, heads, SEGMENT] float32."""


class AttentionScratch(NamedTuple):
    """Memory for the attention of one chunk; a thread has room for BLOCKS_TOGETHER * BLOCK queries."""

    queries: QuantizedVectors
    """Blocks of queries, those that share a kv head together."""
    scores: np.ndarray
    """[threads, queries, tokens] float32, the rows a little longer."""
    divisors: np.ndarray
    """[threads, queries] float32: the sums of the probabilities."""
    mixed: np.ndarray
    """[threads, queries, head_dim] float32."""
    shares_q: np.ndarray
    """[threads, queries * tokens] int8: probabilities as `QuantizedVectors`."""
    shares_scales: np.ndarray
    """[threads, queries * tokens / 32] float32."""
    shares_sums: np.ndarray
    """[threads, queries * tokens / 32] int32."""
    ones: np.ndarray
    """[SEGMENT / 32 * ROWS] uint16, halves: the scales of value tiles, whose own are in the probabilities."""
    row: np.ndarray
    """[threads, head_dim] float32."""


class Weights(NamedTuple):
    """The model."""

    matrices: np.ndarray
    """[layers, 7, 6] int64, a table row for each matrix."""
    output: np.ndarray
    """[6] int64, the table row of the matrix that gives the logits."""
    norms: np.ndarray
    """[layers, 2, hidden] float32: before attention, before the feed-forward part."""
    head_norms: np.ndarray
    """[layers, 2, head_dim] float32, of queries and keys; [0, 2, head_dim] for a model without."""
    biases: np.ndarray
    """[layers, heads of q, k, v * head_dim] float32; [0, ...] for a model without."""
    last_norm: np.ndarray
    """[hidden] float32."""
    heads: int
    kv_heads: int
    head_dim: int
    eps: float


class Scratch(NamedTuple):
    """Memory for one chunk of tokens, rounded up to whole blocks.

    Rows are a little longer than named, so that neighbours do not compete for the same cache lines.
    """

    x: np.ndarray
    """[tokens, hidden] float32, the residual stream."""
    qkv: np.ndarray
    """[tokens, heads of q, k, v * head_dim] float32."""
    gate_up: np.ndarray
    """[tokens, 2 * intermediate] float32."""
    rope: np.ndarray
    """[tokens, 2, head_dim / 2] float32, cosines and sines of the positions."""
    row: np.ndarray
    """[threads, hidden] float32."""
    vectors: QuantizedVectors
    attention: AttentionScratch
    rooms: np.ndarray
    """[threads, any] uint8, for `multiply`."""
    block: int
    """How many vectors are multiplied together if there are many: BLOCK, or MATRIX_BLOCK by a matrix unit."""
