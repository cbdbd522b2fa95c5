"""A decoder that runs one step ahead of whoever reads its tokens."""

import logging
from collections.abc import Callable, Generator
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
import torch.nn.functional as F
from torch import Tensor

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.sampling import Sampling
from qwenchat.engine.local.decoder import Decoder, DecoderConfig
from qwenchat.engine.local.draw import INVALID, Draw
from qwenchat.engine.local.graph import Cuda, Runner, Work
from qwenchat.engine.local.kvcache import KVCache
from qwenchat.engine.local.sampler import Sampler, invalid_numbers
from qwenchat.engine.local.step import Step

log = logging.getLogger(__name__)

FIRST_CHUNK_OPERATIONS = 6.4e11
"""What a modest GPU does in 60 ms."""
CHUNKS = (16, 2048)
"""Tokens of a prompt that are read at once, at least and at most."""

FURTHEST_OFF = 0.1
"""How far, relative to their size, logits may lie apart that were computed in another order in half precision."""


class Stepper(Decoder):
    """A decoder on a device that works by itself, for a GPU is fast only if it never waits for the host.

    It draws the tokens too, and reads each before the host knows it: the host learns of a token while the next one is
    made. The last that was made is thrown away when nobody wants it.
    """

    def __init__(
        self,
        config: DecoderConfig,
        take: Callable[[str, tuple[int, ...]], Tensor | None],
        runner: Runner | None = None,
    ) -> None:
        """`runner` is a CUDA device's if not given."""
        super().__init__(config, take)
        device = self.embedding.device
        self._runner = runner or Cuda()
        self._step, self._draw = Step(self), Draw(config.vocab, device)
        self._position = torch.zeros(1, dtype=torch.long, device=device)
        self._reads: WeakKeyDictionary[KVCache, tuple[tuple[int, ...], Work]] = WeakKeyDictionary()
        """For each cache the work of reading a token, and which place it is for: the cache moves when it grows."""
        self._draws: dict[int, Work] = {}
        with torch.no_grad():
            self.ahead = self._is_proved()

    @property
    def chunks(self) -> tuple[int, int]:
        """See `Stepping.chunks`."""
        least, most = CHUNKS
        parameters = sum(tensor.numel() for tensor in self.tensors)
        return max(least, min(most, int(FIRST_CHUNK_OPERATIONS / (2 * parameters)))), most

    def steps(self, cache: KVCache, logits: Tensor, sampler: Sampler, limit: int) -> Generator[int]:
        """See `Stepping.steps`."""
        self._draw.take_up(sampler)
        self._draw.logits.copy_(logits)
        self._draw_next()
        for left in reversed(range(limit)):
            arrival = self._runner.send(self._draw.token)
            if left:
                self._read(cache)
                self._draw_next()
            token = arrival()
            if token == INVALID:
                raise invalid_numbers()
            try:
                yield token
            except GeneratorExit:
                if left:
                    self._draw.take_back()
                raise

    def _read(self, cache: KVCache) -> None:
        """Read the token that was drawn."""
        cache.reserve(cache.length + 1)
        self._position.fill_(cache.length)
        place = cache.keys.data_ptr(), cache.values.data_ptr(), cache.keys.shape[2]
        if self._reads.get(cache, ((), None))[0] != place:
            self._reads[cache] = place, self._runner.record(self._reading(ref(cache)))
        self._reads[cache][1]()
        cache.length += 1

    def _reading(self, cache: ref[KVCache]) -> Work:
        """The work of reading a token; it must not keep the cache, or what that was before it grew."""

        def read() -> None:
            held = cache()
            if held is not None:
                logits = self._step.logits(self._draw.readable, self._position, held.keys, held.values)
                self._draw.logits.copy_(logits)

        return read

    def _draw_next(self) -> None:
        self._draw.roll()
        width = self._draw.width
        if width not in self._draws:
            self._draws[width] = self._drawing(width)
        self._draws[width]()

    def _drawing(self, width: int) -> Work:
        def draw() -> None:
            self._draw.run(width)

        # Sorting the whole vocabulary takes so long that starting it does not count, and cannot be recorded everywhere.
        return draw if width == self.config.vocab else self._runner.record(draw)

    def _is_proved(self) -> bool:
        """Whether reading a token here gives what `forward` gives, as it is and when it is recorded and replayed."""
        cache, token = self.new_cache(8), torch.ones(1, dtype=torch.long, device=self.embedding.device)
        try:
            self.forward(token, cache)
            expected = self.forward(token, cache)
            for _ in range(3):
                cache.crop(1)
                self._draw.token.copy_(token)
                self._read(cache)
            error = (self._draw.logits - expected).norm()
            for sampling in (Sampling(temperature=0), Sampling(seed=0)):
                sampler = Sampler(sampling, (), token.device)
                cache.crop(2)
                for _ in self.steps(cache, expected, sampler, 4):
                    pass
        except (RuntimeError, EngineFailed) as failure:
            log.warning("The GPU cannot work ahead: %s", failure)
            return False
        if error <= FURTHEST_OFF * expected.norm():
            return True
        log.warning("The GPU does not work ahead: its logits are off by %.1e of %.1e", error, expected.norm())
        return False

    def _mask(self, count: int, end: int) -> Any:
        """A mask that is no matrix, so that the kernels need not read one."""
        # It takes a second to import, with torch's compiler, and only this way of reading has use for it.
        from torch.nn.attention.bias import causal_lower_right

        return causal_lower_right(count, end)

    def _mixed(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """See `Decoder._mixed`; keys and values are repeated in name only, since few kernels know of groups."""
        grouped = query.view(len(keys), -1, *query.shape[1:])
        keys, values = (part[:, None].expand(-1, grouped.shape[1], -1, -1) for part in (keys, values))
        return F.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask).flatten(0, 1)
