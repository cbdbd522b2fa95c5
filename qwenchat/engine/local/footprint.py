"""What a transformer costs, computed from its shape: parameters, and bytes of its weights and of its context."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The numbers that decide the size of a Qwen3, Qwen2 or Llama."""

    hidden: int
    layers: int
    intermediate: int
    """Width of the feed-forward part, or of one expert."""
    heads: int
    kv_heads: int
    head_dim: int
    tied: bool
    """Whether the output matrix is the embedding."""
    vocab: int = 151_936
    experts: int = 0
    """Feed-forward parts in each layer, of which a router picks some; 0 for a single one and no router."""

    @property
    def ends(self) -> int:
        """Weights of the embedding; as many again are in the output matrix, unless that is the same."""
        return self.vocab * self.hidden

    @property
    def favoured(self) -> int:
        """Weights of those matrices in the layers that 4-bit files keep at more bits: attn_v and ffn_down of some."""
        eighth = self.layers // 8
        chosen = sum(at < eighth or at >= 7 * self.layers // 8 or (at - eighth) % 3 == 2 for at in range(self.layers))
        return chosen * self.hidden * (self.kv_heads * self.head_dim + max(1, self.experts) * self.intermediate)

    @property
    def inner(self) -> int:
        """Weights of all matrices in the layers."""
        attention = self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)
        feed_forward = 3 * self.hidden * self.intermediate * max(1, self.experts)
        return self.layers * (attention + feed_forward + self.experts * self.hidden)

    @property
    def norms(self) -> int:
        """Weights of the norms of Qwen3, which all stay floats."""
        return self.layers * 2 * (self.hidden + self.head_dim) + self.hidden

    @property
    def parameters(self) -> int:
        """All weights, a shared one counted once."""
        return self.inner + self.ends * (1 if self.tied else 2) + self.norms


@dataclass(frozen=True, slots=True)
class FormatBytes:
    """Bytes of one weight, which depend on where it stands."""

    layers: float
    favoured: float
    """See `ModelShape.favoured`."""
    embedding: float
    """Of an embedding that is not the output matrix too."""
    output: float
    norms: float = 4

    def weights(self, shape: ModelShape) -> int:
        """Bytes of all weights of a model."""
        ends = shape.ends * (self.output if shape.tied else self.output + self.embedding)
        layers = (shape.inner - shape.favoured) * self.layers + shape.favoured * self.favoured
        return round(layers + ends + shape.norms * self.norms)


def _floats(size: int) -> FormatBytes:
    return FormatBytes(size, size, size, size, size)


def _all(size: float) -> FormatBytes:
    return FormatBytes(size, size, size, size)


# Blocks of 32 weights with a half float, or of 256 with their own scales (ggml's Q8_0, Q4_0, Q6_K and Q4_K).
_Q8_0, _Q4_0, _Q6_K, _Q4_K = 34 / 32, 18 / 32, 210 / 256, 144 / 256
_U4_MIN = 20 / 32
"""What Q4_K becomes in memory: a scale and a minimum for 32 weights."""
_BF16 = _floats(2)
_INT8 = _all(_Q8_0)


@dataclass(frozen=True, slots=True)
class Quantization:
    """A number format of weights, as files have it and as it is run."""

    name: str
    file: FormatBytes
    cpu: FormatBytes
    """In memory where it runs on the CPU."""
    gpu: FormatBytes | None
    """In the memory of a GPU; None where it cannot be run there."""
    gguf: bool = False
    """Whether it comes as a GGUF file; the others are made of the Hub's own bf16 weights."""
    packed: bool = True
    """Whether the CPU runs it with an 8-bit cache; on a GPU the cache is bf16."""


QUANTIZATIONS = {
    quantization.name: quantization
    for quantization in (
        Quantization("float32", _BF16, _floats(4), _floats(4), packed=False),
        Quantization("bf16", _BF16, _BF16, _BF16, packed=False),
        Quantization("float16", _BF16, _BF16, _BF16, packed=False),
        Quantization("int8", _BF16, _INT8, None),
        Quantization("int4", _BF16, FormatBytes(_Q4_0, _Q4_0, _Q8_0, _Q8_0), None),
        Quantization("F16", FormatBytes(2, 2, 2, 2), _INT8, _BF16, gguf=True),
        Quantization("Q8_0", _INT8, _INT8, _BF16, gguf=True),
        Quantization("Q6_K", _all(_Q6_K), _INT8, _BF16, gguf=True),
        Quantization(
            "Q4_K_M",
            FormatBytes(_Q4_K, _Q6_K, _Q4_K, _Q6_K),
            FormatBytes(_U4_MIN, _Q8_0, _U4_MIN, _Q8_0),
            _BF16,
            gguf=True,
        ),
    )
}
"""By name; the first ones can be asked for with --quantization."""


_KEPT = {"Q4_0": _Q4_0, "Q4_1": _U4_MIN, "Q4_K": _U4_MIN}
"""What GGUF's kinds of blocks take when packed as they are; all others get eight bits."""


def packed_bytes(kind: str, shape: tuple[int, ...]) -> int:
    """Memory of one weight from a GGUF file, which has that kind of blocks."""
    return round(math.prod(shape) * (_KEPT.get(kind, _Q8_0) if len(shape) == 2 else 4))


def token_bytes(shape: ModelShape, size: int | None) -> int:
    """What one token of context costs in keys and values of `size` bytes each; None for the packed 8-bit cache.

    That has a byte for each, a half float for 32 dimensions of a key, and a float for each value.
    """
    heads = shape.layers * shape.kv_heads
    if size is None:
        return heads * (2 * shape.head_dim + shape.head_dim // 16 + 4)
    return heads * 2 * shape.head_dim * size


def format_in_words(count: float) -> str:
    """Bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
