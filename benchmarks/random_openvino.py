"""Writes Qwen3-0.6B with random weights as OpenVINO models.

Usage: python -m benchmarks.random_openvino FOLDER int4|int8
"""

import shutil
import sys
import tempfile
from pathlib import Path

import torch
from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig
from transformers import Qwen3Config, Qwen3ForCausalLM

from benchmarks.shape import QWEN3_06B

WEIGHTS = {
    "int4": OVWeightQuantizationConfig(bits=4, sym=True, group_size=64, ratio=1.0),
    "int8": OVWeightQuantizationConfig(bits=8),
}


def write(folder: Path, weights: str) -> None:
    """Exports through transformers in bf16, as a user would; `folder` appears only when it is whole."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        source, exported = Path(scratch) / "source", Path(scratch) / "exported"
        model = Qwen3ForCausalLM(Qwen3Config(**QWEN3_06B))
        model.to(torch.bfloat16).save_pretrained(source)
        del model
        compressed = OVModelForCausalLM.from_pretrained(
            source, export=True, compile=False, quantization_config=WEIGHTS[weights]
        )
        compressed.save_pretrained(exported)
        shutil.move(exported, folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]).absolute(), sys.argv[2])
