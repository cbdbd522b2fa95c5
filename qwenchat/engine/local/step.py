"""One token through a decoder, as work whose sizes and places in memory never change, so that it can be recorded."""

import torch
import torch.nn.functional as F
from torch import Tensor

from qwenchat.engine.local.decoder import Decoder, Layer
from qwenchat.engine.local.kvcache import GRAIN

ONE_PIECE = 1024
"""Room up to which one kernel attends to all of it; in longer ones it would leave most of a GPU idle."""


class Step:
    """The forward pass of one token.

    The token and its position are tensors; keys and values are looked at for the whole room of the cache, and a mask
    hides what comes after the position. Nothing here may wait for the device or depend on what a tensor holds. Shapes
    as in `Decoder`, and H = heads + kv_heads: queries and keys go together as far as they can.
    """

    def __init__(self, decoder: Decoder) -> None:
        c = self._config = decoder.config
        self._decoder = decoder
        self._dtype, device = decoder.embedding.dtype, decoder.embedding.device
        weights = torch.ones(c.layers, c.heads + c.kv_heads, c.head_dim, device=device)
        for at, layer in enumerate(decoder.layers):
            if layer.q_norm is not None and layer.k_norm is not None:
                weights[at, : c.heads], weights[at, c.heads :] = layer.q_norm, layer.k_norm
        weights[:, : c.heads] *= c.head_dim**-0.5
        self._weights, self._crossed = weights, weights.roll(c.head_dim // 2, -1)
        """[layers, H, d] float32: the weights of the heads' norms, those of queries scaled; and with halves swapped."""
        self._ones = torch.ones(c.head_dim, dtype=self._dtype, device=device)

    def logits(self, token: Tensor, position: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Read `token` [1] at `position` [1], both int64, and say what follows: [vocab] in the model's numbers.

        `keys` and `values` are those of a cache, [layers, kv_heads, room, d]; the token's own are written there.
        """
        decoder = self._decoder
        turn, cross = self._rotation(position)
        later = torch.arange(keys.shape[2], device=keys.device) > position
        mask = torch.zeros(keys.shape[2], dtype=self._mask_dtype(keys), device=keys.device)
        mask.masked_fill_(later, float("-inf"))
        x = F.embedding(token, decoder.embedding)
        for at, layer in enumerate(decoder.layers):
            normed = self._normed(x, layer.input_norm)
            heads = self._heads(layer, normed, turn[at], cross[at], position, keys[at], values[at])
            x.addmm_(self._attended(heads, keys[at], values[at], mask), layer.out.t())
            gate, up = F.linear(self._normed(x, layer.post_norm), layer.gate_up).chunk(2, -1)
            x.addmm_(F.silu(gate) * up, layer.down.t())
        return F.linear(self._normed(x, decoder.norm), decoder.output)[0]

    def _rotation(self, position: Tensor) -> tuple[Tensor, Tensor]:
        """What queries and keys are multiplied with, and what with their halves swapped: [layers, H, d] each.

        Their norm's weights and the rotary embedding (arXiv:2104.09864) in one.
        """
        angles = position.float() * self._decoder.frequencies
        cos, sin = angles.cos(), angles.sin()
        turn, cross = self._weights * torch.cat((cos, cos)), self._crossed * torch.cat((-sin, sin))
        return turn.to(self._dtype), cross.to(self._dtype)

    def _heads(
        self, layer: Layer, x: Tensor, turn: Tensor, cross: Tensor, position: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        """The queries [kv_heads, group, d] of x [1, h]; its keys and values are written at the position."""
        c = self._config
        heads = F.linear(x, layer.qkv, layer.qkv_bias).view(-1, c.head_dim)
        both = heads[: c.heads + c.kv_heads]
        if layer.q_norm is not None:
            both = self._normed(both, self._ones)
        both = torch.addcmul(both * turn, both.roll(c.head_dim // 2, -1), cross)
        keys.index_copy_(1, position, both[c.heads :, None])
        values.index_copy_(1, position, heads[c.heads + c.kv_heads :, None])
        return both[: c.heads].view(c.kv_heads, -1, c.head_dim)

    def _attended(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Attention of query [kv_heads, group, d] over keys and values [kv_heads, room, d]; [1, heads * d]."""
        heads, group, d = query.shape
        room = keys.shape[1]
        if room <= ONE_PIECE:
            mixed = F.scaled_dot_product_attention(
                query[:, None], keys[:, None], values[:, None], attn_mask=mask.expand(group, room), scale=1.0
            )
            return mixed.reshape(1, -1)
        shares = torch.softmax(_scores(query, keys) + mask, -1).view(heads, group, -1, GRAIN)
        pieces = torch.empty(heads, room // GRAIN, group, GRAIN, dtype=values.dtype, device=values.device)
        pieces.copy_(shares.transpose(1, 2))
        mixed = torch.bmm(pieces.view(-1, group, GRAIN), values.view(-1, GRAIN, d))
        return mixed.view(heads, -1, group, d).sum(1).view(1, -1)

    def _mask_dtype(self, keys: Tensor) -> torch.dtype:
        return self._dtype if keys.shape[2] <= ONE_PIECE else torch.float32

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self._config.norm_eps)


def _scores(query: Tensor, keys: Tensor) -> Tensor:
    """How well query [kv_heads, group, d] and keys [kv_heads, room, d] match, in float32: less is too coarse."""
    if query.dtype is torch.float32:
        return torch.bmm(query, keys.transpose(1, 2))
    return torch.bmm(query, keys.transpose(1, 2), out_dtype=torch.float32)
