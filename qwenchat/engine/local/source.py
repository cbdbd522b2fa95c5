"""A model whose weights have yet to be read: a folder of safetensors or a GGUF file, opened and found to be sound."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qwenchat.chat.errors import ModelDamaged, ModelNotFound, ModelUnsupported
from qwenchat.engine.local.decoder_config import DecoderConfig
from qwenchat.engine.local.footprint import packed_bytes
from qwenchat.engine.local.gguf_file import GGUFFile
from qwenchat.engine.local.shards import shards
from qwenchat.engine.local.stored_weight import StoredWeight, read_safetensors
from qwenchat.engine.local.tokenizer import ChatTokenizer, read_json
from qwenchat.i18n.texts import say

MOST_LAYERS = 1024


@dataclass(frozen=True, slots=True)
class ModelSource:
    """What is known of it."""

    config: DecoderConfig
    tokenizer: ChatTokenizer
    quantization: str | None
    """The name of the file's format; None for plain floats."""
    files: list[Path]
    weights: Iterator[StoredWeight]
    packed_bytes: int = 0
    """Memory of the weights if they are packed as they are; 0 for plain floats."""


def opened(path: Path, cache_folder: Path) -> ModelSource:
    """The model at `path`; raises ArchitectureUnknown, ModelNotFound, ModelUnsupported or ModelDamaged."""
    if path.suffix.lower() == ".gguf":
        file = GGUFFile(path)
        tokenizer = file.tokenizer(cache_folder)
        as_it_is = sum(packed_bytes(weight.kind.name, weight.shape) for weight in file.weights())
        source = ModelSource(file.config(), tokenizer, file.quantization, file.files, file.weights(), as_it_is)
    elif path.is_file():
        raise ModelUnsupported(
            say("{path} is no GGUF file.", path=path), say("Name one, or the folder that holds the model.")
        )
    else:
        config, files = _config(path), shards(path)
        tokenizer = ChatTokenizer.from_folder(path)
        source = ModelSource(config, tokenizer, None, files, read_safetensors(files))
    _check(source.config, source.tokenizer, path)
    present(source.files)
    return source


def present(files: list[Path]) -> list[Path]:
    """The files, none of which may be missing."""
    for file in files:
        if not file.exists():
            raise ModelDamaged(say("{file} is missing.", file=file), say("Download the model again."))
    return files


def _config(folder: Path) -> DecoderConfig:
    file = folder / "config.json"
    if not file.exists():
        raise ModelNotFound(
            say("{folder} holds no model: it has no config.json.", folder=folder),
            say("Name a folder with safetensors."),
        )
    config = read_json(file)
    if config.get("quantization_config"):
        raise ModelUnsupported(
            say("{folder} holds a variant that is not supported.", folder=folder), say("Choose another model.")
        )
    try:
        return DecoderConfig.from_json(config)
    except (AttributeError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise ModelDamaged(
            say("{file} holds unusable values: {error!r}.", file=file, error=error), say("Download it again.")
        ) from error


def _check(config: DecoderConfig, tokenizer: ChatTokenizer, path: Path) -> None:
    """Raise ModelDamaged for numbers that no model has, before they are used."""
    c = config
    counts = (c.vocab, c.hidden, c.layers, c.intermediate, c.heads, c.kv_heads, c.head_dim, c.max_position)
    sound = min(counts) > 0 and max(counts) < 2**31 and c.layers <= MOST_LAYERS and c.head_dim % 2 == 0
    sound = sound and c.heads % c.kv_heads == 0 and 0 < c.rope_base < math.inf and 0 <= c.norm_eps < 1
    if not sound:
        raise ModelDamaged(
            say("{path} describes an impossible model: {config}.", path=path, config=config), say("Download it again.")
        )
    check_vocabulary(tokenizer, c.vocab, path)


def check_vocabulary(tokenizer: ChatTokenizer, rows: int, path: Path) -> None:
    """Raise ModelDamaged for a tokenizer with more tokens than there are weights for."""
    if tokenizer.vocab_size > rows:
        raise ModelDamaged(
            say(
                "{path} has a tokenizer of {vocab_size:,} tokens and weights for {rows:,}.",
                path=path,
                vocab_size=tokenizer.vocab_size,
                rows=rows,
            ),
            say("Download it again."),
        )
