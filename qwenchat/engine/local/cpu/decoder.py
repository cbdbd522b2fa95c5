"""The quantized transformer on the CPU, one sequence at a time."""

import time
from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

import numpy as np

from qwenchat.chat.errors import ModelDamaged
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local.cpu.arrays import AttentionScratch, Scratch, Weights, aligned, new_shared, new_vectors
from qwenchat.engine.local.cpu.cache import QuantizedCache
from qwenchat.engine.local.cpu.layout import (
    BLOCK,
    BLOCKS_TOGETHER,
    CHUNK,
    GROUP,
    MATRIX_BLOCK,
    ROOM_BYTES,
    ROWS,
    SEGMENT,
)
from qwenchat.engine.local.cpu.machine_code import Forward
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.engine.local.cpu.processor import RUNS_HERE, matrix_unit_permitted
from qwenchat.engine.local.cpu.thread_pool import ThreadPool
from qwenchat.engine.local.cpu.thread_tuner import ThreadTuner
from qwenchat.engine.local.decoder_config import DecoderConfig
from qwenchat.i18n.texts import say

_APART = ROWS
"""Elements between the end of a row and the next."""
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")
WIDE = ("model.embed_tokens.weight", "lm_head.weight")
"""Matrices that four bits would harm most; they keep eight."""


def can_pack(config: DecoderConfig) -> bool:
    """Whether all sizes are whole groups of 32, as the kernels want them, and this processor can run those."""
    c = config
    return RUNS_HERE and not any(size % GROUP for size in (c.hidden, c.intermediate, c.head_dim))


class QuantizedDecoder:
    """The packed weights and the threads that multiply them."""

    interruptible = True

    def __init__(
        self,
        config: DecoderConfig,
        take: Callable[[str, tuple[int, ...]], Any],
        threads: int,
    ) -> None:
        """`take(name, shape)` gives a weight by its safetensors name, None if absent.

        Matrices are PackedMatrix, vectors float32 arrays.
        """

        def need(name: str, *shape: int) -> Any:
            found = take(name, shape)
            if found is None:
                raise ModelDamaged(say("The weights lack {name}.", name=name), say("Download the model again."))
            return found

        c = self.config = config
        d, q, kv = c.head_dim, c.heads * c.head_dim, c.kv_heads * c.head_dim
        sizes = [(q, c.hidden), (kv, c.hidden), (kv, c.hidden), (c.hidden, q)]
        sizes += [(c.intermediate, c.hidden)] * 2 + [(c.hidden, c.intermediate)]
        names = [f"self_attn.{name}" for name in _ATTENTION] + [f"mlp.{name}" for name in _FEED_FORWARD]
        layers = [f"model.layers.{at}." for at in range(c.layers)]
        self.embedding = need("model.embed_tokens.weight", c.vocab, c.hidden)
        self.output = self.embedding if c.tied else need("lm_head.weight", c.vocab, c.hidden)
        self.matrices = [
            [need(f"{at}{name}.weight", *size) for name, size in zip(names, sizes, strict=True)] for at in layers
        ]

        def optional(suffix: str, parts: list[tuple[str, int]]) -> np.ndarray:
            """[layers, parts together] float32, without layers if the model has none of these."""
            rows = [[take(f"{at}self_attn.{name}_{suffix}", (size,)) for name, size in parts] for at in layers]
            length = sum(size for _, size in parts)
            if all(part is None for row in rows for part in row):
                return np.zeros((0, length), np.float32)
            if any(part is None for row in rows for part in row):
                raise ModelDamaged(
                    say("Some layers lack their {suffix}.", suffix=suffix), say("Download the model again.")
                )
            return np.array([np.concatenate(row) for row in rows], np.float32)

        self._weights = Weights(
            matrices=np.array([[matrix.table_row for matrix in row] for row in self.matrices], np.int64),
            output=np.array(self.output.table_row, np.int64),
            norms=np.array(
                [[need(f"{at}{n}_layernorm.weight", c.hidden) for n in ("input", "post_attention")] for at in layers],
                np.float32,
            ),
            head_norms=optional("norm.weight", [("q", d), ("k", d)]).reshape(-1, 2, d),
            biases=optional("proj.bias", [("q", q), ("k", kv), ("v", kv)]),
            last_norm=need("model.norm.weight", c.hidden),
            heads=c.heads,
            kv_heads=c.kv_heads,
            head_dim=d,
            eps=c.norm_eps,
        )
        self._frequencies = c.rope_base ** (-np.arange(0, d, 2) / d)
        self._pool, self._threads = ThreadPool(), threads
        self._paces = (ThreadTuner(threads), ThreadTuner(threads))
        """For single tokens and for chunks."""
        weights = sum(matrix.rows * matrix.columns for row in self.matrices for matrix in row)
        self._step: tuple[int, int] = (self.nbytes, weights)
        """Bytes of all matrices, and weights of those in the layers."""
        self._shared = new_shared()
        self._forward: Forward | None = None
        self._cache: Callable[[], QuantizedCache | None] = lambda: None
        """The cache that `_forward` is for, if there still is one."""

    @property
    def _every_matrix(self) -> list[PackedMatrix]:
        ends = [self.embedding] if self.config.tied else [self.embedding, self.output]
        return [*ends, *(matrix for row in self.matrices for matrix in row)]

    @property
    def parameters(self) -> int:
        """How many weights there are."""
        w = self._weights
        vectors = (w.norms, w.head_norms, w.biases, w.last_norm)
        return sum(m.rows * m.columns for m in self._every_matrix) + sum(vector.size for vector in vectors)

    @property
    def nbytes(self) -> int:
        """Memory of the matrices."""
        return sum(matrix.nbytes for matrix in self._every_matrix)

    def new_cache(self, window: int) -> QuantizedCache:
        """See `Network.new_cache`."""
        return QuantizedCache(self.config, window)

    def read(self, ids: Sequence[int], cache: QuantizedCache, stop: StopSignal) -> np.ndarray:
        """See `Network.read`."""
        begin = cache.length
        try:
            for at in range(0, len(ids), CHUNK):
                logits = self._read(np.asarray(ids[at : at + CHUNK]), cache, stop)
        except Stopped:
            cache.crop(begin)
            raise
        return logits

    def warm_up(self) -> None:
        """Have the native code loaded, or compiled, which takes seconds the first time on a machine and none later."""
        self._forward_for(self.new_cache(GROUP))

    def close(self) -> None:
        """See `Network.close`."""
        self._pool.close()

    def _read(self, ids: np.ndarray, cache: QuantizedCache, stop: StopSignal) -> np.ndarray:
        forward = self._forward_for(cache)
        scratch, count, start = forward.scratch, len(ids), cache.length
        if start + count > cache.window:
            raise ValueError(f"{start + count} tokens do not fit a window of {cache.window}")
        scratch.x[:count, : self.config.hidden] = self.embedding.take(ids)
        angles = np.arange(start, start + count)[:, None] * self._frequencies
        scratch.rope[:count, 0], scratch.rope[:count, 1] = np.cos(angles), np.sin(angles)
        pace, measured = self._paces[count > 1], count in (1, CHUNK)
        threads, began = pace.choose() if measured else pace.fastest, time.perf_counter()
        flag = np.frombuffer(stop.flag, np.uint8)
        forward.prepare(threads, start, count, flag)
        if not self._pool.run(forward.run, threads):
            raise Stopped
        if measured:
            pace.record(time.perf_counter() - began, self._work(cache, start, count))
        cache.length = start + count
        summed: np.ndarray = forward.logits[:, : self.config.vocab].sum(0)
        return summed

    def _work(self, cache: QuantizedCache, start: int, count: int) -> float:
        """How much it is to read `count` tokens after others: of one the bytes, of many the multiplications."""
        c, (size, weights) = self.config, self._step
        if count == 1:
            return size + start * cache.bytes_per_token
        return count * (weights + 2 * c.layers * c.heads * c.head_dim * (start + count / 2))

    def _forward_for(self, cache: QuantizedCache) -> Forward:
        """What reads on in a cache; its scratch memory is that of the cache before, if both are as long."""
        before = self._forward
        if before is None or self._cache() is not cache:
            fits = before is not None and before.scratch.attention.scores.shape[2] == cache.capacity + _APART
            scratch = before.scratch if before is not None and fits else self._new_scratch(cache.capacity)
            logits = np.empty((2, -(-self.config.vocab // ROWS) * ROWS), np.float32)
            self._forward = Forward(self._weights, cache.arrays, scratch, logits, self._shared, self._threads)
            self._cache = ref(cache)
            return self._forward
        return before

    def _new_scratch(self, capacity: int) -> Scratch:
        c, threads = self.config, self._threads
        d, together = c.head_dim, BLOCKS_TOGETHER * BLOCK
        figures = together * capacity // GROUP

        def floats(*shape: int) -> np.ndarray:
            return np.zeros(shape, np.float32)

        queries = (-(-CHUNK * c.heads // c.kv_heads // BLOCK) * BLOCK) * c.kv_heads
        attention = AttentionScratch(
            queries=new_vectors(queries, d),
            scores=np.empty((threads, together, capacity + _APART), np.float32),
            divisors=floats(threads, together),
            mixed=floats(threads, together, d),
            shares_q=np.empty((threads, together * capacity), np.int8),
            shares_scales=np.empty((threads, figures), np.float32),
            shares_sums=np.empty((threads, figures), np.int32),
            ones=aligned(SEGMENT // GROUP * ROWS, np.float16).view(np.uint16),
            row=floats(threads, d),
        )
        attention.ones.view(np.float16)[:] = 1
        room = ROOM_BYTES + max(c.hidden, c.heads * d, c.intermediate) * ROWS
        return Scratch(
            x=floats(CHUNK, c.hidden + _APART),
            qkv=floats(CHUNK, (c.heads + 2 * c.kv_heads) * d + _APART),
            gate_up=floats(CHUNK, 2 * c.intermediate + _APART),
            rope=floats(CHUNK, 2, d // 2),
            row=floats(threads, c.hidden),
            vectors=new_vectors(CHUNK, max(c.hidden, c.heads * d, c.intermediate)),
            attention=attention,
            rooms=aligned(threads * room, np.uint8).reshape(threads, room),
            block=MATRIX_BLOCK if matrix_unit_permitted() else BLOCK,
        )
