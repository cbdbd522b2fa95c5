"""What `qwenchat bench` measures and says; how fast this machine is does not matter here."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from qwenchat.cli.main import cli
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import measure
from qwenchat.engine.local.catalog import KNOWN
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.cpu.decoder import QuantizedDecoder
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.decoder_config import DecoderConfig
from qwenchat.engine.local.footprint import QUANTIZATIONS, ModelShape, token_bytes
from qwenchat.engine.local.hardware import RunPlan, choose
from qwenchat.engine.local.random_model import config_of, random_network

SHAPE = ModelShape(64, 3, 128, heads=4, kv_heads=2, head_dim=32, tied=True, vocab=320)


def config(**changes: Any) -> DecoderConfig:
    s = SHAPE
    small = DecoderConfig(
        s.vocab, s.hidden, s.layers, s.intermediate, s.heads, s.kv_heads, s.head_dim, 1e6, 1e-6, 4096, s.tied
    )
    return replace(small, **changes)


def plan(quantization: str) -> RunPlan:
    return choose("cpu", quantization)


@pytest.fixture(autouse=True)
def little_memory_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(measure, "READ_BYTES", 1 << 20)
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["bench", "--device", "cpu", "--rounds", "1", *arguments])


def test_the_object_has_a_row_for_each_quantization_and_context(tiny_qwen3: Path) -> None:
    result = bench("--model", str(tiny_qwen3), "--quantization", "float32,int8", "--context", "5,40", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["model"] == tiny_qwen3.name
    assert report["bandwidth_gb_s"] > 0
    assert report["load_s"] == report["rows"][0]["load_s"] > 0
    cells = [(row["quantization"], row["context"]) for row in report["rows"]]
    assert cells == [("float32", 5), ("float32", 40), ("int8", 5), ("int8", 40)]
    for row in report["rows"]:
        assert min(row["prefill_tokens_per_s"], row["decode_tokens_per_s"], row["bandwidth_share"]) > 0
    assert "int8, 40 tokens" in result.stderr
    assert "reading weights" in result.stderr


def test_people_get_a_table(tiny_qwen3: Path) -> None:
    result = bench("--model", str(tiny_qwen3), "--quantization", "int4", "--context", "300")
    heading, row = result.stdout.splitlines()[2:4]
    assert heading.split()[:4] == ["QUANTIZATION", "CONTEXT", "PREFILL", "DECODE"]
    assert row.split()[:2] == ["int4", "300"]
    assert "GB/s" in result.stdout


def test_each_length_is_read_whole_and_answered_through_the_loop_of_the_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    read = SequenceContext.read

    def counted(context: SequenceContext, ids: list[int], stop: StopSignal) -> None:
        reads.append(len(ids))
        read(context, ids, stop)

    monkeypatch.setattr(SequenceContext, "read", counted)
    network = random_network(config(), plan("int8"))
    subject = measure.MeasuredModel("tiny", "int8", "cpu", network, 0.0)
    speeds = list(measure.speeds(subject, [300, 20], 2, lambda step: None))
    assert [speed.context for speed in speeds] == [300, 20]
    assert measure.STEPS >= 24
    alone = [size for size in reads if size == 1]
    assert len(alone) == 5 * measure.STEPS
    assert sum(reads) - len(alone) == 2 * (300 + 20) + 20


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("quantization", ["float32", "bf16", "int8", "int4"])
def test_random_weights_take_the_memory_that_was_computed(quantization: str, tied: bool) -> None:
    network = random_network(config(tied=tied), plan(quantization))
    context = SequenceContext(network, 64)
    context.read(list(range(0, 40)), StopSignal())
    assert np.isfinite(context.logits).all()
    assert context.logits.std() > 0
    shape = replace(SHAPE, tied=tied)
    size = {"float32": 4, "bf16": 2}.get(quantization)
    subject = measure.MeasuredModel("tiny", quantization, "cpu", network, 0.0)
    assert subject.token_bytes == token_bytes(shape, size)
    computed = QUANTIZATIONS[quantization].cpu.weights(shape)
    embedding = 0 if tied else network.embedding.nbytes
    norms = shape.norms * 4 if isinstance(network, QuantizedDecoder) else 0
    assert subject.step_bytes == computed - norms - embedding


def test_a_shape_is_that_of_the_known_model() -> None:
    found = config_of(KNOWN[0])
    assert (found.hidden, found.layers, found.heads, found.vocab, found.tied) == (1024, 28, 16, 151_936, True)
    assert isinstance(random_network(config(), plan("bf16")), Decoder)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shape", "qwen3-0.7b"], "qwen3-0.6b"),
        (["--shape", "qwen3-30b-a3b"], "A server can run it"),
        (["--shape", "qwen3-0.6b", "--model", "x"], "--shape goes without --model"),
        (["--shape", "qwen3-0.6b", "--context", "16,many"], "16,many"),
        (["--shape", "qwen3-0.6b", "--context", "0"], "list of numbers"),
        (["--shape", "qwen3-0.6b", "--quantization", "int8,q9"], "q9"),
        (["--shape", "qwen3-0.6b", "--context", "50000"], "--context may be 40927"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(arguments: list[str], says: str) -> None:
    result = bench(*arguments)
    assert result.exit_code != 0
    assert says in f"{result.output} {result.exception}"


def test_a_prompt_longer_than_the_model_is_refused_with_the_longest(tiny_qwen3: Path) -> None:
    result = bench("--model", str(tiny_qwen3), "--quantization", "int8", "--context", "5000")
    assert "--context may be 4063" in str(result.exception)
