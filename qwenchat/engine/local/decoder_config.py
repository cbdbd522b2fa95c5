"""The numbers that shape a Qwen3, Qwen2 or Llama, as its configuration gives them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.errors import ModelDamaged
from qwenchat.i18n.texts import say

ARCHITECTURES = {"Qwen3ForCausalLM": "qwen3", "Qwen2ForCausalLM": "qwen2", "LlamaForCausalLM": "llama"}


class ArchitectureUnknown(Exception):
    """An architecture, or a variant of one, that this decoder does not do; transformers may."""


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """The numbers that shape the transformer."""

    vocab: int
    hidden: int
    layers: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    rope_base: float
    norm_eps: float
    max_position: int
    tied: bool
    """Whether the output matrix is the embedding."""

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> "DecoderConfig":
        """Read a `config.json`; raises ArchitectureUnknown and ModelDamaged."""
        name = (config.get("architectures") or [""])[0]
        if name not in ARCHITECTURES:
            raise ArchitectureUnknown(name)
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        kind = rope.get("rope_type", rope.get("type", "default"))
        partial = config.get("partial_rotary_factor", 1) != 1
        if (
            kind != "default"
            or partial
            or config.get("use_sliding_window")
            or config.get("hidden_act", "silu") != "silu"
        ):
            raise ArchitectureUnknown(name)
        try:
            heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
            return cls(
                vocab=int(config["vocab_size"]),
                hidden=hidden,
                layers=int(config["num_hidden_layers"]),
                intermediate=int(config["intermediate_size"]),
                heads=heads,
                kv_heads=int(config.get("num_key_value_heads") or heads),
                head_dim=int(config.get("head_dim") or hidden // heads),
                rope_base=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
                norm_eps=float(config.get("rms_norm_eps", 1e-6)),
                max_position=int(config["max_position_embeddings"]),
                tied=bool(config.get("tie_word_embeddings", False)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelDamaged(
                say("The model's config.json lacks or garbles {error}.", error=error), say("Download it again.")
            ) from error
