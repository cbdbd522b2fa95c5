"""The quantized transformer on the CPU, one sequence at a time."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from qwenchat.chat.errors import ModelDamaged
from qwenchat.engine.local.cpu.attention import AttentionScratch, Cache
from qwenchat.engine.local.cpu.forward import Scratch, Weights, forward
from qwenchat.engine.local.cpu.linear import BLOCK, new_vectors
from qwenchat.engine.local.cpu.native import new_shared
from qwenchat.engine.local.cpu.packing import PackedMatrix, aligned
from qwenchat.engine.local.cpu.simd import GROUP, ROWS
from qwenchat.engine.local.cpu.team import Team
from qwenchat.engine.local.decoder import DecoderConfig

CHUNK = 256
"""Tokens read at once at most."""
_APART = ROWS
"""Elements between the end of a row and the next."""
_MATRICES = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
_MATRICES += ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


class QuantizedCache:
    """8-bit keys and values; the memory is reserved for the whole window and taken as it is used."""

    def __init__(self, config: DecoderConfig, window: int) -> None:
        self.window = window
        self.length = 0
        capacity = -(-window // GROUP) * GROUP
        shape = (config.layers, config.kv_heads)
        elements = capacity * config.head_dim
        count = config.layers * config.kv_heads
        self.arrays = Cache(
            aligned(count * elements, np.uint8).reshape(*shape, elements),
            aligned(count * elements // GROUP, np.uint16).reshape(*shape, elements // GROUP),
            aligned(count * elements, np.uint8).reshape(*shape, elements),
            aligned(count * capacity, np.float32).reshape(*shape, capacity),
        )

    @property
    def device(self) -> torch.device:
        """Where it lives."""
        return torch.device("cpu")

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; does nothing when there are not more."""
        self.length = min(self.length, length)


class QuantizedDecoder:
    """The packed weights and the threads that multiply them."""

    def __init__(
        self,
        config: DecoderConfig,
        matrix: Callable[[str, int, int], PackedMatrix],
        vector: Callable[[str, int], np.ndarray | None],
        threads: int,
    ) -> None:
        """`matrix(name, rows, columns)` and `vector(name, length)` give the weights by their safetensors names."""

        def need(name: str, length: int) -> np.ndarray:
            found = vector(name, length)
            if found is None:
                raise ModelDamaged(f"The weights lack {name}.", "Download the model again.")
            return found

        c = self.config = config
        d, q, kv = c.head_dim, c.heads * c.head_dim, c.kv_heads * c.head_dim
        sizes = [(q, c.hidden), (kv, c.hidden), (kv, c.hidden), (c.hidden, q)]
        sizes += [(c.intermediate, c.hidden)] * 2 + [(c.hidden, c.intermediate)]
        layers = [f"model.layers.{at}." for at in range(c.layers)]
        self.embedding = matrix("model.embed_tokens.weight", c.vocab, c.hidden)
        self.output = self.embedding if c.tied else matrix("lm_head.weight", c.vocab, c.hidden)
        self.matrices = [
            [matrix(f"{at}{name}.weight", *size) for name, size in zip(_MATRICES, sizes, strict=True)] for at in layers
        ]
        norms = [
            [need(f"{at}{name}_layernorm.weight", c.hidden) for name in ("input", "post_attention")] for at in layers
        ]
        head_norms = [[vector(f"{at}self_attn.{name}_norm.weight", d) for name in "qk"] for at in layers]
        biases = [
            [vector(f"{at}self_attn.{n}_proj.bias", size) for n, size in (("q", q), ("k", kv), ("v", kv))]
            for at in layers
        ]
        self._weights = Weights(
            matrices=np.array([[m.table_row for m in row] for row in self.matrices], np.int64),
            output=np.array(self.output.table_row, np.int64),
            norms=np.array(norms, np.float32),
            head_norms=np.array(head_norms if head_norms[0][0] is not None else np.zeros((0, 2, d)), np.float32),
            biases=np.array(
                [np.concatenate(row) for row in biases] if biases[0][0] is not None else np.zeros((0, q + 2 * kv)),  # type: ignore[arg-type]
                np.float32,
            ),
            last_norm=need("model.norm.weight", c.hidden),
            heads=c.heads,
            kv_heads=c.kv_heads,
            head_dim=d,
            eps=c.norm_eps,
        )
        self._frequencies = c.rope_base ** (-np.arange(0, d, 2) / d)
        self._team = Team(threads)
        self._shared = new_shared()
        self._scratch: Scratch | None = None

    def new_cache(self, window: int) -> QuantizedCache:
        """See `Network.new_cache`."""
        cache = QuantizedCache(self.config, window)
        self._scratch = self._new_scratch(cache.arrays.value_scales.shape[2])
        return cache

    def forward(self, ids: Tensor, cache: QuantizedCache, stop: np.ndarray | None = None) -> Tensor:
        """See `Network.forward`."""
        never = np.zeros(1, np.uint8) if stop is None else stop
        for begin in range(0, len(ids), CHUNK):
            logits = self._read(ids[begin : begin + CHUNK].numpy(), cache, never)
        return logits

    def _read(self, ids: np.ndarray, cache: QuantizedCache, stop: np.ndarray) -> Tensor:
        scratch = self._scratch
        count, start = len(ids), cache.length
        scratch.x[:count, : self.config.hidden] = self.embedding.take(ids)
        angles = np.arange(start, start + count)[:, None] * self._frequencies
        scratch.rope[:count, 0], scratch.rope[:count, 1] = np.cos(angles), np.sin(angles)
        logits = np.empty((1, -(-self.config.vocab // ROWS) * ROWS), np.float32)
        arguments = (self._weights, cache.arrays, scratch, start, count, logits, self._shared, stop)
        self._team.run(lambda rank: forward(rank, self._team.threads, *arguments))
        cache.length = start + count
        return torch.from_numpy(logits[0, : self.config.vocab])

    def _new_scratch(self, capacity: int) -> Scratch:
        c, threads = self.config, self._team.threads
        d, figures = c.head_dim, BLOCK * capacity // GROUP

        def floats(*shape: int) -> np.ndarray:
            return np.zeros(shape, np.float32)

        queries = (-(-CHUNK * c.heads // c.kv_heads // BLOCK) * BLOCK) * c.kv_heads
        attention = AttentionScratch(
            queries=new_vectors(queries, d),
            scores=np.empty((threads, BLOCK, capacity + _APART), np.float32),
            mixed=floats(threads, BLOCK, d),
            shares_q=np.empty((threads, BLOCK * capacity), np.int8),
            shares_scales=np.empty((threads, figures), np.float32),
            shares_sums=np.empty((threads, figures), np.int32),
            ones=aligned(capacity // 2, np.float16).view(np.uint16),
            row=floats(threads, d),
            bytes=np.zeros((threads, d), np.uint8),
        )
        attention.ones.view(np.float16)[:] = 1
        return Scratch(
            x=floats(CHUNK, c.hidden + _APART),
            qkv=floats(CHUNK, (c.heads + 2 * c.kv_heads) * d + _APART),
            gate_up=floats(CHUNK, 2 * c.intermediate + _APART),
            rope=floats(CHUNK, 2, d // 2),
            row=floats(threads, c.hidden),
            vectors=new_vectors(CHUNK, max(c.hidden, c.heads * d, c.intermediate)),
            attention=attention,
        )
