"""One token through a decoder by kernels of its own, in Triton: what torch starts piece by piece they do at once.

Norms go with the matrices behind them, sums with those before them, and a layer is seven pieces of work.
"""

from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from qwenchat.engine.local.attention import Attention
from qwenchat.engine.local.decoder import Decoder, Layer

ROWS, COLUMNS, WARPS = 4, 1024, 8
"""What a program takes of a matrix at once: so little that small matrices keep a whole GPU busy, too."""


@triton.jit
def _product(x, weight, norm, out, width: tl.constexpr, eps, normed: tl.constexpr,
             rows: tl.constexpr, columns: tl.constexpr):  # fmt: skip
    """out = weight @ norm(x), or out += weight @ x."""
    at = tl.program_id(0) * rows + tl.arange(0, rows)
    sums = tl.zeros((rows, columns), tl.float32)
    squares = tl.zeros((columns,), tl.float32)
    for start in range(0, width, columns):
        column = start + tl.arange(0, columns)
        inside = column < width
        part = tl.load(x + column, mask=inside, other=0).to(tl.float32)
        if normed:
            squares += part * part
            part *= tl.load(norm + column, mask=inside, other=0).to(tl.float32)
        block = tl.load(weight + at[:, None] * width + column[None, :], mask=inside[None, :], other=0)
        sums += block.to(tl.float32) * part[None, :]
    total = tl.sum(sums, 1)
    if normed:
        total *= tl.rsqrt(tl.sum(squares, 0) / width + eps)
    else:
        total += tl.load(out + at).to(tl.float32)
    tl.store(out + at, total.to(out.dtype.element_ty))


@triton.jit
def _gated(x, weight, norm, out, width: tl.constexpr, inner: tl.constexpr, eps,
           rows: tl.constexpr, columns: tl.constexpr):  # fmt: skip
    """out = silu(gate @ norm(x)) * (up @ norm(x)), where weight is gate and up."""
    at = tl.program_id(0) * rows + tl.arange(0, rows)
    gates = tl.zeros((rows, columns), tl.float32)
    ups = tl.zeros((rows, columns), tl.float32)
    squares = tl.zeros((columns,), tl.float32)
    for start in range(0, width, columns):
        column = start + tl.arange(0, columns)
        inside = column < width
        part = tl.load(x + column, mask=inside, other=0).to(tl.float32)
        squares += part * part
        part *= tl.load(norm + column, mask=inside, other=0).to(tl.float32)
        place = weight + at[:, None] * width + column[None, :]
        gates += tl.load(place, mask=inside[None, :], other=0).to(tl.float32) * part[None, :]
        ups += tl.load(place + inner * width, mask=inside[None, :], other=0).to(tl.float32) * part[None, :]
    scale = tl.rsqrt(tl.sum(squares, 0) / width + eps)
    gate, up = tl.sum(gates, 1) * scale, tl.sum(ups, 1) * scale
    tl.store(out + at, (gate / (1 + tl.exp(-gate)) * up).to(out.dtype.element_ty))


@triton.jit
def _heads(qkv, turn, cross, position, query, keys, values, room, eps, queries: tl.constexpr, kv_heads: tl.constexpr,
           d: tl.constexpr):  # fmt: skip
    """Queries and keys normed and turned, keys and values written to the cache; a program does one head."""
    head = tl.program_id(0)
    at = tl.arange(0, d)
    own = tl.load(qkv + head * d + at)
    row = tl.load(position)
    if head < queries + kv_heads:
        other = (at + d // 2) % d
        x = own.to(tl.float32)
        scale = tl.rsqrt(tl.sum(x * x, 0) / d + eps)
        kind = tl.where(head < queries, 0, d)
        y = x * tl.load(turn + kind + at)
        y += tl.load(qkv + head * d + other).to(tl.float32) * tl.load(cross + kind + at)
        y = (y * scale).to(query.dtype.element_ty)
        if head < queries:
            tl.store(query + head * d + at, y)
        else:
            tl.store(keys + ((head - queries) * room + row) * d + at, y)
    else:
        tl.store(values + ((head - queries - kv_heads) * room + row) * d + at, own)


class FusedStep:
    """See `DecodeStep`. Raises ValueError for decoders that there are no kernels for."""

    def __init__(self, decoder: Decoder, attention: Attention) -> None:
        self._config, self._attention = decoder.config, attention
        self._embedding, self._output, self._norm = decoder.embedding, decoder.output, decoder.norm
        self._layers, self._frequencies = decoder.layers, decoder.frequencies
        c = decoder.config
        weights = torch.stack([_norms(layer) for layer in decoder.layers]).float()
        sizes = (decoder.layers[0].qkv.shape[0], c.hidden, c.intermediate, c.vocab)
        if any(size % ROWS for size in sizes) or c.vocab * c.hidden >= 2**31:
            raise ValueError("there are no kernels for these sizes")
        weights[:, 0] *= c.head_dim**-0.5
        self._own, self._other = weights, weights.roll(c.head_dim // 2, -1)
        """[layers, 2, d] float32: the weights of the norms of queries, scaled, and keys; and with halves swapped."""
        like = decoder.embedding
        self._qkv, self._inner = like.new_empty(sizes[0]), like.new_empty(1, c.intermediate)
        self._query = like.new_empty(c.kv_heads, c.heads // c.kv_heads, c.head_dim)
        self._logits = like.new_empty(c.vocab)

    def logits(self, token: Tensor, position: Tensor, cache: list[Tensor]) -> Tensor:
        """See `TokenPass.logits`."""
        c = self._config
        attend = self._attention.over(position, cache[0].shape[2])
        angles = position.float() * self._frequencies
        cos, sin = angles.cos(), angles.sin()
        turns, crosses = self._own * torch.cat((cos, cos)), self._other * torch.cat((-sin, sin))
        x = F.embedding(token, self._embedding)
        for layer, turn, cross, held in zip(self._layers, turns, crosses, cache, strict=True):
            self._multiply(layer.qkv, x, self._qkv, layer.input_norm)
            _heads[c.heads + 2 * c.kv_heads,](
                self._qkv, turn, cross, position, self._query, *held, held.shape[2], c.norm_eps, c.heads, c.kv_heads,
                c.head_dim, num_warps=1,
            )  # fmt: skip
            self._multiply(layer.out, attend(self._query, *held), x)
            _gated[c.intermediate // ROWS,](
                x, layer.gate_up, layer.post_norm, self._inner, c.hidden, c.intermediate, c.norm_eps, ROWS, COLUMNS,
                num_warps=WARPS,
            )  # fmt: skip
            self._multiply(layer.down, self._inner, x)
        self._multiply(self._output, x, self._logits, self._norm)
        return self._logits

    def _multiply(self, weight: Tensor, x: Tensor, out: Tensor, norm: Tensor | None = None) -> None:
        """`out` becomes the product with x as it is normed; without a norm, the product with x is added to it."""
        rows, width = weight.shape
        normed = norm is not None
        launch: Any = _product[rows // ROWS,]
        launch(
            x, weight, norm if normed else weight, out, width, self._config.norm_eps, normed, ROWS, COLUMNS,
            num_warps=WARPS,
        )  # fmt: skip


def _norms(layer: Layer) -> Tensor:
    if layer.q_norm is None or layer.k_norm is None or layer.qkv_bias is not None:
        raise ValueError("there are no kernels for a layer without norms of heads, or with biases")
    return torch.stack((layer.q_norm, layer.k_norm))
