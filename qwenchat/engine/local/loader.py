"""A folder of safetensors or a GGUF file to a model that can be run."""

import math
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
from qwenchat.engine.local.shards import shards
from qwenchat.engine.local.tokenizer import ChatTokenizer, read_json

LONGEST_WINDOW = 32_768
"""Qwen3's context length; longer ones are the user's choice."""

MOST_LAYERS = 1024

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
    """Tokens, unless the user chooses."""
    longest_window: int
    """Most tokens the user may choose."""


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
        source = _opened(path, dtype, cache_folder)
        total = sum(file.stat().st_size for file in source.files)
        collected = _collected(source.weights, total, device, dtype, progress, stop)
        decoder = Decoder(source.config, collected.take)
        collected.check_all_taken()
    except (MemoryError, RuntimeError) as error:
        if not hardware.is_out_of_memory(error):
            raise
        raise OutOfMemory(f"{path.name} does not fit the memory of {device}.", "Choose a smaller model.") from error
    except (ModelDamaged, ModelUnsupported) as error:
        if str(path) in error.what:
            raise
        raise type(error)(f"{path} cannot be used: {error.what}", error.remedy) from error
    except OSError as error:
        raise ModelDamaged(f"{path} cannot be read: {error}.", "Check its permissions and the disk.") from error
    parameters = sum(tensor.numel() for tensor in decoder.tensors)
    memory = sum(tensor.numel() * tensor.element_size() for tensor in decoder.tensors)
    longest = source.config.max_position
    window = min(longest, LONGEST_WINDOW)
    return LoadedModel(decoder, source.tokenizer, source.quantization, parameters, memory, window, longest)


@dataclass(frozen=True, slots=True)
class _Source:
    """A model whose weights have yet to be read."""

    config: DecoderConfig
    tokenizer: ChatTokenizer
    quantization: str
    files: list[Path]
    weights: Iterator[tuple[str, Tensor]]


def _opened(path: Path, dtype: torch.dtype, cache_folder: Path) -> _Source:
    if path.suffix.lower() == ".gguf":
        file = GGUFFile(path)
        source = _Source(file.config(), file.tokenizer(cache_folder), file.quantization, [path], file.weights(dtype))
    elif path.is_file():
        raise ModelUnsupported(f"{path} is no GGUF file.", "Name one, or the folder that holds the model.")
    else:
        config, files = _config(path), shards(path)
        tokenizer = ChatTokenizer.from_folder(path)
        source = _Source(config, tokenizer, _DTYPE_NAMES[dtype], files, _safetensors(files))
    _check(source.config, source.tokenizer, path)
    missing = [file for file in source.files if not file.exists()]
    if missing:
        raise ModelDamaged(f"{missing[0]} is missing.", "Download the model again.")
    return source


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
        if not _finite(tensor):
            raise ModelDamaged(f"The weight {name} holds invalid numbers.", "Download it again.")
        return tensor

    def check_all_taken(self) -> None:
        """Raise ModelUnsupported when weights are left over: without them the model would talk nonsense."""
        left = [name for name in self._tensors if name != "lm_head.weight" and not name.endswith(".inv_freq")]
        if left:
            raise ModelUnsupported(f"This variant has weights that are not known: {left[0]}.", "Choose another model.")


def _finite(tensor: Tensor) -> bool:
    """Whether all numbers are finite. Row means carry NaN and infinity along, and cost a tenth of looking at each."""
    means = tensor if tensor.dim() == 1 else tensor @ tensor.new_full((tensor.shape[1],), 1 / tensor.shape[1])
    return bool(torch.isfinite(means).all())


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


def _config(folder: Path) -> DecoderConfig:
    file = folder / "config.json"
    if not file.exists():
        raise ModelNotFound(f"{folder} holds no model: it has no config.json.", "Name a folder with safetensors.")
    config = read_json(file)
    if config.get("quantization_config") or config.get("partial_rotary_factor", 1) != 1:
        raise ModelUnsupported(f"{folder} holds a variant that is not supported.", "Choose another model.")
    try:
        return DecoderConfig.from_json(config)
    except (AttributeError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise ModelDamaged(f"{file} holds unusable values: {error!r}.", "Download it again.") from error


def _check(config: DecoderConfig, tokenizer: ChatTokenizer, path: Path) -> None:
    """Raise ModelDamaged for numbers that no model has, before they are used."""
    c = config
    counts = (c.vocab, c.hidden, c.layers, c.intermediate, c.heads, c.kv_heads, c.head_dim, c.max_position)
    sound = min(counts) > 0 and max(counts) < 2**31 and c.layers <= MOST_LAYERS and c.head_dim % 2 == 0
    sound = sound and c.heads % c.kv_heads == 0 and 0 < c.rope_base < math.inf and 0 <= c.norm_eps < 1
    if not sound:
        raise ModelDamaged(f"{path} describes an impossible model: {config}.", "Download it again.")
    if tokenizer.vocab_size > c.vocab:
        raise ModelDamaged(
            f"{path} has a tokenizer of {tokenizer.vocab_size:,} tokens and weights for {c.vocab:,}.",
            "Download it again.",
        )


def _safetensors(files: list[Path]) -> Iterator[tuple[str, Tensor]]:
    for file in files:
        try:
            with safe_open(file, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118  (not a mapping)
                    yield name, weights.get_tensor(name)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelDamaged(f"{file} cannot be read: {error}.", "Download it again.") from error
