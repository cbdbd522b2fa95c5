"""The script that measures a GPU, tried on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TINY = ["--device", "cpu", "--shape", "tiny", "--contexts", "16,512", "--rounds", "1", "--tokens", "4"]


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu", *options]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_everything_is_checked_and_measured(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    ran = run(*TINY, "--json", str(file))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "WRONG" not in ran.stdout
    assert ran.stdout.count("right: ") >= 10
    report = json.loads(file.read_text())
    assert not report["faults"]
    peers = {"qwenchat", "transformers, dynamic cache", "transformers, static cache"}
    assert {(row["peer"], row["context"]) for row in report["rows"]} == {(p, c) for p in peers for c in (16, 512)}
    for row in report["rows"]:
        assert row["decode_tokens_per_s"]["median"] > 0
        assert row["prefill_tokens_per_s"]["median"] > 0
    assert "| decode @512 |" in ran.stdout
    assert "| first token @512 |" in ran.stdout


def test_without_a_gpu_that_is_said() -> None:
    ran = run(CUDA_VISIBLE_DEVICES="")
    assert ran.returncode == 2
    assert "no GPU" in ran.stdout
