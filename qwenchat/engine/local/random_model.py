"""Models of a known shape filled with random numbers: as fast as the real ones, and there within seconds."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from qwenchat.engine.local import hardware
from qwenchat.engine.local.catalog import LONGEST_WINDOW, KnownModel
from qwenchat.engine.local.cpu.arrays import aligned
from qwenchat.engine.local.cpu.decoder import WIDE, QuantizedDecoder
from qwenchat.engine.local.cpu.layout import GROUP, ROWS, WeightFormat
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.decoder_config import DecoderConfig
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.stepper import Stepper
from qwenchat.engine.local.torch_network import DTYPES

_SPREAD = 0.02
"""Standard deviation of the weights, as trained models have it."""
_BLOCK = 1 << 22
"""Numbers that are drawn; they are repeated to fill a matrix."""


def config_of(known: KnownModel) -> DecoderConfig:
    """The transformer of a known model."""
    s = known.shape
    return DecoderConfig(
        s.vocab, s.hidden, s.layers, s.intermediate, s.heads, s.kv_heads, s.head_dim, rope_base=1e6, norm_eps=1e-6,
        max_position=LONGEST_WINDOW, tied=s.tied,
    )  # fmt: skip


def random_network(config: DecoderConfig, plan: RunPlan) -> QuantizedDecoder | Decoder:
    """A transformer with the norms of Qwen3 and no biases, made in the format it is run in."""
    random = np.random.default_rng(0)
    if not plan.packed:
        block = torch.from_numpy(random.standard_normal(_BLOCK, np.float32) * _SPREAD).to(
            plan.device, DTYPES[plan.dtype]
        )
        make = Stepper if plan.device == "cuda" else Decoder
        return make(config, lambda name, shape: _floats(name, shape, block))
    raw = np.frombuffer(random.bytes(_BLOCK), np.uint8)
    form = WeightFormat.U4 if plan.bits == 4 else WeightFormat.U8

    def take(name: str, shape: tuple[int, ...]) -> Any:
        if name.endswith("bias"):
            return None
        if len(shape) == 1:
            return np.ones(shape, np.float32)
        return _packed(shape[0], shape[1], WeightFormat.U8 if name in WIDE else form, raw)

    decoder = QuantizedDecoder(config, take, hardware.cpu_threads())
    decoder.warm_up()
    return decoder


def _floats(name: str, shape: tuple[int, ...], block: Tensor) -> Tensor | None:
    if name.endswith("bias"):
        return None
    if len(shape) == 1:
        return torch.ones(shape, dtype=block.dtype, device=block.device)
    count = shape[0] * shape[1]
    return block.repeat(-(-count // _BLOCK))[:count].view(shape)


def _packed(rows: int, columns: int, form: WeightFormat, raw: np.ndarray) -> PackedMatrix:
    """A matrix of random bytes; a scale that gives them their spread."""
    groups = -(-rows // ROWS) * (columns // GROUP)
    weights = aligned(groups * form.group_bytes, np.uint8)
    weights[:] = np.resize(raw, len(weights))
    scales = aligned(groups * ROWS, np.float16)
    levels = 256 if form is WeightFormat.U8 else 16
    scales[:] = _SPREAD * 12**0.5 / levels
    return PackedMatrix(form, rows, columns, weights, scales, aligned(0, np.float16))
