"""GGUF files: weights, configuration and tokenizer out of llama.cpp's format."""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from qwenchat.chat.errors import ModelDamaged, ModelUnsupported
from qwenchat.engine.local.decoder_config import DecoderConfig
from qwenchat.engine.local.ggml import FILE_TYPES
from qwenchat.engine.local.gguf_parts import parts_of
from qwenchat.engine.local.gguf_reader import GGUFLayout
from qwenchat.engine.local.stored_weight import StoredWeight
from qwenchat.engine.local.tokenizer import ChatTokenizer, open_tokenizer
from qwenchat.i18n.texts import say
from qwenchat.system.private_files import make_private_folder

_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_RULES = b"1"
"""Changed whenever the conversion of tokenizers changes, so that older conversions are not used."""
_CONTROL, _USER_DEFINED = 3, 4
_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class GGUFFile:
    """An open GGUF file, or all parts of one, of a model the decoder knows."""

    def __init__(self, path: Path) -> None:
        self.files = parts_of(path)
        self.path = self.files[0]
        self._layout = self._opened()
        self.architecture = str(self.get("general.architecture", ""))
        if self.architecture not in ("llama", "qwen2", "qwen3"):
            raise ModelUnsupported(
                say("{path} holds a {architecture} model.", path=path, architecture=self.architecture or "nameless"),
                say("Qwen3, Qwen2 and Llama can be run."),
            )
        if self._own("rope.scaling.type", "none") != "none" or "rope_freqs.weight" in self._layout.tensors:
            raise ModelUnsupported(
                say("{path} stretches its context in a way that is not supported.", path=path), say("Choose another.")
            )

    def get(self, key: str, default: Any = None) -> Any:
        """The metadata under `key`."""
        return self._layout.metadata.get(key, default)

    @property
    def quantization(self) -> str:
        """The name of the file's main format, such as Q4_1 or Q4_K_M."""
        number = self.get("general.file_type", 0)
        return FILE_TYPES.get(number, "GGUF") if isinstance(number, int) else "GGUF"

    def config(self) -> DecoderConfig:
        """The transformer's numbers; raises ModelDamaged when one is missing."""
        try:
            heads = int(self._own("attention.head_count"))
            hidden = int(self._own("embedding_length"))
            return DecoderConfig(
                vocab=self._layout.tensors["token_embd.weight"].shape[0],
                hidden=hidden,
                layers=int(self._own("block_count")),
                intermediate=int(self._own("feed_forward_length")),
                heads=heads,
                kv_heads=int(self._own("attention.head_count_kv", heads)),
                head_dim=int(self._own("attention.key_length", hidden // heads)),
                rope_base=float(self._own("rope.freq_base", 10_000.0)),
                norm_eps=float(self._own("attention.layer_norm_rms_epsilon", 1e-6)),
                max_position=int(self._own("context_length")),
                tied="output.weight" not in self._layout.tensors,
            )
        except (TypeError, ValueError, KeyError, ArithmeticError) as error:
            raise self._damaged(say("its configuration is incomplete ({error})", error=error)) from error

    def weights(self) -> Iterator[StoredWeight]:
        """Every tensor under its safetensors name."""
        for tensor in self._layout.tensors.values():
            name = _safetensors_name(tensor.name)
            if name is not None:
                order = self._order(tensor.name, tensor.shape[0])
                yield StoredWeight(name, tensor.shape, tensor.kind, tensor.data, order)

    def _order(self, name: str, rows: int) -> np.ndarray | None:
        """Which row each row of q and k is in the file, where llama.cpp interleaves the halves of each head."""
        if self.architecture != "llama" or not (".attn_q." in name or ".attn_k." in name):
            return None
        heads = self._own("attention.head_count")
        if ".attn_k." in name:
            heads = self._own("attention.head_count_kv", heads)
        try:
            return np.arange(rows).reshape(int(heads), -1, 2).swapaxes(1, 2).reshape(-1)
        except (TypeError, ValueError) as error:
            raise self._damaged(say("its tensor {name} cannot be read ({error})", name=name, error=error)) from error

    def tokenizer(self, cache: Path) -> ChatTokenizer:
        """The tokenizer; converted once and kept in the folder `cache`, if that can be written."""
        digest = hashlib.sha256(_RULES + self._layout.header).hexdigest()
        tokenizer = self._cached(cache / digest / "tokenizer.json")
        eos, bos = (self._token(tokenizer, f"tokenizer.ggml.{name}_token_id") for name in ("eos", "bos"))
        ends = frozenset() if (at := tokenizer.token_to_id(eos)) is None else frozenset([at])
        return ChatTokenizer(tokenizer, str(self.get("tokenizer.chat_template", "")), ends, bos, eos)

    def _token(self, tokenizer: Tokenizer, key: str) -> str:
        at = self.get(key)
        known = isinstance(at, int) and 0 <= at < tokenizer.get_vocab_size()
        return (tokenizer.id_to_token(at) or "") if known else ""

    def _cached(self, file: Path) -> Tokenizer:
        with contextlib.suppress(ModelDamaged):
            if file.exists():
                return open_tokenizer(file)
        try:
            tokenizer = self._converted()
        except ModelUnsupported:
            raise
        except Exception as error:
            raise self._damaged(say("its tokenizer is broken ({error})", error=error)) from error
        with contextlib.suppress(OSError):
            make_private_folder(file.parent)
            with tempfile.TemporaryDirectory(dir=file.parent) as folder:
                draft = Path(folder) / file.name
                draft.write_text(tokenizer.to_str(), "utf-8")
                draft.replace(file)
        return tokenizer

    def _converted(self) -> Tokenizer:
        if self.get("tokenizer.ggml.model") != "gpt2":
            raise ModelUnsupported(
                say("{path} has a {kind} tokenizer.", path=self.path, kind=self.get("tokenizer.ggml.model")),
                say("BPE tokenizers can be read."),
            )
        tokens, kinds = self.get("tokenizer.ggml.tokens"), self.get("tokenizer.ggml.token_type")
        merges = [tuple(merge.split(" ", 1)) for merge in self.get("tokenizer.ggml.merges")]
        tokenizer = Tokenizer(models.BPE({text: at for at, text in enumerate(tokens)}, merges))
        if self.get("tokenizer.ggml.pre") == "smollm":
            words = pre_tokenizers.Digits(individual_digits=True)
            whole: Any = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
        elif self.get("tokenizer.ggml.pre") == "qwen2":
            split = pre_tokenizers.Split(Regex(_QWEN2_WORDS), "isolated")
            bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
            whole = pre_tokenizers.Sequence([split, bytes_only])
            tokenizer.normalizer = normalizers.NFC()
        else:
            whole = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.pre_tokenizer = whole
        tokenizer.decoder = decoders.ByteLevel()
        control = [text for text, kind in zip(tokens, kinds, strict=True) if kind in (_CONTROL, _USER_DEFINED)]
        tokenizer.add_tokens([AddedToken(text, normalized=False) for text in control])
        return tokenizer

    def _opened(self) -> GGUFLayout:
        """The layout of the first part, with the tensors of all; ModelDamaged for parts that do not belong together."""
        missing = next((file for file in self.files if not file.exists()), None)
        if missing is not None and len(self.files) > 1:
            raise ModelDamaged(
                say("{path} is in {count} parts, and {name} is missing.", path=self.path, count=len(self.files),
                    name=missing.name),
                say("Put all parts into one folder."),
            )  # fmt: skip
        first, *others = map(GGUFLayout, self.files)
        count = first.metadata.get("split.count", 1)
        if count != len(self.files) and (count not in (0, 1) or others):
            raise self._damaged(say("it says that it is in {count} parts", count=count))
        for number, other in enumerate(others, 1):
            if other.metadata.get("split.no") != number or first.tensors.keys() & other.tensors.keys():
                raise self._damaged(say("{name} is no part of it", name=self.files[number].name))
            first.tensors.update(other.tensors)
        return first

    def _own(self, key: str, default: Any = None) -> Any:
        return self.get(f"{self.architecture}.{key}", default)

    def _damaged(self, why: str) -> ModelDamaged:
        return ModelDamaged(say("{path} cannot be read: {why}.", path=self.path, why=why), say("Download it again."))


def _safetensors_name(name: str) -> str | None:
    if name in _NAMES:
        return _NAMES[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _LAYER_NAMES:
        return f"model.layers.{parts[1]}.{_LAYER_NAMES[parts[2]]}.{parts[3]}"
    return None
