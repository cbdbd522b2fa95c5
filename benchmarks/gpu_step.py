"""Where the time of one token goes on a GPU: by the way it is read, by context, and by kernel."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_subjects import WINDOW, reading
from qwenchat.chat.sampling import THINKING
from qwenchat.engine.local.kvcache import KVCache
from qwenchat.engine.local.sampler import Sampler
from qwenchat.engine.local.stepper import Stepper, named, ways

REPEATS = 50
SHOWN = 16
"""Kernels that are listed, those first that take longest."""


def wait(device: torch.device | str) -> None:
    """Until the device has done all that it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


@torch.inference_mode()
def pieces(network: Stepper, contexts: list[int]) -> dict[str, float | str]:
    """Microseconds to read a token, for each way and context, and to draw one; or why there are none."""
    found: dict[str, float | str] = {}
    for way in ways(network.embedding.device):
        for context in contexts:
            name = f"read @{context}, {named(way)}"
            try:
                with reading(network, way):
                    cache = _filled(network, context)
                    found[name] = _microseconds(network, lambda: network._read(cache))  # noqa: B023
            except Exception as fault:  # noqa: BLE001 - whatever befalls one way, the others go on
                found[name] = str(fault).partition("\n")[0]
                break
    network._draw.take_up(Sampler(THINKING, ()))
    found["draw"] = _microseconds(network, network._draw_next)
    return found


@torch.inference_mode()
def kernels(network: Stepper, context: int) -> list[dict[str, Any]]:
    """What runs for one token, as {name, count, microseconds}: the longest first, then the sum of all."""
    cuda = network.embedding.device.type == "cuda"
    cache, tokens = _filled(network, context), 10
    network._draw.take_up(Sampler(THINKING, ()))

    def both() -> None:
        network._read(cache)
        network._draw_next()

    _microseconds(network, both)
    activities = [ProfilerActivity.CUDA] if cuda else [ProfilerActivity.CPU]
    with profile(activities=activities) as profiled:
        for _ in range(tokens):
            both()
        wait(network.embedding.device)
    rows = []
    for event in profiled.key_averages():
        if not cuda or event.device_type.name == "CUDA":
            taken = event.self_device_time_total if cuda else event.self_cpu_time_total
            rows.append({"name": event.key[:90], "count": event.count / tokens, "microseconds": taken / tokens})
    rows.sort(key=lambda row: -row["microseconds"])
    total = {"name": "all", **{key: sum(row[key] for row in rows) for key in ("count", "microseconds")}}
    return [*rows[:SHOWN], total]


def _filled(network: Stepper, context: int) -> KVCache:
    cache = network.new_cache(WINDOW)
    cache.reserve(context + 2 * REPEATS)
    for layer in cache.layers:
        layer.normal_()
    cache.length = context
    return cache


def _microseconds(network: Stepper, work: Callable[[], None]) -> float:
    """Of one piece of work of many that are given at once, after it was recorded."""
    for _ in range(5):
        work()
    wait(network.embedding.device)
    started = time.perf_counter()
    for _ in range(REPEATS):
        work()
    wait(network.embedding.device)
    return (time.perf_counter() - started) / REPEATS * 1e6
