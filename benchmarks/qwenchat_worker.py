"""Measures qwenchat's own engine, sampling as in a chat: python -m benchmarks.qwenchat_worker int8|int4|q4_k_m."""

from pathlib import Path

from benchmarks.protocol import Stopwatch, arguments, serve
from benchmarks.shape import fresh_ids
from qwenchat.chat.sampling import THINKING
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import hardware, loader
from qwenchat.engine.local.catalog import KNOWN
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.generate import decode, prefill
from qwenchat.engine.local.measure import MeasuredModel
from qwenchat.engine.local.network import Network
from qwenchat.engine.local.random_model import config_of, random_network
from qwenchat.engine.local.sampler import Sampler


def load(variant: str, cache: Path) -> Network:
    """Random weights in the shape of Qwen3-0.6B: made here, or, for a variant of GGUF, those of llama.cpp's file."""
    if variant != "q4_k_m":
        return random_network(config_of(KNOWN[0]), hardware.choose("cpu", variant))
    return loader.load(
        cache / f"{variant}.gguf",
        plan=hardware.choose("cpu", "auto"),
        cache_folder=cache / "tokenizers",
        progress=lambda step: None,
        stop=StopSignal(),
    ).network


def main() -> None:
    options = arguments(__doc__, ["int8", "int4", "q4_k_m"])
    hardware.give_torch_threads(network_has_its_own=True)
    hardware.cpu_threads = lambda: options.threads
    network = load(options.variant, Path(options.cache))
    subject = MeasuredModel("Qwen3-0.6B", options.variant, "cpu", network, 0.0)
    running, stop = SequenceContext(network, options.longest + 512), StopSignal()

    def measure(context: int, tokens: int) -> dict[str, float]:
        ids = fresh_ids(context)
        watch = Stopwatch()
        for _ in prefill(running, ids[running.rewind(ids) :], stop):
            pass
        for _ in decode(running, Sampler(THINKING, ids), stop, tokens):
            watch.token()
        return watch.rates(context, tokens) | {"step_bytes": subject.step_bytes + context * subject.token_bytes}

    serve(measure)


if __name__ == "__main__":
    main()
