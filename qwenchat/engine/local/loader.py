"""A folder of safetensors or a GGUF file to a model that can be run."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenchat.chat.errors import DeviceFailed, ModelDamaged, ModelUnsupported, OutOfMemory
from qwenchat.chat.events import LoadProgressed
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.failures import is_out_of_memory
from qwenchat.engine.local import fit, hardware, memory
from qwenchat.engine.local.cpu.decoder import WIDE, QuantizedDecoder, can_pack
from qwenchat.engine.local.cpu.layout import GROUP, WeightFormat
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.engine.local.cpu.processor import RUNS_HERE
from qwenchat.engine.local.decoder_config import ArchitectureUnknown
from qwenchat.engine.local.fit import ContextSize
from qwenchat.engine.local.footprint import QUANTIZATIONS, ModelShape, token_bytes
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.network import Network
from qwenchat.engine.local.packed_store import PackedStore
from qwenchat.engine.local.shards import shards
from qwenchat.engine.local.source import ModelSource, check_vocabulary, opened, present
from qwenchat.engine.local.stored_weight import StoredWeight
from qwenchat.engine.local.tokenizer import ChatTokenizer
from qwenchat.engine.local.weight_map import WeightMap
from qwenchat.i18n.texts import say

if TYPE_CHECKING:
    from qwenchat.engine.local.decoder import Decoder

LONGEST_WINDOW = 32_768
"""Qwen3's context length; longer ones are the user's choice."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything a turn needs."""

    network: Network[Any]
    tokenizer: ChatTokenizer
    quantization: str
    parameters: int
    memory_bytes: int
    window: ContextSize


def load(
    path: Path,
    *,
    plan: RunPlan,
    cache_folder: Path,
    progress: Callable[[LoadProgressed], None],
    stop: StopSignal,
    context: int | None = None,
    packed_folder: Path | None = None,
) -> LoadedModel:
    """Read the model at `path`, to be run with a window of `context` tokens, or what is usual and fits.

    Packed weights are kept in `packed_folder` for the next time.

    Raises ModelNotFound for a folder without weights, ModelUnsupported for pickles and unknown architectures,
    ModelDamaged naming the file, OutOfMemory, before anything large is read if that can be known, and Stopped.
    """
    with _explained(path, plan.device):
        store = PackedStore.of(packed_folder, path, plan.bits) if packed_folder is not None and plan.packed else None
        try:
            source = opened(path, cache_folder)
        except ArchitectureUnknown:
            return _through_transformers(path, plan, progress, stop, context)
        packed = plan.packed and can_pack(source.config)
        if plan.required and not packed:
            raise _not_packed(
                say("{name} has sizes that are no multiples of 32, so it cannot be packed.", name=path.name)
                if RUNS_HERE
                else say("{name} would need a processor with F16C, so it cannot be packed.", name=path.name)
            )
        window = _window(source, plan, packed, context, path)
        network: QuantizedDecoder | Decoder
        if packed:
            network = _packed_decoder(source, plan.bits, store, progress, stop)
            name = f"int{plan.bits}" if plan.bits else source.quantization or "int8"
        else:
            from qwenchat.engine.local import torch_loader  # noqa: PLC0415  (imports torch)

            weights = _reported(source, progress, stop)
            network = torch_loader.float_decoder(source.config, weights, plan, progress)
            name = source.quantization or plan.dtype
    return LoadedModel(network, source.tokenizer, name, network.parameters, network.nbytes, window)


@contextlib.contextmanager
def _explained(path: Path, device: str) -> Iterator[None]:
    """Errors of loading as ModelError that names the model."""
    try:
        yield
    except (OutOfMemory, DeviceFailed):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(
                say("{name} does not fit the memory of {device}.", name=path.name, device=device),
                say("Choose a smaller model."),
            ) from error
        if isinstance(error, ModelDamaged | ModelUnsupported) and str(path) not in error.what:
            what = say("{path} cannot be used: {error}", path=path, error=error.what)
            raise type(error)(what, error.remedy) from error
        if isinstance(error, OSError):
            what = say("{path} cannot be read: {error}.", path=path, error=error)
            raise ModelDamaged(what, say("Check its permissions and the disk.")) from error
        raise


def _not_packed(why: str) -> ModelUnsupported:
    return ModelUnsupported(why, say("Try --quantization bf16."))


def _through_transformers(
    path: Path, plan: RunPlan, progress: Callable[[LoadProgressed], None], stop: StopSignal, context: int | None
) -> LoadedModel:
    """The model in a folder, run by the classes that transformers has for it."""
    from qwenchat.engine.local import auto_model  # noqa: PLC0415  (imports transformers)

    files, tokenizer = present(shards(path)), ChatTokenizer.from_folder(path)
    described = auto_model.describe(path, sum(file.stat().st_size for file in files))
    check_vocabulary(tokenizer, described.vocab, path)
    if plan.required:
        raise _not_packed(
            say("{name} is of an architecture that only transformers knows, so it cannot be packed.", name=path.name)
        )
    name, weights, room = plan.dtype, described.parameters * plan.itemsize, memory.of(plan.device)
    free = room.free + (memory.of("cpu").free if plan.device == "cuda" else 0)
    if free - weights < fit.MARGIN:
        raise fit.too_large(path.name, weights, name, room)
    token, longest = described.cache_elements * plan.itemsize, described.longest
    window = fit.window(context, longest, min(longest, LONGEST_WINDOW), token, free - weights - fit.MARGIN)
    progress(LoadProgressed(say("reading weights")))
    if stop.is_set():
        raise Stopped
    network = auto_model.read(path, described, plan)
    return LoadedModel(network, tokenizer, name, described.parameters, network.nbytes, window)


def quantization_of(plan: RunPlan) -> str:
    """The number format that plain floats get."""
    return f"int{plan.bits or 8}" if plan.packed else plan.dtype


def _window(source: ModelSource, plan: RunPlan, packed: bool, asked: int | None, path: Path) -> ContextSize:
    """The context window there is memory for beside the weights; raises OutOfMemory, also when there is none."""
    c = source.config
    shape = ModelShape(c.hidden, c.layers, c.intermediate, c.heads, c.kv_heads, c.head_dim, c.tied, c.vocab)
    if packed:
        weights = QUANTIZATIONS[quantization_of(plan)].cpu.weights(shape)
        if plan.bits is None and source.packed_bytes:
            weights = source.packed_bytes
    else:
        weights = shape.parameters * plan.itemsize
    room = memory.of(plan.device)
    left = room.free - weights - fit.MARGIN
    if left < 0:
        name = quantization_of(plan) if packed else plan.dtype
        raise fit.too_large(path.name, weights, name, room)
    token = token_bytes(shape, None if packed else plan.itemsize)
    return fit.window(asked, c.max_position, min(c.max_position, LONGEST_WINDOW), token, left)


def _reported(
    source: ModelSource, progress: Callable[[LoadProgressed], None], stop: StopSignal
) -> Iterator[StoredWeight]:
    """The weights as they are read, with word of how far that is."""
    total = sum(file.stat().st_size for file in source.files)
    done = 0
    progress(LoadProgressed(say("reading weights"), 0, total))
    for weight in source.weights:
        if stop.is_set():
            raise Stopped
        yield weight
        done = min(total, done + weight.data.nbytes)
        progress(LoadProgressed(say("reading weights"), done, total))


def _packed_decoder(
    source: ModelSource,
    bits: int | None,
    store: PackedStore | None,
    progress: Callable[[LoadProgressed], None],
    stop: StopSignal,
) -> QuantizedDecoder:
    """The model as the CPU's own kernels run it, of weights that were packed before or are packed now."""
    threads = hardware.cpu_threads()
    kept = store.read() if store is not None else None
    weights = kept if kept is not None else _packed(source, bits, threads, progress, stop)
    found = WeightMap(dict(weights))
    decoder = QuantizedDecoder(source.config, found.take, threads)
    found.check_all_taken()
    progress(LoadProgressed(say("preparing for this processor")))
    if kept is None and store is not None:
        store.keep(weights)
    decoder.warm_up()
    return decoder


def _packed(
    source: ModelSource, bits: int | None, threads: int, progress: Callable[[LoadProgressed], None], stop: StopSignal
) -> dict[str, PackedMatrix | np.ndarray]:
    """The weights by name, matrices packed."""
    from qwenchat.engine.local.cpu.packing import pack  # noqa: PLC0415  (imports numba)

    form = {None: None, 8: WeightFormat.U8, 4: WeightFormat.U4}[bits]

    def packed(weight: StoredWeight) -> tuple[str, PackedMatrix | np.ndarray]:
        if stop.is_set():
            raise Stopped
        if len(weight.shape) != 2 or weight.shape[1] % GROUP:
            return weight.name, weight.floats()
        wanted = WeightFormat.U8 if form is WeightFormat.U4 and weight.name in WIDE else form
        return weight.name, pack(weight.kind, weight.data, weight.shape[1], wanted, weight.order)

    needed = (
        weight
        for weight in _reported(source, progress, stop)
        if not (source.config.tied and weight.name == "lm_head.weight")
    )
    with ThreadPoolExecutor(threads) as pool:
        return dict(pool.map(packed, needed))
