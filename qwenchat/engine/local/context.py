"""What the model has read: token ids, their KV cache, and the logits that follow."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local.network import Network, NetworkCache, SteppingNetwork
from qwenchat.engine.local.sampler import Sampler

CHUNKS = (16, 256)
"""How many tokens a network may be given at once at first, and at most."""
INTERRUPTIBLE_CHUNK = 512
"""How many it may be given at once if it looks at the stop signal itself."""


class SequenceContext:
    """One running sequence of a model; reading continues it, `rewind` keeps the part that a new prompt shares."""

    def __init__(self, network: Network[Any], window: int) -> None:
        self.window = window
        """Most tokens it can hold."""
        self.ids: list[int] = []
        self.logits = np.empty(0, np.float32)
        """[vocab] float32, what follows the last token read."""
        self._network = network
        self._most = 0
        self._cache: NetworkCache = network.new_cache(window)

    @property
    def interruptible(self) -> bool:
        """Whether `read` looks at the stop signal."""
        return self._network.interruptible

    @property
    def chunks(self) -> tuple[int, int]:
        """How many tokens `read` may be given at once at first, and at most."""
        if self.interruptible:
            return INTERRUPTIBLE_CHUNK, INTERRUPTIBLE_CHUNK
        return self._network.chunks if isinstance(self._network, SteppingNetwork) else CHUNKS

    @property
    def ahead(self) -> bool:
        """Whether `steps` can be used."""
        return isinstance(self._network, SteppingNetwork) and self._network.ahead

    def read(self, ids: Sequence[int], stop: StopSignal) -> None:
        """Continue the sequence by `ids`; raises Stopped, having read none, if the network noticed the signal."""
        self._cache.crop(len(self.ids))
        self.logits = self._network.read(ids, self._cache, stop)
        self.ids.extend(ids)
        self._most = max(self._most, len(self.ids))

    def steps(self, sampler: Sampler, stop: StopSignal, limit: int) -> Iterator[int]:
        """Up to `limit` tokens; `ids` takes up each when the next is asked for. Raises Stopped between tokens."""
        if not isinstance(self._network, SteppingNetwork):
            raise TypeError("this network does not work ahead")
        if stop.is_set():
            raise Stopped
        self._cache.crop(len(self.ids))
        with contextlib.closing(self._network.steps(self._cache, self.logits, sampler, limit)) as steps:
            for produced, token in enumerate(steps, 1):
                if stop.is_set():
                    raise Stopped
                yield token
                if produced < limit:
                    self.ids.append(token)
                    self._most = max(self._most, len(self.ids))

    @property
    def nbytes(self) -> int:
        """Memory of the cache, as far as it was ever filled."""
        return self._most * self._cache.bytes_per_token

    def common(self, prompt: Sequence[int]) -> int:
        """The length of the longest common prefix with `prompt`, whose last token does not count.

        It is always read anew, since reading it gives the logits.
        """
        most = max(0, min(len(self.ids), len(prompt) - 1))
        if self.ids[:most] == list(prompt[:most]):
            return most
        return next(at for at in range(most) if self.ids[at] != prompt[at])

    def rewind(self, prompt: Sequence[int]) -> int:
        """Forget all but the longest common prefix with `prompt`, and say how long that is."""
        common = self.common(prompt)
        del self.ids[common:]
        return common
