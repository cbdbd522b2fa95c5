"""Writes models as GGUF files, with llama.cpp's own package."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from gguf.quants import quantize
from safetensors.torch import load_file

from qwenchat.engine.local.tokenizer import ChatTokenizer, read_json

OURS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    for theirs, ours in OURS.items():
        if name.removesuffix(".weight").endswith(theirs):
            layer = f"blk.{name.split('.')[2]}." if "layers." in name else ""
            return f"{layer}{ours}.weight"
    raise KeyError(name)


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """q and k as llama.cpp's converter permutes them for the llama architecture (convert_hf_to_gguf.py)."""
    shape = weight.shape
    return weight.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def write_gguf(
    folder: Path,
    path: Path,
    kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    change: Callable[[GGUFWriter], None] = lambda writer: None,
    leave_out: str = "",
    tokenizer: Path | None = None,
    tensors_a_part: int = 0,
) -> Path:
    """The model in `folder` as a GGUF file; one-dimensional weights stay float32, as llama.cpp does it.

    With `tensors_a_part` it is written in as many parts as that makes. `tokenizer` is the folder of another tokenizer,
    a small one for files that are compared but not talked to.
    """
    config = read_json(folder / "config.json")
    architecture = {"Qwen3ForCausalLM": "qwen3", "LlamaForCausalLM": "llama"}[config["architectures"][0]]
    writer = GGUFWriter(path, architecture, split_max_tensors=tensors_a_part)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(LlamaFileType[f"ALL_{kind.name}" if kind.name == "F32" else f"MOSTLY_{kind.name}"])
    add_tokenizer(writer, tokenizer or folder, 0 if tokenizer else config["vocab_size"])
    change(writer)
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, tensor in load_file(folder / "model.safetensors").items():
        array = tensor.float().numpy()
        part = name.split(".")[-2]
        if name == leave_out:
            continue
        if architecture == "llama" and part in heads:
            array = interleaved(array, heads[part])
        used = kind if array.ndim == 2 else GGMLQuantizationType.F32
        writer.add_tensor(gguf_name(name), quantize(array, used), raw_dtype=used)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_tokenizer(writer: GGUFWriter, folder: Path, rows: int) -> None:
    tokenizer = ChatTokenizer.from_folder(folder)
    described = read_json(folder / "tokenizer.json")["model"]
    rows = max(rows, tokenizer.vocab_size)
    added = tokenizer.tokenizer.get_added_tokens_decoder()
    names = {at: text for text, at in tokenizer.tokenizer.get_vocab(with_added_tokens=True).items()}
    kinds = [
        TokenType.UNUSED if at not in names else TokenType.NORMAL if at not in added
        else TokenType.CONTROL if added[at].special else TokenType.USER_DEFINED
        for at in range(rows)
    ]  # fmt: skip
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([names.get(at, f"[PAD{at}]") for at in range(rows)])
    writer.add_token_types(kinds)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in described["merges"]]
    writer.add_token_merges(merges)
    if (eos := tokenizer.token_id(tokenizer.eos_token)) is not None:
        writer.add_eos_token_id(eos)
    writer.add_chat_template(tokenizer.chat_template)
