"""The models that are known by short names, and what they cost."""

from dataclasses import dataclass
from pathlib import Path

from qwenchat.engine.local import embedded, hub
from qwenchat.paths import Paths


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One model of the Qwen3 family, with the numbers that decide what it costs."""

    name: str
    hub_name: str
    parameters: int
    layers: int
    kv_heads: int
    head_dim: int

    @property
    def bf16_bytes(self) -> int:
        """Size of the weights in bf16, to download and in memory."""
        return 2 * self.parameters

    @property
    def kv_bytes_per_token(self) -> int:
        """What one token of context costs in bf16."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_dim


KNOWN = (
    KnownModel("qwen3-0.6b", "Qwen/Qwen3-0.6B", 596_049_920, 28, 8, 128),
    KnownModel("qwen3-1.7b", "Qwen/Qwen3-1.7B", 1_720_574_976, 28, 8, 128),
    KnownModel("qwen3-4b", "Qwen/Qwen3-4B", 4_022_468_096, 36, 8, 128),
    KnownModel("qwen3-8b", "Qwen/Qwen3-8B", 8_190_735_360, 36, 8, 128),
    KnownModel("qwen3-14b", "Qwen/Qwen3-14B", 14_768_307_200, 40, 8, 128),
    KnownModel("qwen3-32b", "Qwen/Qwen3-32B", 32_762_123_264, 64, 8, 128),
)
HUB_NAMES = {model.name: model.hub_name for model in KNOWN}


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that is on this machine."""

    name: str
    path: Path
    bytes: int


def models_here(paths: Paths) -> list[LocalModel]:
    """The known models and the embedded one, as far as they are here and complete."""
    folders = [(model.hub_name, hub.cached(model.hub_name)) for model in KNOWN]
    found = [LocalModel(name, folder, _size(folder)) for name, folder in folders if folder is not None]
    file = embedded.path_in(paths.models)
    if file.exists():
        found.append(LocalModel(embedded.NAME, file, file.stat().st_size))
    return found


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
