"""On the CPU's own kernels nothing waits for torch: it is imported by what computes with it, and by nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Kind

from tests.support.gguf_writer import write_gguf
from tests.support.tiny_qwen3 import SKY

ASK = """
import sys
from qwenchat.cli.main import cli
try:
    cli.main(sys.argv[1:], prog_name="qwenchat", standalone_mode=False)
except SystemExit as left:
    assert not left.code, left.code
found = [name for name in ("torch", "transformers", "accelerate") if name in sys.modules]
print(",".join(found), file=sys.stderr)
"""


def asked(model: Path, home: Path, *options: str) -> tuple[str, str]:
    """What the model answers, and what of torch and its like was imported for it."""
    command = [sys.executable, "-c", ASK, "ask", "--private", "--temperature", "0", "--device", "cpu"]
    ran = subprocess.run(
        [*command, "--model", str(model), *options, SKY.question],
        env=os.environ | {"QWENCHAT_HOME": str(home)}, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return ran.stdout.strip(), ran.stderr.splitlines()[-1]


def test_a_folder_of_safetensors_is_packed_and_answered_without_torch(tiny_qwen3: Path, tmp_path: Path) -> None:
    assert asked(tiny_qwen3, tmp_path) == (SKY.answer, "")


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.BF16])
def test_a_gguf_file_is_answered_without_torch(tiny_qwen3: Path, tmp_path: Path, kind: Kind) -> None:
    assert asked(write_gguf(tiny_qwen3, tmp_path / "model.gguf", kind), tmp_path) == (SKY.answer, "")


def test_floats_are_left_to_torch_alone(tiny_qwen3: Path, tmp_path: Path) -> None:
    assert asked(tiny_qwen3, tmp_path, "--quantization", "float32") == (SKY.answer, "torch")
