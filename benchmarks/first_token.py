"""Measures how long the first token takes: python -m benchmarks.first_token [--runs N] [--model NAME]... [--json].

From starting `qwenchat ask` to the first byte of its answer, with all files in the page cache: the embedded model, and
Qwen3-0.6B's shape with random weights as a folder of safetensors, or the models that are named. Beside it the
processor time of a whole `ask` for one token, which a busy machine does not change. Then the steps on the way, one by
one in a process of its own, and the packages that take longest to import.
"""

import argparse
import functools
import importlib
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.startup import QUESTION, environment_of, first_answer

_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
SHOWN = 12
"""Packages that are listed."""
ENGINE = "qwenchat.engine.local"
STEPS = {
    "which model": f"{ENGINE}.engine.locate",
    "its configuration and tokenizer": f"{ENGINE}.loader.opened",
    "packed weights, mapped": f"{ENGINE}.packed_store.PackedStore.read",
    "weights, packed": f"{ENGINE}.loader._packed",
    "machine code": f"{ENGINE}.cpu.decoder.QuantizedDecoder.warm_up",
    "chat template": f"{ENGINE}.engine.ChatTemplate",
    "prompt and first token": f"{ENGINE}.cpu.decoder.QuantizedDecoder.read",
}
"""What is done one after the other, by the function that does it."""


def command(model: str) -> list[str]:
    """What is asked, for one token."""
    return ["ask", "--private", "--no-think", "--max-tokens", "1", "--model", model, QUESTION]


def imports(model: str, environment: dict[str, str]) -> dict[str, float]:
    """Seconds that each top-level package takes to import during `ask`, longest first, and of all together."""
    python = [sys.executable, "-X", "importtime", "-m", "qwenchat", *command(model)]
    said = subprocess.run(python, env=environment, capture_output=True, text=True, check=True).stderr
    found: Counter[str] = Counter()
    for microseconds, name in _IMPORT.findall(said):
        top = name.partition(".")[0]
        found["the standard library" if top.lstrip("_") in sys.stdlib_module_names else top] += int(microseconds)
    return {"all": found.total() / 1e6} | {name: count / 1e6 for name, count in found.most_common(SHOWN)}


def steps(model: str, environment: dict[str, str]) -> dict[str, float]:
    """Seconds of each step, in the order in which they are taken."""
    python = [sys.executable, "-m", "benchmarks.first_token", "--steps-of", model]
    ran = subprocess.run(python, env=environment, cwd=ROOT, capture_output=True, check=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def take_steps(model: str) -> None:
    """Ask in this process, and print the seconds of each step as JSON."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    found = {"interpreter": time.perf_counter() - started}

    def timed(step: str, function):
        @functools.wraps(function)
        def run(*arguments, **options):
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                found[step] = found.get(step, 0.0) + time.perf_counter() - started

        return run

    for step, name in (("command line", "qwenchat.cli.commands.ask"), ("engine", f"{ENGINE}.engine")):
        timed(f"imports: {step}", importlib.import_module)(name)
    for step, path in STEPS.items():
        parts = path.split(".")
        depth = next(at for at, part in enumerate(parts) if part.lstrip("_")[0].isupper() or at == len(parts) - 1)
        holder = importlib.import_module(".".join(parts[:depth]))
        for part in parts[depth:-1]:
            holder = getattr(holder, part)
        setattr(holder, parts[-1], timed(step, getattr(holder, parts[-1])))
    from qwenchat.cli.main import cli

    started = time.perf_counter()
    try:
        cli.main(command(model), prog_name="qwenchat", standalone_mode=False)
    except SystemExit as left:
        if left.code:
            raise
    inner = sum(seconds for step, seconds in found.items() if step in STEPS)
    found["all else"] = time.perf_counter() - started - inner
    print(json.dumps(found))


def processor_time(model: str, environment: dict[str, str]) -> float:
    """Seconds that the processors spend on a whole `ask` for one token."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    python = [sys.executable, "-m", "qwenchat", *command(model)]
    subprocess.run(python, env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(model: str, runs: int, environment: dict[str, str]) -> dict[str, object]:
    """All figures of one model, in seconds."""
    measure = first_answer(model)
    measure(environment)  # what is read, compiled or packed for the first time is not what is measured
    seconds = sorted(measure(environment) for _ in range(runs))
    return {
        "model": model, "median": statistics.median(seconds), "best": seconds[0], "worst": seconds[-1],
        "processor": statistics.median(processor_time(model, environment) for _ in range(runs)),
        "steps": steps(model, environment), "imports": imports(model, environment),
    }  # fmt: skip


def table(row: dict) -> str:
    """The figures of one model in milliseconds, for people."""
    figures = ", ".join(f"{name} {1000 * row[name]:.0f} ms" for name in ("median", "best", "worst", "processor"))
    lines = [f"{row['model']}: {figures}"]
    lines += [f"  {step:<34}{1000 * seconds:>6.0f} ms" for step, seconds in row["steps"].items()]
    packages = ", ".join(f"{name} {1000 * seconds:.0f}" for name, seconds in row["imports"].items())
    return "\n".join([*lines, f"  imports: {packages}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--model", action="append", dest="models", metavar="NAME")
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--steps-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps_of:
        take_steps(options.steps_of)
        return
    from benchmarks.random_qwen3 import random_qwen3

    models = options.models or ["smollm2", str(random_qwen3(ROOT / "build" / "peers"))]
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_of(Path(folder))
        rows = [measured(model, options.runs, environment) for model in models]
    about = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "runs": options.runs}
    if options.as_json:
        print(json.dumps(about | {"rows": rows}))
        return
    print("\n".join(map(table, rows)))
    print(f"{options.runs} runs, {about['cores']} cores, load {about['load']:.1f}")


if __name__ == "__main__":
    main()
