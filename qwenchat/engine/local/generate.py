"""The decode loop: a prompt is read in chunks, then tokens come one by one."""

import time
from collections.abc import Iterator, Sequence

from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local.constraint import Constraint
from qwenchat.engine.local.context import CHUNKS, SequenceContext
from qwenchat.engine.local.sampler import Sampler

CHUNK_S = 0.06
"""How long one prefill chunk may take, so that a stop is noticed within 100 ms."""


def prefill(context: SequenceContext, ids: Sequence[int], stop: StopSignal) -> Iterator[int]:
    """Read `ids`, telling after each chunk how many are read; its length follows the speed of the machine if it must.

    Raises Stopped between chunks; what was read by then stays valid.
    """
    at, (size, most) = 0, context.chunks
    while at < len(ids):
        if stop.is_set():
            raise Stopped
        chunk = ids[at : at + size]
        started = time.perf_counter()
        context.read(chunk, stop)
        elapsed = time.perf_counter() - started
        at += len(chunk)
        yield at
        if not context.interruptible:
            size = max(CHUNKS[0], min(most, int(size * min(2.0, CHUNK_S / max(elapsed, 1e-6)))))


def decode(
    context: SequenceContext,
    sampler: Sampler,
    stop: StopSignal,
    limit: int,
    *,
    constraint: Constraint | None = None,
) -> Iterator[int]:
    """Up to `limit` tokens, each drawn, and read only when the next is asked for. Raises Stopped between tokens.

    `constraint` says which may come.
    """
    if context.ahead and constraint is None:
        yield from context.steps(sampler, stop, limit)
        return
    for produced in range(limit):
        if stop.is_set():
            raise Stopped
        if constraint is None:
            token = sampler.draw(context.logits)
        else:
            token = sampler.draw(constraint.masked(context.logits))
            constraint.take(token)
        yield token
        if produced + 1 < limit:
            context.read([token], stop)
