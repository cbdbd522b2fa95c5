"""A folder of safetensors or a GGUF file to a model that can be run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from qwenchat.chat.errors import ModelDamaged, ModelNotFound, ModelUnsupported, OutOfMemory
from qwenchat.chat.events import LoadProgressed
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local import hardware
from qwenchat.engine.local.decoder import Decoder, DecoderConfig
from qwenchat.engine.local.gguf_file import GGUFFile
from qwenchat.engine.local.network import Network
from qwenchat.engine.local.tokenizer import ChatTokenizer, read_json

LONGEST_WINDOW = 32_768
"""Qwen3's context length; longer ones are the user's choice."""

_DTYPE_NAMES = {torch.bfloat16: "bf16", torch.float16: "float16", torch.float32: "float32"}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything a turn needs."""

    network: Network
    tokenizer: ChatTokenizer
    quantization: str
    parameters: int
    memory_bytes: int
    context_window: int


def load(
    path: Path,
    *,
    device: str,
    dtype: torch.dtype,
    cache_folder: Path,
    progress: Callable[[LoadProgressed], None],
    stop: StopSignal,
) -> LoadedModel:
    """Read the model at `path`.

    Raises ModelNotFound for a folder without weights, ModelUnsupported for pickles and unknown architectures,
    ModelDamaged naming the file, OutOfMemory, and Stopped.
    """
    try:
        if path.suffix == ".gguf":
            file = GGUFFile(path)
            config, tokenizer, quantization = file.config(), file.tokenizer(cache_folder), file.quantization
            weights = file.weights(dtype)
        else:
            config = DecoderConfig.from_json(_config_json(path))
            tokenizer, quantization = ChatTokenizer.from_folder(path), _DTYPE_NAMES[dtype]
            weights = _safetensors(path)
        total = _size(path)
        decoder = Decoder(config, _collected(weights, total, device, dtype, progress, stop).take)
    except (MemoryError, RuntimeError) as error:
        if not hardware.is_out_of_memory(error):
            raise
        raise OutOfMemory(f"{path.name} does not fit the memory of {device}.", "Choose a smaller model.") from error
    parameters = sum(tensor.numel() for tensor in decoder.tensors)
    memory = sum(tensor.numel() * tensor.element_size() for tensor in decoder.tensors)
    window = min(config.max_position, LONGEST_WINDOW)
    return LoadedModel(decoder, tokenizer, quantization, parameters, memory, window)


class _Weights:
    """Named tensors on their way into the decoder, each handed out once."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self._tensors = tensors

    def take(self, name: str, shape: tuple[int, ...]) -> Tensor | None:
        tensor = self._tensors.pop(name, None)
        if tensor is None:
            return None
        if tuple(tensor.shape) != shape:
            raise ModelDamaged(
                f"The weight {name} has the shape {tuple(tensor.shape)} instead of {shape}.", "Download it again."
            )
        if tensor.dim() == 1 and not torch.isfinite(tensor).all():
            raise ModelDamaged(f"The weight {name} holds invalid numbers.", "Download it again.")
        return tensor


def _collected(
    weights: Iterator[tuple[str, Tensor]],
    total: int,
    device: str,
    dtype: torch.dtype,
    progress: Callable[[LoadProgressed], None],
    stop: StopSignal,
) -> _Weights:
    tensors: dict[str, Tensor] = {}
    done = 0
    progress(LoadProgressed("reading weights", 0, total))
    for name, tensor in weights:
        if stop.is_set():
            raise Stopped
        tensors[name] = tensor.to(device=device, dtype=dtype)
        done = min(total, done + tensor.numel() * tensor.element_size())
        progress(LoadProgressed("reading weights", done, total))
    return _Weights(tensors)


def _config_json(folder: Path) -> dict[str, object]:
    if not (folder / "config.json").exists():
        raise ModelNotFound(f"{folder} holds no model: it has no config.json.", "Name a folder with safetensors.")
    return read_json(folder / "config.json")


def _safetensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
            raise ModelUnsupported(
                f"{folder} holds only pickled weights, which can run code when opened.", "Convert them to safetensors."
            )
        raise ModelNotFound(f"{folder} holds no weights.", "Download the model again: it needs *.safetensors.")
    for file in files:
        try:
            with safe_open(file, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118  (not a mapping)
                    yield name, weights.get_tensor(name)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelDamaged(f"{file} cannot be read: {error}.", "Download it again.") from error


def _size(path: Path) -> int:
    files = [path] if path.is_file() else list(path.glob("*.safetensors"))
    return sum(file.stat().st_size for file in files)
