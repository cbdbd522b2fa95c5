"""The models that can be chosen on this machine: what each takes, and what of it is here."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qwenchat.chat.provenance import ModelInfo
from qwenchat.engine.local import embedded, fit, gguf_parts, memory
from qwenchat.engine.local.catalog import KNOWN, KnownModel
from qwenchat.engine.local.fit import MARGIN, FittingModel
from qwenchat.engine.local.footprint import QUANTIZATIONS
from qwenchat.engine.local.inventory import models_here
from qwenchat.engine.local.memory import DeviceMemory
from qwenchat.system.paths import Paths
from qwenchat.system.regular_file import expanded

MOST = 50
"""How many models of one folder are offered."""
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class RunFormat:
    """A number format to run a model in."""

    quantization: str
    needs: int
    """Bytes that must be free, with a useful context; 0 when that is not known."""
    fits: bool


@dataclass(frozen=True, slots=True)
class AvailableModel:
    """A model that can be loaded."""

    name: str
    """What to ask for."""
    title: str
    """How it is listed."""
    answers_as: str
    """What it is called once it is loaded."""
    parameters: int
    """0 when that is not known."""
    size: int
    """Bytes of its files, which are fetched unless they are here; 0 when that is not known."""
    here: bool
    ways: tuple[RunFormat, ...]
    """The usual one first."""


def known(
    paths: Paths, loaded: ModelInfo | None = None, rooms: Sequence[DeviceMemory] | None = None
) -> tuple[AvailableModel, ...]:
    """The known models and the embedded one, in `rooms`; the memory of the loaded model is given up for another."""
    rooms = [_freed(room, loaded) for room in rooms or memory.here()]
    here = {model.name: model.bytes for model in models_here(paths)}
    ours = [_known(model, rooms, here) for model in KNOWN]
    size = here.get(embedded.NAME, embedded.BYTES)
    small = AvailableModel(
        "smollm2", "smollm2", embedded.NAME, 134_515_008, size, embedded.NAME in here, (_as_is(size, rooms[-1]),)
    )
    return (*ours, small)


def named(typed: str) -> tuple[AvailableModel, ...]:
    """The models at the path that was typed, or that one of the Hub; none for what is neither."""
    if typed.startswith(("/", "./", "../", "~")):
        room = memory.here()[0]
        return tuple(_at(path, room) for path in _models_at(typed))
    if _HUB_NAME.fullmatch(typed) and not typed.lower().endswith(".gguf"):
        return (AvailableModel(typed, typed, typed, 0, 0, False, (RunFormat("auto", 0, True),)),)
    return ()


def _freed(room: DeviceMemory, loaded: ModelInfo | None) -> DeviceMemory:
    if loaded is None or loaded.device != room.device:
        return room
    return replace(room, free=min(room.total, room.free + loaded.memory_bytes))


def _known(model: KnownModel, rooms: Sequence[DeviceMemory], here: dict[str, int]) -> AvailableModel:
    room = rooms[0]
    choices = [FittingModel(model, name, room.device) for name in _formats(room.device)]
    ways = tuple(RunFormat(choice.quantization, choice.needs(), choice.fits(room)) for choice in choices)
    size = model.download_bytes(QUANTIZATIONS["bf16"])
    return AvailableModel(model.name, model.name, model.hub_name, model.parameters, size, model.hub_name in here, ways)


def _formats(device: str) -> list[str]:
    """The number formats worth choosing from, the usual one first."""
    usual = fit.default_quantization(device)
    return sorted(fit.offered(device), key=lambda name: (name != usual, QUANTIZATIONS[name].cpu.layers))


def _at(path: Path, room: DeviceMemory) -> AvailableModel:
    if path.is_file():
        size = gguf_parts.size_of(path)
        return AvailableModel(str(path), path.name, gguf_parts.name_of(path), 0, size, True, (_as_is(size, room),))
    size = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    needs = [(name, round(size * QUANTIZATIONS[name].cpu.layers / 2) + MARGIN) for name in _formats(room.device)]
    ways = tuple(RunFormat(name, least, least <= room.free) for name, least in needs)
    return AvailableModel(str(path), f"{path.resolve().name}/", path.resolve().name, 0, size, True, ways)


def _as_is(size: int, room: DeviceMemory) -> RunFormat:
    """A GGUF file, whose number format is its own."""
    return RunFormat("auto", size + MARGIN, size + MARGIN <= room.free)


def _models_at(typed: str) -> Iterator[Path]:
    """The model that the path is, those in that folder, or those whose path begins so."""
    path = expanded(typed)
    try:
        if _is_model(path):
            yield path
        elif path.is_dir():
            yield from _models_in(path, "")
        elif path.parent.is_dir():
            yield from _models_in(path.parent, path.name)
    except (OSError, ValueError):
        return


def _models_in(folder: Path, begins: str) -> list[Path]:
    found = (path for path in sorted(folder.iterdir()) if path.name.lower().startswith(begins.lower()))
    return [path for path, _ in zip((path for path in found if _is_model(path)), range(MOST), strict=False)]


def _is_model(path: Path) -> bool:
    return (
        path.is_file() and gguf_parts.first_part(path)
        if path.suffix.lower() == ".gguf"
        else (path / "config.json").is_file()
    )
