"""Architectures that only transformers knows, run by its code: slower, and just as correct.

Importing this costs most of a second, so only a model that needs it does.
"""

import contextlib
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from qwenchat.chat.errors import ModelDamaged, ModelError, ModelUnsupported
from qwenchat.engine.base import StopSignal
from qwenchat.engine.failures import is_out_of_memory
from qwenchat.engine.local import hardware
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.torch_network import DTYPES, TorchNetwork
from qwenchat.i18n.texts import say

_models: Any = AutoModelForCausalLM
_logging: Any = logging
MOST_LAYERS = 1024
USUAL_POSITIONS = 2048
"""Tokens that a model can read which does not say how many."""


class AutoCache:
    """Keys and values of the tokens read so far, all of them, so that any number can be forgotten."""

    def __init__(self, window: int, device: torch.device) -> None:
        self.window = window
        """Most tokens it may hold."""
        self.device = device
        """Where it lives."""
        # Without the model's configuration no layer drops what has left its sliding window.
        self.states: Any = DynamicCache()

    @property
    def length(self) -> int:
        """Tokens it holds."""
        return int(self.states.get_seq_length())

    @property
    def bytes_per_token(self) -> int:
        """Memory one token costs; 0 as long as there is none."""
        held = [layer for layer in self.states.layers if layer.get_seq_length()]
        return sum((layer.keys.nbytes + layer.values.nbytes) // layer.get_seq_length() for layer in held)

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; layers that a failed read did not reach may hold fewer."""
        for layer in self.states.layers:
            over = layer.get_seq_length() - length
            if over > 0:
                layer.crop(-over)


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What the configuration says, before any weight is read."""

    config: Any
    parameters: int
    vocab: int
    longest: int
    """Most tokens the model can read."""
    cache_elements: int
    """Numbers that one token adds to the cache."""


class AutoModel(TorchNetwork[AutoCache]):
    """A model of transformers' own classes, as the decode loop wants it."""

    interruptible = False

    def __init__(self, model: Any) -> None:
        self._model = model
        self._device: torch.device = model.get_input_embeddings().weight.device
        self._options: dict[str, Any] = {"use_cache": True}
        if "logits_to_keep" in inspect.signature(model.forward).parameters:
            self._options["logits_to_keep"] = 1

    @property
    def nbytes(self) -> int:
        """Memory of the weights."""
        return sum(weight.nbytes for weight in self._model.parameters())

    def new_cache(self, window: int) -> AutoCache:
        """See `Network.new_cache`."""
        return AutoCache(window, self._device)

    def forward(self, ids: Tensor, cache: AutoCache, stop: StopSignal | None = None) -> Tensor:
        """See `TorchNetwork.forward`."""
        wanted = cache.length + len(ids)
        if wanted > cache.window:
            raise ValueError(f"{wanted} tokens do not fit a window of {cache.window}")
        output = self._model(input_ids=ids[None], past_key_values=cache.states, **self._options)
        logits: Tensor = output.logits[0, -1]
        return logits.to(self._device, torch.float32)

    def close(self) -> None:
        """See `Network.close`; there is nothing to give back."""


def describe(folder: Path, stored_bytes: int) -> ModelDescription:
    """Look at the configuration of the model in `folder`, whose files take `stored_bytes`.

    Raises ModelUnsupported for what transformers does not know either, ModelDamaged for impossible numbers.
    """
    reported = json.loads((folder / "config.json").read_bytes())
    kind, architecture = reported.get("model_type"), (reported.get("architectures") or [""])[0]
    known = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind) if isinstance(kind, str) else None
    if known is None or architecture != known:
        raise ModelUnsupported(
            say("The architecture {architecture} is not known.", architecture=architecture)
            if architecture
            else say("The architecture of this model is not known."),
            say("Choose another."),
        )
    with _as_damage(say("its configuration is impossible")):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        text = config.get_text_config()
        if not 0 < text.num_hidden_layers <= MOST_LAYERS:
            raise ValueError(say("{number} layers", number=text.num_hidden_layers))
        with torch.device("meta"):
            model = _models.from_config(config, trust_remote_code=False)
        if getattr(model, "_is_stateful", False):
            raise ModelUnsupported(
                say("{architecture} cannot go back in what it has read.", architecture=architecture),
                say("Choose another model."),
            )
        parameters = sum(weight.numel() for weight in model.parameters())
        if parameters > stored_bytes:
            raise ValueError(say("{weights:,} weights in {bytes:,} bytes", weights=parameters, bytes=stored_bytes))
        heads = text.num_attention_heads
        kv_heads = getattr(text, "num_key_value_heads", None) or heads
        head_dim = getattr(text, "head_dim", None) or text.hidden_size // heads
        return ModelDescription(
            config,
            parameters,
            vocab=model.get_input_embeddings().weight.shape[0],
            longest=int(getattr(text, "max_position_embeddings", None) or USUAL_POSITIONS),
            cache_elements=int(2 * text.num_hidden_layers * kv_heads * head_dim),
        )


def read(folder: Path, description: ModelDescription, plan: RunPlan) -> AutoModel:
    """Load the weights, on a GPU as far as they fit there; raises ModelDamaged and ModelUnsupported."""
    _logging.set_verbosity_error()
    _logging.disable_progress_bar()
    with _as_damage(say("its weights cannot be read")):
        model, found = _models.from_pretrained(
            folder,
            config=description.config,
            dtype=DTYPES[plan.dtype],
            device_map="auto" if plan.device == "cuda" else plan.device,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    for name, stored, wanted in sorted(found["mismatched_keys"]):
        raise ModelDamaged(
            say(
                "The weight {name} has the shape {stored} instead of {wanted}.", name=name, stored=stored, wanted=wanted
            ),
            say("Download it again."),
        )
    for missing in sorted(found["missing_keys"]):
        raise ModelDamaged(say("The weights lack {missing}.", missing=missing), say("Download the model again."))
    for left in sorted(found["unexpected_keys"]):
        raise ModelUnsupported(
            say("This variant has weights that are not known: {left}.", left=left), say("Choose another model.")
        )
    for name, weight in model.named_parameters():
        if weight.device.type != "meta" and not torch.isfinite(weight.sum(dtype=torch.float32)):
            raise ModelDamaged(say("The weight {name} holds invalid numbers.", name=name), say("Download it again."))
    return AutoModel(model.eval().requires_grad_(requires_grad=False))


@contextlib.contextmanager
def _as_damage(what: str) -> Iterator[None]:
    """Whatever transformers raises over a broken file, in one kind of error."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        if is_out_of_memory(error) or hardware.is_device_failure(error):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        raise ModelDamaged(
            say("The model is damaged: {what} ({said}).", what=what, said=said[:300]), say("Download it again.")
        ) from error
