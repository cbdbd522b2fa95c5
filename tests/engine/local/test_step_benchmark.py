"""The script that measures a GPU, tried on the CPU."""

import json
import logging
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu import Parts, measure
from benchmarks.gpu_subjects import Subject
from benchmarks.peers import summarise
from benchmarks.protocol import Stopwatch

ROOT = Path(__file__).parents[3]
TINY = ["--device", "cpu", "--shape", "tiny", "--contexts", "512,16", "--rounds", "1", "--tokens", "4"]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_everything_is_checked_and_measured(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    ran = run(*TINY, "--json", str(file))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "WRONG" not in ran.stdout
    assert ran.stdout.count("right: ") >= 10
    report = json.loads(file.read_text())
    assert not report["failed"]
    assert not report["decoding"]["faults"]
    rows = report["decoding"]["rows"]
    peers = {"qwenchat", "transformers, dynamic cache"}
    assert {(row["peer"], row["context"]) for row in rows} == {(p, c) for p in peers for c in (16, 512)}
    for row in rows:
        assert row["decode_tokens_per_s"]["median"] > 0
        assert row["prefill_tokens_per_s"]["median"] > 0
    assert report["pieces_us"]["read @512, DecodeStep with MaskedAttention"] > 0
    assert report["kernels"][-1]["count"] > 10
    for row in (
        "read @16, DecodeStep with MaskedAttention",
        "decode @512 ",
        "first token @512 ",
        "decode @512 | 1,000 tokens/s",
        "first token behind",
    ):
        assert f"| {row}" in ran.stdout


def test_what_befalls_one_part_or_subject_leaves_the_others_and_no_time_ends_the_rounds(tmp_path: Path) -> None:
    def fails(*args: Any) -> None:
        raise RuntimeError("CUDA error: out of memory")

    def answers(ids: list[int], tokens: int, watch: Stopwatch) -> None:
        for _ in range(tokens):
            watch.token()

    subjects = [Subject("one", fails), Subject("other", answers)]
    parts = Parts({"device": "none"}, tmp_path / "gpu.json")
    for minutes in (1, 0):
        until = time.monotonic() + 60 * minutes
        chosen = Namespace(device="cpu", shape="tiny", contexts=[8], rounds=2, tokens=3, until=until)
        parts.add(f"{minutes} minutes", lambda: summarise(measure(subjects, chosen, 1, 1)))  # noqa: B023
    parts.add("broken", fails)
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert [row["peer"] for row in report["1 minutes"]["rows"]] == ["other"]
    assert "out of memory" in report["1 minutes"]["faults"]["one"]
    assert report["0 minutes"]["rows"] == []
    assert "out of memory" in report["failed"]["broken"]


def test_without_a_gpu_that_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
    monkeypatch.setattr(gpu.transformers_logging, "set_verbosity_error", lambda: None)
    with pytest.raises(SystemExit) as caught:
        gpu.main()
    assert caught.value.code == 2
    assert "no GPU" in capsys.readouterr().out
