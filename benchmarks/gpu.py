"""Measures Qwen3-0.6B with random weights on a GPU, beside `generate` of transformers, after checking that it is right.

    python -m benchmarks.gpu --rounds 3 --json gpu.json

Every round measures each subject at each context once, one after the other. All of them sample as in a chat, in bf16.
The decode speed at a context is that of the tokens right after a prompt of that length. Exit code 1 says that a check
failed, 2 that there is no GPU. `--device cpu --shape tiny` tries the script itself.
"""

import argparse
import json
import logging
import random
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from benchmarks.gpu_checks import Check, checks
from benchmarks.gpu_subjects import SHAPES, Subject, qwenchat, random_model, stepper, transformers
from benchmarks.peers import cell, cpu_name, summarise
from benchmarks.protocol import Stopwatch

COPIED = {"cuda": 1 << 30, "cpu": 1 << 24}
"""Bytes that are copied to measure the bandwidth."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--shape", choices=SHAPES, default="qwen3-0.6b")
    parser.add_argument("--contexts", default="16,512,2048,4096,8192", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=128, help="tokens to generate after each prompt")
    parser.add_argument("--caches", default="dynamic,static", help="those of transformers; default: %(default)s")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    chosen = parser.parse_args()
    chosen.contexts = sorted(int(context) for context in chosen.contexts.split(","))
    chosen.caches = [cache for cache in chosen.caches.split(",") if cache]
    return chosen


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


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
    bandwidths = []
    for turn in range(chosen.rounds + 1):
        for context in chosen.contexts:
            bandwidths.append(bandwidth(chosen.device))
            for subject in subjects:
                if subject.name in faults:
                    continue
                ids = random.SystemRandom().choices(range(2, vocab), k=context)
                watch = Stopwatch()
                try:
                    subject.run(ids, chosen.tokens, watch)
                    rates = watch.rates(context, chosen.tokens)
                except Exception as fault:  # noqa: BLE001 - whatever befalls one subject, the others go on
                    faults[subject.name] = f"{type(fault).__name__}: {fault}"
                    continue
                print(f"round {turn}, context {context}, {subject.name}: {rates}", file=sys.stderr)
                if turn:
                    rates["step_bytes"] = weights + context * token_bytes
                    samples[subject.name, context].append(rates)
    return {"samples": samples, "bandwidths": bandwidths, "faults": faults}


def table(report: dict[str, Any]) -> str:
    """A row a measurement, a column a subject; below it the circumstances and the faults."""
    rows = {(row["peer"], row["context"]): row for row in report["rows"]}
    names = list(dict.fromkeys(name for name, _ in rows))
    contexts = sorted({context for _, context in rows})
    lines = ["| tokens/s | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for title, rate in (("decode @", "decode_tokens_per_s"), ("prefill ", "prefill_tokens_per_s")):
        for context in contexts:
            cells = (cell(rows.get((name, context)), rate, rate.startswith("decode")) for name in names)
            lines.append(f"| {title}{context} | " + " | ".join(cells) + " |")
    for context in contexts:
        firsts = (1000 * context / rows[name, context]["prefill_tokens_per_s"]["median"] for name in names)
        lines.append(f"| first token @{context} | " + " | ".join(f"{first:.1f} ms" for first in firsts) + " |")
    captures = ", ".join(f"{1000 * seconds:.0f} ms" for seconds in report["capture_s"]) or "none"
    lines += [
        "",
        f"{report['device']}, {report['dtype']}, a copy moves {report['bandwidth_gb_s']['median']:.0f} GB/s; "
        f"{report['shape']} with random weights, sampling included; rounds: {report['rounds']}; medians ± half the "
        "range; in brackets the share of that bandwidth which reading weights and cache once a token stands for. "
        f"Recordings of a step or a draw: {captures}.",
    ]
    return "\n".join(lines + [f"- {name}: {fault}" for name, fault in report["faults"].items()])


def goals(report: dict[str, Any]) -> list[str]:
    """What was aimed at with an H100, and what was reached."""
    rows = {(row["peer"], row["context"]): row for row in report["rows"] if row["context"] == 512}
    ours = rows.get(("qwenchat", 512))
    if ours is None:
        return []
    speed, share = ours["decode_tokens_per_s"]["median"], ours["bandwidth_share"]
    found = [("1,000 tokens/s @512", speed / 1000), ("40 % of the bandwidth @512", share / 0.4)]
    plain = rows.get(("transformers, dynamic cache", 512))
    if plain is not None:
        found.append(("10 times transformers @512", speed / plain["decode_tokens_per_s"]["median"] / 10))
    return [f"goal {name}: {ratio:.2f} of it" for name, ratio in found]


def checked(chosen: argparse.Namespace, half: torch.dtype) -> list[Check]:
    found = []
    for check in checks(lambda dtype: random_model(chosen.shape, chosen.device, dtype), half):
        print(f"{'right' if check.right else 'WRONG'}: {check.name}: {check.found}", flush=True)
        found.append(check)
    return found


def main() -> None:
    chosen = options()
    logging.basicConfig(level=logging.WARNING)
    transformers_logging.set_verbosity_error()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("There is no GPU here that this torch can use; --device cpu --shape tiny tries the script itself.")
        sys.exit(2)
    dtype = torch.bfloat16 if chosen.device == "cuda" else torch.float32
    found = checked(chosen, dtype)
    model = random_model(chosen.shape, chosen.device, dtype)
    network = stepper(model)
    token_bytes = network.new_cache(1).bytes_per_token
    subjects = [qwenchat(network), *(transformers(model, cache) for cache in chosen.caches)]
    report = {
        "device": torch.cuda.get_device_name() if chosen.device == "cuda" else cpu_name(),
        "torch": torch.__version__,
        "dtype": str(dtype).removeprefix("torch."),
        "shape": chosen.shape,
        "rounds": chosen.rounds,
        "tokens": chosen.tokens,
        "checks": [vars(check) for check in found],
    }
    report |= summarise(measure(subjects, chosen, sum(tensor.nbytes for tensor in network.tensors), token_bytes))
    report["capture_s"] = getattr(network._runner, "captures", [])
    print(table(report), *goals(report), sep="\n")
    print(json.dumps(report))
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=2) + "\n")
    sys.exit(0 if all(check.right for check in found) else 1)


if __name__ == "__main__":
    main()
