"""The models that are known by short names, and what they cost."""

from dataclasses import dataclass

from qwenchat.engine.local.footprint import ModelShape, Quantization

LONGEST_WINDOW = 40_960
"""Tokens that the models of the family can read."""
_GGUF_VOCABULARY = 5_950_000
"""Bytes that Qwen3's vocabulary and merges take in a GGUF file."""
_HUB_VOCABULARY = 14_200_000
"""Bytes of tokenizer.json and vocab.json."""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One model of the Qwen3 family."""

    name: str
    hub_name: str
    shape: ModelShape
    output_twice: bool = False
    """Whether the Hub's files hold the output matrix although it is the embedding."""

    @property
    def parameters(self) -> int:
        """How many weights it has."""
        return self.shape.parameters

    @property
    def remote(self) -> bool:
        """Whether only a server can run it: the decoder here knows no mixture of experts."""
        return self.shape.experts > 0

    def download_bytes(self, quantization: Quantization) -> int:
        """What has to be fetched for it."""
        weights = quantization.file.weights(self.shape)
        if quantization.gguf:
            return weights + _GGUF_VOCABULARY
        again = self.shape.ends * quantization.file.output if self.output_twice else 0
        return round(weights + again) + _HUB_VOCABULARY


def _dense(size: str, *numbers: int, tied: bool, output_twice: bool = False) -> KnownModel:
    hidden, layers, intermediate, heads = numbers
    shape = ModelShape(hidden, layers, intermediate, heads, kv_heads=8, head_dim=128, tied=tied)
    return KnownModel(f"qwen3-{size.lower()}", f"Qwen/Qwen3-{size}", shape, output_twice)


def _mixture(size: str, *numbers: int) -> KnownModel:
    hidden, layers, intermediate, heads = numbers
    shape = ModelShape(hidden, layers, intermediate, heads, kv_heads=4, head_dim=128, tied=False, experts=128)
    return KnownModel(f"qwen3-{size.lower()}", f"Qwen/Qwen3-{size}", shape)


# Hidden size, layers, width of the feed-forward part and query heads, from each model's config.json.
KNOWN = (
    _dense("0.6B", 1024, 28, 3072, 16, tied=True, output_twice=True),
    _dense("1.7B", 2048, 28, 6144, 16, tied=True, output_twice=True),
    _dense("4B", 2560, 36, 9728, 32, tied=True),
    _dense("8B", 4096, 36, 12288, 32, tied=False),
    _dense("14B", 5120, 40, 17408, 40, tied=False),
    _dense("32B", 5120, 64, 25600, 64, tied=False),
)
"""What can be run here, smallest first."""
REMOTE = (
    _mixture("30B-A3B", 2048, 48, 768, 32),
    _mixture("235B-A22B", 4096, 94, 1536, 64),
)
"""What servers can run."""
HUB_NAMES = {model.name: model.hub_name for model in KNOWN}


def find(name: str) -> KnownModel | None:
    """The known model of that short name or Hub name."""
    return next((model for model in (*KNOWN, *REMOTE) if name.lower() in (model.name, model.hub_name.lower())), None)
