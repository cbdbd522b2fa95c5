"""Ways for one token to attend to a cache, as work whose sizes never change; the device knows how full the cache is."""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.kvcache import GRAIN

ONE_PIECE = 1024
"""Room up to which one kernel attends to all of it; in longer ones it would leave most of a GPU idle."""

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of queries [kv_heads, group, d], which are scaled, keys and values [kv_heads, room, d]; [1, heads * d]."""


class Attention(Protocol):
    """A way to attend."""

    def over(self, position: Tensor, room: int) -> Attend:
        """Attention of a token at `position` [1] to itself and all before it, for every layer of a cache."""
        ...


class VarlenAttention:
    """A kernel for sequences of different lengths, which it reads on the device: each head is such a sequence.

    It cuts long ones into pieces that a whole GPU works at. There is one for half precision on newer GPUs only.
    """

    def __init__(self, decoder: Decoder) -> None:
        heads, device = decoder.config.kv_heads, decoder.embedding.device
        self._starts = torch.arange(heads + 1, dtype=torch.int32, device=device)

    def over(self, position: Tensor, room: int) -> Attend:
        """See `Attention.over`."""
        lengths = (position + 1).to(torch.int32).repeat(len(self._starts) - 1)
        rows = self._starts * room

        def attend(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            keys, values = keys.view(-1, 1, keys.shape[-1]), values.view(-1, 1, values.shape[-1])
            mixed: Tensor = torch.ops.aten._flash_attention_forward(
                query, keys, values, self._starts, rows, 1, room, 0.0, False, False, scale=1.0, seqused_k=lengths
            )[0]
            return mixed.reshape(1, -1)

        return attend


class MaskedAttention:
    """Attention to the whole room, with a mask that hides what comes after the position; runs everywhere."""

    def __init__(self, decoder: Decoder) -> None:
        self._dtype, self._device = decoder.embedding.dtype, decoder.embedding.device

    def over(self, position: Tensor, room: int) -> Attend:
        """See `Attention.over`."""
        later = torch.arange(room, device=self._device) > position
        dtype = self._dtype if room <= ONE_PIECE else torch.float32
        mask = torch.zeros(room, dtype=dtype, device=self._device).masked_fill_(later, float("-inf"))
        attend = _at_once if room <= ONE_PIECE else _in_pieces
        return lambda query, keys, values: attend(query, keys, values, mask)


def _at_once(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    mask = mask.expand(query.shape[1], -1)
    mixed = F.scaled_dot_product_attention(query[:, None], keys[:, None], values[:, None], attn_mask=mask, scale=1.0)
    return mixed.reshape(1, -1)


def _in_pieces(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    heads, group, d = query.shape
    room = keys.shape[1]
    shares = torch.softmax(_scores(query, keys) + mask, -1).view(heads, group, -1, GRAIN)
    pieces = torch.empty(heads, room // GRAIN, group, GRAIN, dtype=values.dtype, device=values.device)
    pieces.copy_(shares.transpose(1, 2))
    mixed = torch.bmm(pieces.view(-1, group, GRAIN), values.view(-1, GRAIN, d))
    return mixed.view(heads, -1, group, d).sum(1).view(1, -1)


def _scores(query: Tensor, keys: Tensor) -> Tensor:
    """How well query [kv_heads, group, d] and keys [kv_heads, room, d] match, in float32: less is too coarse."""
    if query.dtype is torch.float32:
        return torch.bmm(query, keys.transpose(1, 2))
    return torch.bmm(query, keys.transpose(1, 2), out_dtype=torch.float32)
