"""The models that are on this machine."""

from dataclasses import dataclass
from pathlib import Path

from qwenchat.engine.local import embedded, hub
from qwenchat.engine.local.catalog import KNOWN
from qwenchat.system.paths import Paths


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
