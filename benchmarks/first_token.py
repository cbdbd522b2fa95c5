"""Measures how long the first token takes: python -m benchmarks.first_token [--runs N] [--model NAME]... [--json].

From starting `qwenchat ask` to the first byte of its answer, with all files in the page cache: the embedded model, and
Qwen3-0.6B's shape with random weights as a folder of safetensors, or the models that are named. Then where the time
goes, from one more run in which Python reports what it imports: the packages that take longest, by themselves.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.random_qwen3 import random_qwen3
from benchmarks.startup import QUESTION, environment_of, first_answer

_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
SHOWN = 12
"""Packages that are listed."""


def imports(model: str, environment: dict[str, str]) -> dict[str, float]:
    """Seconds that each top-level package takes to import during `ask`, longest first, and of all together."""
    command = [sys.executable, "-X", "importtime", "-m", "qwenchat", "ask", "--private", "--no-think"]
    command += ["--max-tokens", "1", "--model", model, QUESTION]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    found: Counter[str] = Counter()
    for microseconds, name in _IMPORT.findall(said):
        top = name.partition(".")[0]
        found["the standard library" if top.lstrip("_") in sys.stdlib_module_names else top] += int(microseconds)
    return {"all": found.total() / 1e6} | {name: count / 1e6 for name, count in found.most_common(SHOWN)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--model", action="append", dest="models", metavar="NAME")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_of(Path(folder))
        for model in options.models or ["smollm2", str(random_qwen3(ROOT / "build" / "peers"))]:
            measure = first_answer(model)
            measure(environment)  # what is read, compiled or packed for the first time is not what is measured
            seconds = sorted(measure(environment) for _ in range(options.runs))
            rows.append(
                {"model": model, "median_s": statistics.median(seconds), "best_s": seconds[0], "worst_s": seconds[-1],
                 "imports_s": imports(model, environment)}
            )  # fmt: skip
    if options.as_json:
        print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0], "runs": options.runs, "rows": rows}))
        return
    for row in rows:
        figures = ", ".join(f"{name} {row[f'{name}_s']:.3f} s" for name in ("median", "best", "worst"))
        print(f"{row['model']}: {figures}")
        print("  imports: " + ", ".join(f"{name} {seconds:.3f}" for name, seconds in row["imports_s"].items()))
    print(f"{options.runs} runs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
