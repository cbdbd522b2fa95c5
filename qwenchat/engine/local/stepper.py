"""A decoder that runs one step ahead of the one who reads its tokens."""

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from qwenchat.chat.sampling import Sampling
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.attention import Attention, MaskedAttention, VarlenAttention
from qwenchat.engine.local.decode_step import DecodeStep, TokenPass
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.decoder_config import DecoderConfig
from qwenchat.engine.local.device_sampler import INVALID, DeviceSampler
from qwenchat.engine.local.graph import CudaGraphRunner, DeviceRunner, Work
from qwenchat.engine.local.kvcache import KVCache
from qwenchat.engine.local.sampler import Sampler, invalid_numbers

log = logging.getLogger(__name__)

FIRST_CHUNK_OPERATIONS = 6.4e11
"""What a modest GPU does in 60 ms."""
CHUNKS = (16, 2048)
"""Tokens of a prompt that are read at once, at least and at most."""

PROVED = (40, 1100)
"""Lengths of context at which reading a token is tried: long ones are attended to in another way."""
FURTHEST_OFF = 0.1
"""How far, relative to their size, logits may lie apart that were computed in another order in half precision."""


Way = tuple[Callable[[Decoder, Attention], TokenPass], Callable[[Decoder], Attention]]
"""To read a token: what its pass is made of, and how it attends."""


def ways(device: torch.device) -> Iterator[Way]:
    """The fastest first."""
    steps: list[Callable[[Decoder, Attention], TokenPass]] = [DecodeStep]
    if device.type == "cuda":
        with suppress(ImportError):  # Triton comes with torch for NVIDIA on Linux alone
            from qwenchat.engine.local.fused import FusedStep  # noqa: PLC0415  (imports Triton, which need not be there)

            steps.insert(0, FusedStep)
    for step in steps:
        yield step, VarlenAttention
        yield step, MaskedAttention


def named(way: Way) -> str:
    """What it is called in the log and in reports."""
    return " with ".join(getattr(part, "__name__", "") for part in way)


class Stepper(Decoder):
    """A decoder on a device that works by itself, for a GPU is fast only if it never waits for the host.

    It draws the tokens too, and reads each before the host knows it: the host learns of a token while the next one is
    made. The last that was made is thrown away when nobody wants it.
    """

    def __init__(
        self,
        config: DecoderConfig,
        take: Callable[[str, tuple[int, ...]], Tensor | None],
        runner: DeviceRunner | None = None,
    ) -> None:
        """`runner` is a CUDA device's if not given."""
        super().__init__(config, take)
        device = self.embedding.device
        self._runner = runner or CudaGraphRunner()
        self._draw = DeviceSampler(config.vocab, device)
        self._position = torch.zeros(1, dtype=torch.long, device=device)
        self._reads: WeakKeyDictionary[KVCache, tuple[int, Work]] = WeakKeyDictionary()
        """For each cache the work of reading a token, and after which move: it is for where the cache lies."""
        self._draws: dict[tuple[int, bool], Work] = {}
        self.ahead = False
        with torch.no_grad():
            self.ahead = any(self._is_proved(way) for way in ways(device))

    @property
    def chunks(self) -> tuple[int, int]:
        """See `SteppingNetwork.chunks`."""
        least, most = CHUNKS
        return max(least, min(most, int(FIRST_CHUNK_OPERATIONS / (2 * self.parameters)))), most

    @torch.inference_mode()
    def steps(self, cache: KVCache, logits: np.ndarray, sampler: Sampler, limit: int) -> Generator[int]:
        """See `SteppingNetwork.steps`."""
        self._draw.take_up(sampler)
        self._draw.logits.copy_(torch.from_numpy(logits))
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

    def forward(self, ids: Tensor, cache: KVCache, stop: StopSignal | None = None) -> Tensor:
        """See `TorchNetwork.forward`; a single token is read as `steps` reads it."""
        if len(ids) > 1 or not self.ahead:
            return super().forward(ids, cache, stop)
        self._draw.token.copy_(ids)
        self._read(cache)
        return self._draw.logits.clone()

    def _read(self, cache: KVCache) -> None:
        """Read the token that was drawn."""
        cache.reserve(cache.length + 1)
        self._position.fill_(cache.length)
        if self._reads.get(cache, (-1, None))[0] != cache.moves:
            self._reads[cache] = cache.moves, self._runner.record(self._reading(ref(cache)))
        self._reads[cache][1]()
        cache.length += 1

    def _reading(self, cache: ref[KVCache]) -> Work:
        """The work of reading a token; it must not keep the cache, or what that was before it grew, or this."""
        step, draw, position = self._step, self._draw, self._position

        def read() -> None:
            held = cache()
            if held is not None:
                draw.logits.copy_(step.logits(draw.readable, position, held.layers))

        return read

    def _draw_next(self) -> None:
        self._draw.roll()
        form = self._draw.form
        if form not in self._draws:
            work = partial(self._draw.run, *form)
            # To sort the whole vocabulary takes so long that its start costs little, and it cannot always be recorded.
            self._draws[form] = work if form[0] == self.config.vocab else self._runner.record(work)
        self._draws[form]()

    def _is_proved(self, way: Way) -> bool:
        """Whether reading a token here gives what `forward` gives, as it is and when it is recorded and replayed."""
        name = named(way)
        try:
            self.take(way)
            for tokens in PROVED:
                error = self._error(tokens)
                if not error <= FURTHEST_OFF:  # nor is NaN
                    log.warning("%s does not work on this GPU: its logits are off by %.1e", name, error)
                    return False
            self._try_draws()
        except Exception as failure:  # noqa: BLE001 - a compiler may raise anything, and another way may work
            log.warning("%s does not work on this GPU: %s", name, str(failure).partition("\n")[0])
            return False
        return True

    def take(self, way: Way) -> None:
        """Read tokens in that way from now on."""
        step, attention = way
        self._step = step(self, attention(self))
        self._reads.clear()

    def _error(self, tokens: int) -> float:
        """How far off the logits are after a context of so many tokens, relative to their size."""
        cache, token = self.new_cache(tokens), torch.ones(1, dtype=torch.long, device=self.embedding.device)
        cache.reserve(tokens)
        for layer in cache.layers:
            layer.normal_()
        cache.length = tokens - 1
        expected = super().forward(token, cache)
        for _ in range(3):  # as it is, recorded, and replayed
            cache.crop(tokens - 1)
            self._draw.token.copy_(token)
            self._read(cache)
        return float((self._draw.logits - expected).norm() / expected.norm())

    def _try_draws(self) -> None:
        cache = self.new_cache(8)
        logits = self._draw.logits.cpu().numpy()
        for sampling in (Sampling(temperature=0), Sampling(seed=0), Sampling(presence_penalty=1.0)):
            cache.crop(0)
            for _ in self.steps(cache, logits, Sampler(sampling, ()), 4):
                pass

    def _mask(self, count: int, end: int) -> Any:
        """A mask that is no matrix, so that the kernels need not read one."""
        # It takes a second to import, with torch's compiler, and only this way of reading has use for it.
        from torch.nn.attention.bias import causal_lower_right  # noqa: PLC0415  (a second, with torch's compiler)

        return causal_lower_right(count, end)

    def _mixed(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """See `Decoder._mixed`; keys and values are repeated in name only, since few kernels know of groups."""
        grouped = query.view(len(keys), -1, *query.shape[1:])
        keys, values = (part[:, None].expand(-1, grouped.shape[1], -1, -1) for part in (keys, values))
        return F.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask).flatten(0, 1)
