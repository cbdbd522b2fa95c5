"""Writes Qwen3-0.6B with random weights as GGUF, mixed as by llama-quantize.

Usage: python -m benchmarks.random_gguf FILE q8_0|q4_0|q4_k_m
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

from benchmarks.shape import QWEN3_06B as SHAPE

HIDDEN, LAYERS, HEAD = SHAPE["hidden_size"], SHAPE["num_hidden_layers"], SHAPE["head_dim"]
QUERIES, KEYS = HEAD * SHAPE["num_attention_heads"], HEAD * SHAPE["num_key_value_heads"]

BLOCKS = {
    Type.Q8_0: np.dtype([("d", "<f2"), ("values", "i1", 32)]),
    Type.Q4_0: np.dtype([("d", "<f2"), ("values", "u1", 16)]),
    Type.Q4_K: np.dtype([("d", "<f2"), ("dmin", "<f2"), ("scales", "u1", 12), ("values", "u1", 128)]),
    Type.Q6_K: np.dtype([("low", "u1", 128), ("high", "u1", 64), ("scales", "i1", 16), ("d", "<f2")]),
}
"""How each kind of block lies in the file."""

SCALES = {Type.Q8_0: 3e-4, Type.Q4_0: 4e-3, Type.Q4_K: 1.4e-4, Type.Q6_K: 1e-4}
"""Block scales that give random values about the spread of a trained model's weights, and are normal half floats."""

MIXTURES = {
    "q8_0": (gguf.LlamaFileType.MOSTLY_Q8_0, Type.Q8_0, Type.Q8_0),
    "q4_0": (gguf.LlamaFileType.MOSTLY_Q4_0, Type.Q4_0, Type.Q4_0),
    "q4_k_m": (gguf.LlamaFileType.MOSTLY_Q4_K_M, Type.Q4_K, Type.Q6_K),
}
"""The file's type, the kind of most matrices, and the kind of those that `llama-quantize` favours."""


def gets_more_bits(layer: int) -> bool:
    """Whether attn_v and ffn_down of this layer are favoured (`use_more_bits` in llama.cpp's quantizer)."""
    eighth = LAYERS // 8
    return layer < eighth or layer >= 7 * LAYERS // 8 or (layer - eighth) % 3 == 2


def matrices(mixture: str) -> Iterator[tuple[str, int, int, Type]]:
    """Name, rows, columns and kind of every matrix; the embedding is the output matrix too: Q6_K in 4-bit files."""
    _, most, favoured = MIXTURES[mixture]
    yield "token_embd", SHAPE["vocab_size"], HIDDEN, Type.Q8_0 if most is Type.Q8_0 else Type.Q6_K
    for layer in range(LAYERS):
        better = favoured if gets_more_bits(layer) else most
        yield f"blk.{layer}.attn_q", QUERIES, HIDDEN, most
        yield f"blk.{layer}.attn_k", KEYS, HIDDEN, most
        yield f"blk.{layer}.attn_v", KEYS, HIDDEN, better
        yield f"blk.{layer}.attn_output", HIDDEN, QUERIES, most
        yield f"blk.{layer}.ffn_gate", SHAPE["intermediate_size"], HIDDEN, most
        yield f"blk.{layer}.ffn_up", SHAPE["intermediate_size"], HIDDEN, most
        yield f"blk.{layer}.ffn_down", HIDDEN, SHAPE["intermediate_size"], better


def norms() -> Iterator[tuple[str, int]]:
    yield "output_norm", HIDDEN
    for layer in range(LAYERS):
        yield f"blk.{layer}.attn_norm", HIDDEN
        yield f"blk.{layer}.ffn_norm", HIDDEN
        yield f"blk.{layer}.attn_q_norm", HEAD
        yield f"blk.{layer}.attn_k_norm", HEAD


def random_blocks(random: np.random.Generator, rows: int, columns: int, kind: Type) -> np.ndarray:
    """The bytes of a matrix [rows, bytes of a row]: every block valid, with values spread around zero."""
    size, length = gguf.GGML_QUANT_SIZES[kind]
    data = np.frombuffer(bytearray(random.bytes(rows * columns // size * length)), dtype=np.uint8)
    blocks = data.view(BLOCKS[kind])
    blocks["d"] = SCALES[kind]
    if kind is Type.Q4_K:
        # Its 4-bit values start at zero: the offset that centres them is their mean.
        blocks["dmin"] = 7.5 * SCALES[kind]
    return data.reshape(rows, -1)


def add_metadata(writer: gguf.GGUFWriter, mixture: str) -> None:
    """Qwen3's hyperparameters, and a vocabulary of the right size with numbers for tokens: prompts are given as ids.

    Its one merge makes `t0` of the two tokens before it, so that any program can read it.
    """
    writer.add_file_type(MIXTURES[mixture][0])
    writer.add_context_length(SHAPE["max_position_embeddings"])
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(SHAPE["intermediate_size"])
    writer.add_head_count(SHAPE["num_attention_heads"])
    writer.add_head_count_kv(SHAPE["num_key_value_heads"])
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_rope_freq_base(SHAPE["rope_theta"])
    writer.add_layer_norm_rms_eps(SHAPE["rms_norm_eps"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(["t", "0", *(f"t{number}" for number in range(SHAPE["vocab_size"] - 2))])
    writer.add_token_types([gguf.TokenType.NORMAL] * SHAPE["vocab_size"])
    writer.add_token_merges(["t 0"])
    writer.add_eos_token_id(SHAPE["eos_token_id"])
    writer.add_pad_token_id(SHAPE["pad_token_id"])
    writer.add_add_bos_token(False)


def write(path: Path, mixture: str) -> None:
    """The file appears under its name only when it is whole."""
    random = np.random.default_rng(0)
    partial = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "qwen3")
    add_metadata(writer, mixture)
    for name, length in norms():
        writer.add_tensor(f"{name}.weight", np.ones(length, np.float32))
    for name, rows, columns, kind in matrices(mixture):
        writer.add_tensor(f"{name}.weight", random_blocks(random, rows, columns, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.rename(path)


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2])
