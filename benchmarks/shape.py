"""The exact shape of Qwen3-0.6B; the benchmarks fill it with random weights, since speed does not depend on them."""

import random

QWEN3_06B = {
    "vocab_size": 151_936,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40_960,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 151_645,
    "pad_token_id": 151_643,
}
"""The configuration under the names that transformers gives its fields."""


def kv_bytes(bits: float = 16) -> float:
    """Bytes of keys and values that one token adds to the cache, at `bits` a value."""
    heads = QWEN3_06B["num_hidden_layers"] * QWEN3_06B["num_key_value_heads"]
    return 2 * heads * QWEN3_06B["head_dim"] * bits / 8


def fresh_ids(count: int) -> list[int]:
    """Token ids that no earlier prompt began with, so that no cache of prompts can answer for the model."""
    return random.SystemRandom().choices(range(QWEN3_06B["vocab_size"]), k=count)
