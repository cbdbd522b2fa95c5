"""Qwen3-0.6B as the Hub has it, tokenizer and template included, but with random weights: for measuring whole turns."""

import json
import lzma
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.environments import ROOT
from benchmarks.shape import QWEN3_06B as SHAPE

TOKENIZER = ROOT / "tests" / "data" / "qwen3"
SPREAD = 0.03
"""Standard deviation of the weights, about that of the trained model's."""


def random_qwen3(cache: Path) -> Path:
    """The model's folder below `cache`, made if it is not there yet; 1.2 GB."""
    folder = cache / "random-qwen3-0.6b"
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with lzma.open(TOKENIZER / "tokenizer.json.xz") as source, (folder / "tokenizer.json").open("wb") as target:
            shutil.copyfileobj(source, target)
        shutil.copy(TOKENIZER / "tokenizer_config.json", folder)
        save_file(_weights(), folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps({"architectures": ["Qwen3ForCausalLM"], **SHAPE}), "utf-8")
    return folder


def _weights() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    hidden, inner, head = SHAPE["hidden_size"], SHAPE["intermediate_size"], SHAPE["head_dim"]
    queries, keys = SHAPE["num_attention_heads"] * head, SHAPE["num_key_value_heads"] * head

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return (torch.randn(rows, columns, generator=random) * SPREAD).to(torch.bfloat16)

    weights = {"model.embed_tokens.weight": matrix(SHAPE["vocab_size"], hidden), "model.norm.weight": _ones(hidden)}
    for layer in range(SHAPE["num_hidden_layers"]):
        here = f"model.layers.{layer}."
        weights |= {
            f"{here}input_layernorm.weight": _ones(hidden),
            f"{here}post_attention_layernorm.weight": _ones(hidden),
            f"{here}self_attn.q_norm.weight": _ones(head),
            f"{here}self_attn.k_norm.weight": _ones(head),
            f"{here}self_attn.q_proj.weight": matrix(queries, hidden),
            f"{here}self_attn.k_proj.weight": matrix(keys, hidden),
            f"{here}self_attn.v_proj.weight": matrix(keys, hidden),
            f"{here}self_attn.o_proj.weight": matrix(hidden, queries),
            f"{here}mlp.gate_proj.weight": matrix(inner, hidden),
            f"{here}mlp.up_proj.weight": matrix(inner, hidden),
            f"{here}mlp.down_proj.weight": matrix(hidden, inner),
        }
    return weights


def _ones(size: int) -> torch.Tensor:
    return torch.ones(size, dtype=torch.bfloat16)
