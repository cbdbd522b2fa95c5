"""The transformer of Qwen3, Qwen2 and Llama, one sequence at a time.

Checked against transformers' own classes. Shapes: n tokens read, h hidden size, d head size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from qwenchat.chat.errors import ModelDamaged
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.decoder_config import DecoderConfig
from qwenchat.engine.local.kvcache import KVCache
from qwenchat.engine.local.torch_network import TorchNetwork
from qwenchat.i18n.texts import say


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one layer; q, k and v are one matrix, and so are gate and up."""

    input_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    q_norm: Tensor | None
    k_norm: Tensor | None
    out: Tensor
    post_norm: Tensor
    gate_up: Tensor
    down: Tensor


class Decoder(TorchNetwork[KVCache]):
    """The weights, fused for fewer and larger matrix products, and the forward pass."""

    interruptible = False

    def __init__(self, config: DecoderConfig, take: Callable[[str, tuple[int, ...]], Tensor | None]) -> None:
        """`take(name, shape)` gives a weight by its safetensors name, checked and on the device; None if absent."""

        def need(name: str, *shape: int) -> Tensor:
            tensor = take(name, shape)
            if tensor is None:
                raise ModelDamaged(say("The weights lack {name}.", name=name), say("Download the model again."))
            return tensor

        self.config = config
        hidden, inner = config.hidden, config.intermediate
        q, kv, d = config.heads * config.head_dim, config.kv_heads * config.head_dim, config.head_dim
        self.embedding = need("model.embed_tokens.weight", config.vocab, hidden)
        self.norm = need("model.norm.weight", hidden)
        self.output = self.embedding if config.tied else need("lm_head.weight", config.vocab, hidden)
        self.layers: list[Layer] = []
        for at in range(config.layers):
            here = f"model.layers.{at}."
            attention = here + "self_attn."
            biases = [take(f"{attention}{name}_proj.bias", (size,)) for name, size in (("q", q), ("k", kv), ("v", kv))]
            self.layers.append(
                Layer(
                    input_norm=need(here + "input_layernorm.weight", hidden),
                    qkv=torch.cat(
                        [
                            need(f"{attention}{name}_proj.weight", size, hidden)
                            for name, size in (("q", q), ("k", kv), ("v", kv))
                        ]
                    ),
                    qkv_bias=torch.cat([b for b in biases if b is not None]) if biases[0] is not None else None,
                    q_norm=take(attention + "q_norm.weight", (d,)),
                    k_norm=take(attention + "k_norm.weight", (d,)),
                    out=need(attention + "o_proj.weight", hidden, q),
                    post_norm=need(here + "post_attention_layernorm.weight", hidden),
                    gate_up=torch.cat(
                        [need(f"{here}mlp.{name}_proj.weight", inner, hidden) for name in ("gate", "up")]
                    ),
                    down=need(here + "mlp.down_proj.weight", hidden, inner),
                )
            )
        exponents = torch.arange(0, d, 2, dtype=torch.float32) / d
        self.frequencies = (config.rope_base**-exponents).to(self.embedding.device)
        """[d/2] float32, radians by which the rotary embedding turns from one position to the next."""

    @property
    def parameters(self) -> int:
        """How many weights there are."""
        return sum(tensor.numel() for tensor in self.tensors)

    @property
    def nbytes(self) -> int:
        """Memory of the weights."""
        return sum(tensor.nbytes for tensor in self.tensors)

    @property
    def tensors(self) -> list[Tensor]:
        """Every weight once."""
        found = [self.embedding, self.norm] + ([] if self.config.tied else [self.output])
        for layer in self.layers:
            values = (getattr(layer, name) for name in Layer.__slots__)
            found += [value for value in values if value is not None]
        return found

    def new_cache(self, window: int) -> KVCache:
        """See `Network.new_cache`."""
        c = self.config
        return KVCache(c.layers, c.kv_heads, c.head_dim, window, self.embedding.dtype, self.embedding.device)

    def close(self) -> None:
        """See `Network.close`; there is nothing to give back."""

    def forward(self, ids: Tensor, cache: KVCache, stop: StopSignal | None = None) -> Tensor:
        """See `TorchNetwork.forward`."""
        return self.logits(self.states(ids, cache)[-1])

    def logits(self, states: Tensor) -> Tensor:
        """What follows a token whose state [..., h] that is, [..., vocab] float32."""
        return F.linear(self._normed(states, self.norm), self.output).float()

    def states(self, ids: Tensor, cache: KVCache) -> Tensor:
        """Read `ids` [n] after what the cache holds; returns what the last layer made of each, [n, h]."""
        start, end = cache.length, cache.length + len(ids)
        cache.reserve(end)
        positions = torch.arange(start, end, device=ids.device, dtype=torch.float32)
        angles = positions[:, None] * self.frequencies
        dtype = self.embedding.dtype
        cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
        mask = self._mask(len(ids), end) if len(ids) > 1 else None
        x = F.embedding(ids, self.embedding)
        for at, layer in enumerate(self.layers):
            x = x + self._attention(at, layer, self._normed(x, layer.input_norm), cache, start, cos, sin, mask)
            gate, up = F.linear(self._normed(x, layer.post_norm), layer.gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, layer.down)
        cache.length = end
        return x

    def _mask(self, count: int, end: int) -> Tensor:
        """Which of `end` tokens each of the last `count` looks at: itself and those before it, [count, end]."""
        return torch.ones(count, end, dtype=torch.bool, device=self.embedding.device).tril(end - count)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self.config.norm_eps)

    def _attention(
        self,
        at: int,
        layer: Layer,
        x: Tensor,
        cache: KVCache,
        start: int,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """Self-attention of x [n, h] over everything read so far."""
        c, n = self.config, len(x)
        qkv = F.linear(x, layer.qkv, layer.qkv_bias).view(n, -1, c.head_dim)
        q, k, v = torch.split(qkv, [c.heads, c.kv_heads, c.kv_heads], dim=1)
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = self._normed(q, layer.q_norm), self._normed(k, layer.k_norm)
        end = start + n
        keys, values = cache.layers[at][:, :, :end].unbind()
        keys[:, start:] = _rotated(k, cos, sin).transpose(0, 1)
        values[:, start:] = v.transpose(0, 1)
        query = _rotated(q, cos, sin).transpose(0, 1)
        if n == 1:
            query = query.view(c.kv_heads, c.heads // c.kv_heads, c.head_dim)
            mixed = F.scaled_dot_product_attention(query[None], keys[None], values[None])[0]
        else:
            mixed = self._mixed(query, keys, values, mask).transpose(0, 1)
        return F.linear(mixed.reshape(n, -1), layer.out)

    def _mixed(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Attention of query [heads, n, d] over keys and values [kv_heads, end, d]; [heads, n, d]."""
        grouped = len(query) > len(keys)
        return F.scaled_dot_product_attention(
            query[None], keys[None], values[None], attn_mask=mask, enable_gqa=grouped
        )[0]


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding (arXiv:2104.09864), non-interleaved; x [n, heads, d], cos and sin [n, d/2]."""
    first, second = x.chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)
