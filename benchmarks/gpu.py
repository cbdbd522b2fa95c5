"""Measures Qwen3-0.6B with random weights on a GPU, beside `generate` of transformers, after checking that it is right.

    python -m benchmarks.gpu --minutes 8 --json gpu.json

First the checks, then what a token's time goes to and what a chat waits for, then rounds: each measures each subject
at each context once, one after the other, as long as there is time. All sample as in a chat, in bf16. The decode speed
at a context is that of the tokens right after a prompt of that length. What fails is told, and the rest goes on; the
figures are written after each part. It needs no network. Exit code 1 says that a check failed or a part did, 2 that
there is no GPU. `--device cpu --shape tiny` tries the script itself.
"""

import argparse
import json
import logging
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from benchmarks.gpu_chat import first_tokens, longest_stop
from benchmarks.gpu_checks import checks
from benchmarks.gpu_report import table
from benchmarks.gpu_step import kernels, pieces, wait
from benchmarks.gpu_subjects import SHAPES, WINDOW, Subject, qwenchat, random_model, stepper, transformers
from benchmarks.peers import cpu_name, summarise
from benchmarks.protocol import Stopwatch

COPIED = {"cuda": 1 << 30, "cpu": 1 << 24}
"""Bytes that are copied to measure the bandwidth."""
STOPPED = {"cuda": 30_000, "cpu": 2000}
"""Tokens of the prompt whose reading is stopped."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--shape", choices=SHAPES, default="qwen3-0.6b")
    parser.add_argument("--contexts", default="512,16,2048,8192", help="in the order of a round; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="at most; another comes before them to warm up")
    parser.add_argument("--minutes", type=float, default=8, help="after them no measurement is begun")
    parser.add_argument("--tokens", type=int, default=128, help="tokens to generate after each prompt")
    parser.add_argument(
        "--caches", default="dynamic", help="those of transformers; it compiles itself for static; default: %(default)s"
    )
    parser.add_argument("--json", type=Path, help="write the figures here too")
    chosen = parser.parse_args()
    chosen.contexts = [int(context) for context in chosen.contexts.split(",")]
    chosen.caches = [cache for cache in chosen.caches.split(",") if cache]
    chosen.until = time.monotonic() + 60 * chosen.minutes
    if max(chosen.contexts) + chosen.tokens > WINDOW:
        parser.error(f"contexts and tokens must fit {WINDOW} tokens")
    return chosen


def bandwidth(device: str) -> float:
    """GB/s that a copy reads and writes: the fastest of ten."""
    source = torch.ones(COPIED[device] // 4, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(10):
        wait(device)
        started = time.perf_counter()
        target.copy_(source)
        wait(device)
        times.append(time.perf_counter() - started)
    return 2 * source.nbytes / min(times) / 1e9


def measure(subjects: list[Subject], chosen: argparse.Namespace, weights: int, token_bytes: int) -> dict[str, Any]:
    """As `benchmarks.peers.measure`; each subject has answered once at each context before it is timed."""
    vocab, faults = SHAPES[chosen.shape]["vocab_size"], {}
    samples: dict[tuple[str, int], list[dict[str, float]]] = defaultdict(list)
    bandwidths = [bandwidth(chosen.device)]
    rounds = [(turn, context) for turn in range(chosen.rounds + 1) for context in chosen.contexts]
    for turn, context in rounds:
        for subject in subjects:
            if subject.name in faults or time.monotonic() > chosen.until:
                continue
            ids = random.SystemRandom().choices(range(2, vocab), k=context)
            watch = Stopwatch()
            try:
                subject.run(ids, chosen.tokens, watch)
                rates = watch.rates(context, chosen.tokens)
            except Exception as fault:  # noqa: BLE001 - whatever befalls one subject, the others go on
                faults[subject.name] = f"{type(fault).__name__}: {fault}"
                continue
            print(f"round {turn}, context {context}, {subject.name}: {rates}", file=sys.stderr, flush=True)
            if turn:
                rates["step_bytes"] = weights + context * token_bytes
                samples[subject.name, context].append(rates)
        bandwidths.append(bandwidth(chosen.device))
    return {"samples": samples, "bandwidths": bandwidths, "faults": faults}


class Parts:
    """The parts of the report, each written as soon as it is there; what befalls one leaves the others be."""

    def __init__(self, report: dict[str, Any], file: Path | None) -> None:
        self.report, self._file = report | {"seconds": {}, "failed": {}}, file

    def add(self, name: str, work: Callable[[], Any]) -> None:
        """Have a part made, or note what befell it."""
        started = time.perf_counter()
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            self.report[name] = work()
        except Exception as fault:  # noqa: BLE001
            self.report["failed"][name] = f"{type(fault).__name__}: {fault}"
            print(f"{name}: {self.report['failed'][name]}", flush=True)
        self.report["seconds"][name] = time.perf_counter() - started
        if self._file:
            self._file.write_text(json.dumps(self.report, indent=2) + "\n")


def checked(chosen: argparse.Namespace, half: torch.dtype) -> list[dict[str, Any]]:
    found = []
    for check in checks(lambda dtype: random_model(chosen.shape, chosen.device, dtype), half):
        print(f"{'right' if check.right else 'WRONG'}: {check.name}: {check.found}", flush=True)
        found.append(vars(check))
    return found


def main() -> None:
    chosen = options()
    logging.basicConfig(level=logging.WARNING)
    transformers_logging.set_verbosity_error()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("There is no GPU here that this torch can use; --device cpu --shape tiny tries the script itself.")
        sys.exit(2)
    dtype = torch.bfloat16 if chosen.device == "cuda" else torch.float32
    parts = Parts(
        {
            "device": torch.cuda.get_device_name() if chosen.device == "cuda" else cpu_name(),
            "torch": torch.__version__,
            "dtype": str(dtype).removeprefix("torch."),
            "shape": chosen.shape,
            "rounds": chosen.rounds,
            "tokens": chosen.tokens,
        },
        chosen.json,
    )
    parts.add("checks", lambda: checked(chosen, dtype))
    model = random_model(chosen.shape, chosen.device, dtype)
    network = stepper(model)
    parts.add("pieces_us", lambda: pieces(network, chosen.contexts))
    parts.add("kernels", lambda: kernels(network, chosen.contexts[0]))
    parts.add("first_token_ms", lambda: first_tokens(network))
    parts.add("longest_stop_ms", lambda: longest_stop(network, STOPPED[chosen.device]))
    weights, token_bytes = sum(tensor.nbytes for tensor in network.tensors), network.new_cache(1).bytes_per_token
    subjects = [qwenchat(network), *(transformers(model, cache) for cache in chosen.caches)]
    parts.add("decoding", lambda: summarise(measure(subjects, chosen, weights, token_bytes)))
    parts.add("capture_s", lambda: getattr(network._runner, "captures", []))
    print(table(parts.report))
    right = all(check["right"] for check in parts.report.get("checks", []))
    sys.exit(0 if right and not parts.report["failed"] else 1)


if __name__ == "__main__":
    main()
