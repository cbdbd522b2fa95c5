"""Whether the step and the draw on a GPU are right; only then is their speed worth anything."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.gpu_subjects import TimedCuda, reading, stepper
from qwenchat.chat.sampling import Sampling
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.generate import decode, prefill
from qwenchat.engine.local.sampler import Sampler
from qwenchat.engine.local.stepper import Stepper, Way, named, ways

WINDOW = 4096
STARTS = (20, 505, 1020, 2045)
"""Lengths of prompt from which 64 tokens are generated; all but the first outgrow the room of the cache on the way."""
STEPS = 64
GREEDY = Sampling(temperature=0)
KINDS: dict[str, dict[str, Any]] = {
    "top-k": {},
    "the whole vocabulary": {"top_k": 0},
    "penalties": {"presence_penalty": 1.5, "repetition_penalty": 1.1},
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    right: bool
    found: str


def checks(make: Callable[[torch.dtype], PreTrainedModel], half: torch.dtype) -> Iterator[Check]:
    """All checks: strict ones in float32, and those that the number format of the chat allows."""
    expected: dict[int, Tensor] = {}
    model = make(torch.float32)
    network = stepper(model)
    yield from _guarded("float32", lambda: _exact(network, model, expected))
    yield from _guarded("greedy", lambda: _greedy(network))
    if half is not torch.float32:
        del network, model
        model = make(half)
        network = stepper(model)
        yield from _guarded(f"{half}", lambda: _works(network))
        for way in ways(network.embedding.device):
            yield from _guarded(f"{half}, {named(way)}", lambda: _rounded(network, model, way, expected))  # noqa: B023
    yield from _guarded("draws", lambda: _draws(network))
    yield from _guarded("seeds", lambda: _seeds(network))
    yield from _guarded("cropped", lambda: _cropped(network))


def _guarded(name: str, group: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The checks of a group; whatever befalls one, the other groups go on."""
    try:
        with torch.inference_mode():
            yield from group()
    except Exception as fault:  # noqa: BLE001
        yield Check(name, right=False, found=f"{type(fault).__name__}: {fault}")


def prompt_of(network: Stepper, length: int) -> list[int]:
    """A prompt of random tokens, always the same."""
    random = torch.Generator().manual_seed(length)
    return torch.randint(0, network.config.vocab, (length,), generator=random).tolist()


def _begun(network: Stepper, prompt: list[int]) -> SequenceContext:
    context = SequenceContext(network, WINDOW)
    for _ in prefill(context, prompt, StopSignal()):
        pass
    return context


def _works(network: Stepper) -> Iterator[Check]:
    yield Check(
        f"works ahead in {network.embedding.dtype}",
        network.ahead,
        named((type(network._step), type(network._step._attention))),
    )
    if isinstance(network._runner, TimedCuda):
        found = f"{len(network._runner.captures)} recordings, {network._runner.failed} failed"
        yield Check("recorded as a whole", not network._runner.failed, found)


def _exact(network: Stepper, model: PreTrainedModel, expected: dict[int, Tensor]) -> Iterator[Check]:
    yield from _works(network)
    for start in STARTS:
        ours, expected[start] = _logits_along(network, start), _logits_of(model, network, start)
        error = _apart(ours, expected[start])
        yield Check(f"logits as transformers' after {start} tokens, float32", error < 1e-4, f"{error:.1e} apart")


def _rounded(network: Stepper, model: PreTrainedModel, way: Way, expected: dict[int, Tensor]) -> Iterator[Check]:
    with reading(network, way):
        for start, exact in expected.items():
            errors = _apart(_logits_along(network, start), exact), _apart(_logits_of(model, network, start), exact)
            found = f"{errors[0]:.1e} apart from float32, transformers {errors[1]:.1e}"
            name = f"logits after {start} tokens, {network.embedding.dtype}, {named(way)}"
            yield Check(name, errors[0] < 2 * errors[1] + 1e-3, found)


def _logits_along(network: Stepper, start: int) -> Tensor:
    """The logits [n, vocab] after each of some tokens behind a prompt, by the recorded step."""
    ids = prompt_of(network, start + STEPS)
    context = _begun(network, ids[:start])
    found = []
    for token in ids[start:]:
        network._draw.token.fill_(token)
        network._read(context._cache)
        found.append(network._draw.logits.clone())
    return torch.stack(found)


def _logits_of(model: PreTrainedModel, network: Stepper, start: int) -> Tensor:
    """Those of transformers."""
    ids = prompt_of(network, start + STEPS)
    return model(input_ids=torch.tensor([ids], device=model.device), logits_to_keep=STEPS).logits[0].float()


def _apart(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).norm(dim=-1) / expected.norm(dim=-1)).max())


def _said(context: SequenceContext, sampling: Sampling) -> list[int]:
    return list(decode(context, Sampler(sampling, context.ids), StopSignal(), STEPS))


def _said_one_by_one(network: Stepper, context: SequenceContext, sampling: Sampling) -> list[int]:
    """The same with nothing recorded, and by the draw that waits for the host."""
    sampler, logits, said = Sampler(sampling, context.ids), context.logits, list[int]()
    while len(said) < STEPS:
        said.append(sampler.draw(logits))
        token = torch.tensor(said[-1:], device=network.embedding.device)
        logits = Decoder.forward(network, token, context._cache).cpu().numpy()
    return said


def _greedy(network: Stepper) -> Iterator[Check]:
    for start in STARTS:
        prompt = prompt_of(network, start)
        ahead = _said(_begun(network, prompt), GREEDY)
        plain = _said_one_by_one(network, _begun(network, prompt), GREEDY)
        same = sum(one == other for one, other in zip(ahead, plain, strict=True))
        yield Check(f"greedy as one by one after {start} tokens", same == STEPS, f"{same} of {STEPS} tokens alike")


class _DeviceNoise:
    """The chance that the device has for a seed, for the sampler of the host."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._random = torch.Generator(device=device).manual_seed(seed)

    def exponential(self, count: int) -> np.ndarray:
        numbers = torch.empty(count, device=self._random.device)
        return numbers.exponential_(generator=self._random).cpu().numpy()


def _draws(network: Stepper) -> Iterator[Check]:
    """The recorded draw and the sampler's own, from the same logits with the same chance."""
    for name, settings in KINDS.items():
        sampling = Sampling(temperature=2.0, top_p=0.9, min_p=0.001, seed=7, **settings)
        prompt = prompt_of(network, 100)
        context = _begun(network, prompt)
        ahead, sampler, plain = _said(context, sampling), Sampler(sampling, prompt), list[int]()
        sampler._noise = _DeviceNoise(7, network.embedding.device)
        context = _begun(network, prompt)
        for token in ahead:
            plain.append(sampler.draw(context.logits))
            context.read([token], StopSignal())
        same = sum(one == other for one, other in zip(ahead, plain, strict=True))
        yield Check(f"drawn as by the sampler, with {name}", same == STEPS, f"{same} of {STEPS} tokens alike")


def _seeds(network: Stepper) -> Iterator[Check]:
    prompt = prompt_of(network, 500)
    for name, settings in KINDS.items():
        replies = [
            _said(_begun(network, prompt), Sampling(temperature=2.0, top_p=1.0, seed=seed, **settings))
            for seed in (1, 1, 2)
        ]
        right = replies[0] == replies[1] != replies[2]
        yield Check(f"same seed, same reply, with {name}", right, "so it is" if right else "not so")


def _cropped(network: Stepper) -> Iterator[Check]:
    """A reply that is left midway, another prompt behind half of it, and on."""
    prompt, other = prompt_of(network, 700), prompt_of(network, 30)
    context = _begun(network, prompt)
    sampler = Sampler(Sampling(seed=1), prompt)
    for produced, _ in enumerate(decode(context, sampler, StopSignal(), STEPS)):
        if produced == STEPS // 2:
            break
    following = context.ids[:710] + other
    for _ in prefill(context, following[context.rewind(following) :], StopSignal()):
        pass
    error = _apart(*(torch.from_numpy(one.logits)[None] for one in (context, _begun(network, following))))
    yield Check("cropped and gone on with", error < 0.05, f"{error:.1e} apart from a fresh reading")
