"""One token through a decoder, as work whose sizes and places in memory never change, so that it can be recorded."""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from qwenchat.engine.local.attention import Attention
from qwenchat.engine.local.decoder import Decoder, Layer


class TokenPass(Protocol):
    """The pass of one token, however it is made."""

    def logits(self, token: Tensor, position: Tensor, cache: list[Tensor]) -> Tensor:
        """Read `token` [1] at `position` [1], both int64, and say what follows: [vocab] in the model's numbers.

        `cache` holds the keys and values of each layer, [2, kv_heads, room, d]; the token's own are written there.
        """
        ...


class DecodeStep:
    """The forward pass of one token.

    The token and its position are tensors, and attention is given the whole room of the cache. Nothing here may wait
    for the device or depend on what a tensor holds. Each piece of work costs as much as its start, so there are few.
    Shapes as in `Decoder`.
    """

    def __init__(self, decoder: Decoder, attention: Attention) -> None:
        c = self._config = decoder.config
        self._attention = attention
        self._embedding, self._output, self._norm = decoder.embedding, decoder.output, decoder.norm
        self._layers, self._frequencies = decoder.layers, decoder.frequencies
        dtype, device = decoder.embedding.dtype, decoder.embedding.device
        self._ones = torch.ones(c.head_dim, dtype=dtype, device=device)
        # Heads are turned in batches of as many as there are keys: all but the last batch are queries.
        batches, half = c.heads // c.kv_heads + 1, c.head_dim // 2
        weights = torch.ones(c.layers, batches, c.head_dim, device=device)
        for at, layer in enumerate(decoder.layers):
            if layer.q_norm is not None and layer.k_norm is not None:
                weights[at, :-1], weights[at, -1] = layer.q_norm, layer.k_norm
        weights[:, :-1] *= c.head_dim**-0.5
        self._weights = weights.view(c.layers, batches, 2, 1, half)
        """Float32: the weights of the heads' norms, those of queries scaled, by the half of a head they stand in."""
        self._turns = torch.zeros(c.layers, batches, c.head_dim, c.head_dim, dtype=dtype, device=device)
        """What heads are multiplied with: the weights of their norms and the rotary embedding (arXiv:2104.09864)."""
        halves = self._turns.view(c.layers, batches, 2, half, 2, half)
        self._diagonals = halves.diagonal(dim1=3, dim2=5)
        """[layers, batches, 2, 2, d/2]: all of `_turns` that is not 0, from each half to each."""

    def logits(self, token: Tensor, position: Tensor, cache: list[Tensor]) -> Tensor:
        """See `TokenPass.logits`."""
        self._turn_to(position)
        attend = self._attention.over(position, cache[0].shape[2])
        x = F.embedding(token, self._embedding)
        for layer, turn, held in zip(self._layers, self._turns, cache, strict=True):
            query = self._heads(layer, self._normed(x, layer.input_norm), turn, position, held)
            x.addmm_(attend(query, *held), layer.out.t())
            gate, up = F.linear(self._normed(x, layer.post_norm), layer.gate_up).chunk(2, -1)
            x.addmm_(F.silu(gate) * up, layer.down.t())
        return F.linear(self._normed(x, self._norm), self._output)[0]

    def _turn_to(self, position: Tensor) -> None:
        angles = position.float() * self._frequencies
        cos, sin = angles.cos(), angles.sin()
        self._diagonals.copy_(self._weights * torch.stack((cos, sin, -sin, cos)).view(2, 2, -1))

    def _heads(self, layer: Layer, x: Tensor, turn: Tensor, position: Tensor, held: Tensor) -> Tensor:
        """The queries [kv_heads, group, d] of x [1, h]; its keys and values are written at the position."""
        c = self._config
        heads = F.linear(x, layer.qkv, layer.qkv_bias).view(-1, c.head_dim)
        turned = heads[: c.heads + c.kv_heads]
        normed = turned.clone() if layer.q_norm is None else self._normed(turned, self._ones)
        torch.bmm(normed.view(-1, c.kv_heads, c.head_dim), turn, out=turned.view(-1, c.kv_heads, c.head_dim))
        held.flatten(0, 1).index_copy_(1, position, heads[c.heads :, None])
        return heads[: c.heads].view(c.kv_heads, -1, c.head_dim)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self._config.norm_eps)
