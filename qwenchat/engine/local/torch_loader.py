"""Weights of a file to a decoder that torch runs, in floats."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from qwenchat.chat.events import LoadProgressed
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.decoder_config import DecoderConfig
from qwenchat.engine.local.ggml import Kind
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.stepper import Stepper
from qwenchat.engine.local.stored_weight import StoredWeight
from qwenchat.engine.local.torch_network import DTYPES
from qwenchat.engine.local.weight_map import WeightMap
from qwenchat.i18n.texts import say

_STORED = {Kind.F32: torch.float32, Kind.F16: torch.float16, Kind.BF16: torch.bfloat16}


def float_decoder(
    config: DecoderConfig, weights: Iterator[StoredWeight], plan: RunPlan, progress: Callable[[LoadProgressed], None]
) -> Decoder:
    """The model on the device and in the numbers of the plan."""
    found = WeightMap({weight.name: tensor_of(weight, DTYPES[plan.dtype]).to(plan.device) for weight in weights})
    progress(LoadProgressed(say("preparing for this processor")))
    decoder = (Stepper if plan.device == "cuda" else Decoder)(config, found.take)
    found.check_all_taken()
    return decoder


def tensor_of(weight: StoredWeight, dtype: torch.dtype) -> Tensor:
    """A weight as floats of that type, in memory of its own."""
    stored = _STORED.get(weight.kind)
    if stored is None:
        return torch.from_numpy(weight.floats()).to(dtype)
    value = torch.from_numpy(weight.data.copy()).view(stored).reshape(weight.shape)
    return (value if weight.order is None else value[torch.from_numpy(weight.order)]).to(dtype)
