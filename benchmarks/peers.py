"""Measures Qwen3-0.6B with random weights on this machine's CPU, here and on the programs a user might choose instead.

    python benchmarks/peers.py --rounds 3 --contexts 16,512 --peers llama-q4km,openvino-int4,transformers

Every round measures each peer at each context once, one after the other, so that whatever else the machine does falls
on all alike. The decode speed at a context is that of the tokens right after a prompt of that length. qwenchat samples
as in a chat; the others are greedy, which costs them less.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from benchmarks.environments import EXPORT, LLAMA, OPENVINO, ROOT, Environment, run_module

PREFILL_FROM = 512
"""The shortest prompt whose prefill speed is worth showing."""


@dataclass(frozen=True)
class Peer:
    """A worker, the variant it is to measure, the environment it runs in (none: this one), and its model's file."""

    worker: str
    variant: str
    environment: Environment | None = None
    model: str | None = None

    def command(self, cache: Path, threads: int, longest: int) -> list[str]:
        """The worker's command line, once everything it needs is there."""
        python = self.environment.python(cache) if self.environment else sys.executable
        if self.model and not (cache / self.model).exists():
            print(f"writing {cache / self.model}", file=sys.stderr)
            if self.environment is OPENVINO:
                run_module(EXPORT.python(cache), "benchmarks.random_openvino", str(cache / self.model), self.variant)
            else:
                run_module(python, "benchmarks.random_gguf", str(cache / self.model), self.variant)
        limits = ["--cache", str(cache), "--threads", str(threads), "--longest", str(longest)]
        return [python, "-m", f"benchmarks.{self.worker}", self.variant, *limits]


PEERS = {
    "qwenchat-int4": Peer("qwenchat_worker", "int4"),
    "qwenchat-q4km": Peer("qwenchat_worker", "q4_k_m", None, "q4_k_m.gguf"),
    "qwenchat-int8": Peer("qwenchat_worker", "int8"),
    "llama-q4km": Peer("llama_worker", "q4_k_m", LLAMA, "q4_k_m.gguf"),
    "llama-q4": Peer("llama_worker", "q4_0", LLAMA, "q4_0.gguf"),
    "llama-q8": Peer("llama_worker", "q8_0", LLAMA, "q8_0.gguf"),
    "openvino-int4": Peer("openvino_worker", "int4", OPENVINO, "openvino-int4"),
    "openvino-int8": Peer("openvino_worker", "int8", OPENVINO, "openvino-int8"),
    "transformers": Peer("transformers_worker", "bfloat16"),
}


class Worker:
    """A running peer: one request, one reply. RuntimeError when it answers with a fault or is gone."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )

    def ask(self, context: int, tokens: int) -> dict[str, float]:
        """Has it read a fresh prompt of `context` tokens and generate `tokens`."""
        assert self.process.stdin and self.process.stdout
        # One that is gone cannot be written to; the empty reply below says so.
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"context": context, "tokens": tokens}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        reply = json.loads(line) if line else {"error": f"the worker ended: {self.last_words()}"}
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply

    def last_words(self) -> str:
        """The last line it wrote to its log."""
        lines = self.log.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()


class Bandwidth:
    """How fast this machine reads memory: GB/s of summing an array far larger than any cache."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self.array = torch.ones(2**28)

    def measure(self) -> float:
        """That of the fastest of five sums."""
        times = []
        for _ in range(5):
            started = time.perf_counter()
            self.array.sum()
            times.append(time.perf_counter() - started)
        return self.array.nbytes / min(times) / 1e9


def measure(workers: dict[str, Worker], contexts: list[int], rounds: int, tokens: int, bandwidth: Bandwidth) -> dict:
    """Samples as {(peer, context): [reply]}, the bandwidths, and the faults by peer; a peer with a fault drops out."""
    samples, bandwidths, faults = defaultdict(list), [], {}
    for turn in range(rounds):
        for context in contexts:
            bandwidths.append(bandwidth.measure())
            names = [name for name in workers if name not in faults]
            start = turn % max(1, len(names))
            for name in names[start:] + names[:start]:
                try:
                    reply = workers[name].ask(context, tokens)
                except RuntimeError as fault:
                    faults[name] = str(fault)
                    continue
                samples[name, context].append(reply)
                rates = ", ".join(f"{key.split('_')[0]} {reply[key]:.1f}" for key in sorted(reply) if "per_s" in key)
                print(f"round {turn + 1}, context {context}, {name}: {rates}", file=sys.stderr)
    return {"samples": samples, "bandwidths": bandwidths, "faults": faults}


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarise(found: dict) -> dict:
    """What the JSON holds: medians with their spread, and the share of the bandwidth that decoding stands for."""
    bandwidth = statistics.median(found["bandwidths"])
    rows = []
    for (peer, context), replies in found["samples"].items():
        row = {"peer": peer, "context": context}
        for rate in ("prefill_tokens_per_s", "decode_tokens_per_s"):
            row[rate] = spread([reply[rate] for reply in replies])
        if "step_bytes" in replies[0]:
            used = row["decode_tokens_per_s"]["median"] * replies[0]["step_bytes"] / 1e9
            row["bandwidth_share"] = used / bandwidth
        rows.append(row)
    return {"bandwidth_gb_s": spread(found["bandwidths"]), "rows": rows, "faults": found["faults"]}


def cell(row: dict | None, rate: str, share: bool) -> str:
    if row is None:
        return "-"
    value = row[rate]
    text = f"{value['median']:.1f} ±{(value['max'] - value['min']) / 2:.1f}"
    return f"{text} ({row['bandwidth_share']:.0%})" if share and "bandwidth_share" in row else text


def markdown(report: dict) -> str:
    """The table: a row a peer, a column a measurement; below it the circumstances and the faults."""
    rows = {(row["peer"], row["context"]): row for row in report["rows"]}
    contexts = sorted({context for _, context in rows})
    columns = [(f"prefill {c}", c, "prefill_tokens_per_s") for c in contexts if c >= PREFILL_FROM]
    columns += [(f"decode @{c}", c, "decode_tokens_per_s") for c in contexts]
    lines = ["| " + " | ".join(["tokens/s", *(title for title, _, _ in columns)]) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for peer in dict.fromkeys(peer for peer, _ in rows):
        cells = [cell(rows.get((peer, c)), rate, rate.startswith("decode")) for _, c, rate in columns]
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"{report['cpu']}, {report['threads']} threads, memory read at {report['bandwidth_gb_s']['median']:.1f} GB/s. "
        "Qwen3-0.6B with random weights; qwenchat samples as in a chat, the others are greedy; "
        f"rounds: {report['rounds']}; medians ± half the range; in brackets the share of that bandwidth which "
        "reading weights and cache once a token stands for.",
    ]
    lines += [f"- {peer}: {fault}" for peer, fault in report["faults"].items()]
    return "\n".join(lines)


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def physical_cores() -> int:
    """Those this process may use: a container often has fewer than the machine."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(psutil.cpu_count(logical=False) or allowed, allowed)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(PEERS), help="default: %(default)s")
    parser.add_argument("--contexts", default="16,512,2048", help="prompt lengths in tokens; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=48, help="tokens to generate after each prompt")
    parser.add_argument("--threads", type=int, default=physical_cores(), help="default: the physical cores")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "peers", help="environments and models")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    chosen = parser.parse_args()
    chosen.peers, chosen.cache = chosen.peers.split(","), chosen.cache.absolute()
    chosen.contexts = sorted(int(context) for context in chosen.contexts.split(","))
    if unknown := [name for name in chosen.peers if name not in PEERS]:
        parser.error(f"no peer named {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return chosen


def start(chosen: argparse.Namespace) -> tuple[dict[str, Worker], dict[str, str]]:
    """The workers of the chosen peers, and why any of them could not be had."""
    commands, faults = {}, {}
    for name in chosen.peers:
        try:
            commands[name] = PEERS[name].command(chosen.cache, chosen.threads, max(chosen.contexts))
        except subprocess.CalledProcessError as fault:
            faults[name] = str(fault)
    workers = {name: Worker(command, chosen.cache / f"{name}.log") for name, command in commands.items()}
    return workers, faults


def main() -> None:
    chosen = options()
    chosen.cache.mkdir(parents=True, exist_ok=True)
    workers, faults = start(chosen)
    bandwidth = Bandwidth(chosen.threads)
    try:
        print("loading and warming up", file=sys.stderr)
        faults |= measure(workers, [16], 1, 4, bandwidth)["faults"]
        ready = {name: worker for name, worker in workers.items() if name not in faults}
        found = measure(ready, chosen.contexts, chosen.rounds, chosen.tokens, bandwidth)
    finally:
        for worker in workers.values():
            worker.close()
    found["faults"] |= faults
    report = {"cpu": cpu_name(), "threads": chosen.threads, "rounds": chosen.rounds, "tokens": chosen.tokens}
    report |= summarise(found)
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=2) + "\n")
    print(markdown(report))
    if report["faults"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
