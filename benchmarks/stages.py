"""Measures where the time of the quantized decoder goes, with Qwen3-0.6B's shape: python -m benchmarks.stages

Its threads meet at a barrier after each stage of a layer, so a barrier that notes the time is enough: the decoder is
compiled anew with one. For each stage: its time, and how fast it reads its weights (a token) or multiplies (a prompt).
"""

import argparse
import statistics
import time
from collections import defaultdict

import numpy as np
from numba import njit, types

from benchmarks.shape import fresh_ids
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import hardware
from qwenchat.engine.local.catalog import find
from qwenchat.engine.local.cpu import decoder, forward, machine_code
from qwenchat.engine.local.cpu.arrays import new_shared
from qwenchat.engine.local.cpu.forward import DOWN, GATE, OUT, UP, K, Q, V
from qwenchat.engine.local.cpu.native import address_of, barrier, fetch_add
from qwenchat.engine.local.random_model import config_of, random_network

LAYER = "norm", "q, k, v", "positions", "attention", "output of attention", "norm", "gate and up", "SwiGLU", "down"
"""The stages of a layer, as `forward` goes through them."""
KEYS = "norm", "q, k, v", "positions", "norm"
"""Those that come before them in the last layer of a prompt."""
END = "norm", "logits"
MATRICES = {"q, k, v": (Q, K, V), "output of attention": (OUT,), "gate and up": (GATE, UP), "down": (DOWN,)}
NOTED = len(new_shared())
"""Where in the memory of the team it stands how many times were noted; they follow, in seconds and nanoseconds."""
MOST = 1 << 14
_clock_gettime = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.int64))
_MONOTONIC = np.int32(time.CLOCK_MONOTONIC)


@njit(nogil=True)
def _noting_barrier(shared, threads, stop):
    go_on = barrier(shared, threads, stop)
    at = fetch_add(shared, NOTED, 1)
    _clock_gettime(_MONOTONIC, address_of(shared) + 8 * (NOTED + 1 + 2 * at))
    return go_on


def note_times() -> None:
    """Have the decoder note the time at each barrier."""
    forward.barrier = _noting_barrier
    machine_code._kept = lambda key: None
    machine_code._keep = lambda key, code: None
    decoder.new_shared = lambda: np.zeros(NOTED + 1 + 2 * MOST, np.int64)


class Stages:
    """A decoder with random weights, whose stages are timed."""

    def __init__(self, quantization: str, window: int) -> None:
        self.network = random_network(config_of(find("qwen3-0.6b")), hardware.choose("cpu", quantization))
        self.cache = self.network.new_cache(window)

    def read(self, count: int) -> float:
        """Read tokens that were never read; the milliseconds it took."""
        ids = fresh_ids(count)
        started = time.perf_counter()
        self.network.read(ids, self.cache, StopSignal())
        return (time.perf_counter() - started) * 1e3

    def times(self, context: int, count: int, rounds: int) -> dict[str, float]:
        """Milliseconds of each stage when `count` tokens are read after `context` others; medians."""
        found = defaultdict(list)
        self.cache.crop(context)
        if self.cache.length < context:
            self.read(context - self.cache.length)
        shared = self.network._shared
        for _ in range(rounds):
            self.cache.crop(context)
            shared[NOTED] = 0
            whole = self.read(count)
            # All threads note the time; the last of each meeting counts.
            seconds, rest = shared[NOTED + 1 : NOTED + 1 + 2 * shared[NOTED]].reshape(-1, 2).T
            noted = np.sort(seconds * 1_000_000_000 + rest)
            layers = self.network.config.layers
            names = [*LAYER * (layers - 1), *(KEYS if count > 1 else ()), *LAYER, *END]
            meetings = noted.reshape(len(names), -1)[:, -1]
            spent = defaultdict(float)
            for name, took in zip(names[1:], np.diff(meetings), strict=True):
                spent[name] += took / 1e6
            spent["all else"] = whole - sum(spent.values())
            for name, took in spent.items():
                found[name].append(took)
        return {name: statistics.median(values) for name, values in found.items()}

    def work(self, stage: str) -> tuple[int, int]:
        """Bytes of the matrices that a stage reads, and their weights."""
        if stage == "logits":
            matrices = [self.network.output]
        else:
            matrices = [row[at] for row in self.network.matrices for at in MATRICES.get(stage, ())]
        return sum(matrix.nbytes for matrix in matrices), sum(matrix.rows * matrix.columns for matrix in matrices)


def report(stages: Stages, context: int, count: int, rounds: int) -> None:
    times = stages.times(context, count, rounds)
    whole = sum(times.values())
    what = f"{count:,} tokens" if count > 1 else "a token"
    print(f"\n{what} after {context:,}: {whole:.1f} ms, {count / whole * 1e3:,.1f} tokens/s\n")
    unit = "G multiplications/s" if count > 1 else "GB/s"
    print(f"| stage | ms | share | {unit} |\n|---|---|---|---|")
    for stage, took in times.items():
        size, weights = stages.work(stage)
        done = weights * count if count > 1 and stage != "logits" else size if count == 1 else 0
        print(f"| {stage} | {took:.2f} | {took / whole:.0%} | {f'{done / took / 1e6:,.1f}' if done else ''} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quantization", default="int8,int4", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    chosen = parser.parse_args()
    note_times()
    for quantization in chosen.quantization.split(","):
        stages = Stages(quantization, 4608)
        print(f"\n## {quantization}, {hardware.cpu_threads()} threads")
        for context, count in ((16, 1), (2048, 1), (0, 512), (4000, 80)):
            report(stages, context, count, chosen.rounds)
        stages.network.close()


if __name__ == "__main__":
    main()
