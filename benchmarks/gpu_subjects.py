"""What `benchmarks/gpu.py` measures: one model with random weights, run by qwenchat and by transformers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from benchmarks.protocol import Stopwatch
from benchmarks.shape import QWEN3_06B
from benchmarks.transformers_worker import Listener
from qwenchat.chat.sampling import THINKING
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.decoder_config import DecoderConfig
from qwenchat.engine.local.generate import decode, prefill
from qwenchat.engine.local.graph import CudaGraphRunner, DeviceRunner, DirectRunner, Work
from qwenchat.engine.local.sampler import Sampler
from qwenchat.engine.local.stepper import Stepper, Way

SHAPES: dict[str, dict[str, Any]] = {
    "qwen3-0.6b": QWEN3_06B,
    "tiny": QWEN3_06B
    | {
        "vocab_size": 1280,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "eos_token_id": 1,
        "pad_token_id": 0,
    },
}
WINDOW = 32_768
"""As a chat has it: the cache has room for more than is in it."""
SAMPLING = {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20}
"""`THINKING` in transformers' words."""


class TimedCuda(CudaGraphRunner):
    """Notes how long each recording took, in seconds, and how many failed."""

    def __init__(self) -> None:
        super().__init__()
        self.captures: list[float] = []
        self.failed = 0

    def _capture(self, work: Work) -> Work:
        watch = Stopwatch()
        try:
            replay = super()._capture(work)
        except RuntimeError:
            self.failed += 1
            raise
        watch.token()
        self.captures.append(watch.arrivals[0] - watch.started)
        return replay


def random_model(shape: str, device: str, dtype: torch.dtype) -> PreTrainedModel:
    """The same weights for the same shape, but for the rounding."""
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen3ForCausalLM(Qwen3Config(**SHAPES[shape], attn_implementation="sdpa"))
    return model.to(dtype).eval().requires_grad_(requires_grad=False)


def stepper(model: PreTrainedModel, runner: DeviceRunner | None = None) -> Stepper:
    """qwenchat's decoder with the weights of `model`; on a CPU it works ahead too, without recording."""
    reported = model.config.to_dict() | {"architectures": ["Qwen3ForCausalLM"]}
    usual = DirectRunner() if model.device.type == "cpu" else TimedCuda()
    return Stepper(DecoderConfig.from_json(reported), lambda name, shape: model.state_dict().get(name), runner or usual)


@contextmanager
def reading(network: Stepper, way: Way) -> Iterator[None]:
    """The network with another way to read a token."""
    usual = network._step
    try:
        network.take(way)
        yield
    finally:
        network._step = usual
        network._reads.clear()


@dataclass(frozen=True)
class Subject:
    """Something that reads a prompt and answers it, telling the stopwatch of each token."""

    name: str
    run: Callable[[list[int], int, Stopwatch], None]


def qwenchat(network: Stepper) -> Subject:
    """Each length of prompt has a context of its own, as each conversation has."""
    contexts: dict[int, SequenceContext] = {}

    def run(ids: list[int], tokens: int, watch: Stopwatch) -> None:
        with torch.inference_mode():
            if len(ids) not in contexts:
                contexts[len(ids)] = SequenceContext(network, WINDOW)
            context = contexts[len(ids)]
            for _ in prefill(context, ids[context.rewind(ids) :], StopSignal()):
                pass
            sampler = Sampler(THINKING, ids)
            for _ in decode(context, sampler, StopSignal(), tokens):
                watch.token()

    return Subject("qwenchat", run)


def transformers(model: PreTrainedModel, cache: str) -> Subject:
    """`generate` with the cache that is named: dynamic or static."""

    def run(ids: list[int], tokens: int, watch: Stopwatch) -> None:
        prompt = torch.tensor([ids], device=model.device)
        model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            cache_implementation=cache,
            streamer=Listener(watch),
            **SAMPLING,
        )

    return Subject(f"transformers, {cache} cache", run)
