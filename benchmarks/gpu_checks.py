"""Whether the step and the draw on a GPU are right; only then is their speed worth anything."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.gpu_subjects import stepper
from qwenchat.chat.sampling import Sampling
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.context import Context
from qwenchat.engine.local.generate import decode, prefill
from qwenchat.engine.local.sampler import Sampler
from qwenchat.engine.local.stepper import Stepper

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
    model = make(torch.float32)
    network = stepper(model)
    yield Check("works ahead in float32", network.ahead, "yes" if network.ahead else "no: the log says why")
    exact = {start: _logits_along(network, model, start) for start in STARTS}
    for start, (ours, theirs) in exact.items():
        error = _apart(ours, theirs)
        yield Check(f"logits as transformers' after {start} tokens, float32", error < 1e-4, f"{error:.1e} apart")
    yield from _greedy(network)
    if half is not torch.float32:
        del network
        model = make(half)
        network = stepper(model)
        yield Check(f"works ahead in {half}", network.ahead, "yes" if network.ahead else "no: the log says why")
        for start in STARTS:
            ours, theirs = _logits_along(network, model, start)
            errors = _apart(ours, exact[start][1]), _apart(theirs, exact[start][1])
            found = f"{errors[0]:.1e} apart from float32, transformers {errors[1]:.1e}"
            yield Check(f"logits after {start} tokens, {half}", errors[0] < 2 * errors[1] + 1e-3, found)
    yield from _seeds(network)
    yield _cropped(network)


def _prompt(network: Stepper, length: int) -> list[int]:
    random = torch.Generator().manual_seed(length)
    return torch.randint(0, network.config.vocab, (length,), generator=random).tolist()


def _begun(network: Stepper, prompt: list[int]) -> Context:
    context = Context(network, WINDOW)
    for _ in prefill(context, prompt, StopSignal()):
        pass
    return context


@torch.inference_mode()
def _logits_along(network: Stepper, model: PreTrainedModel, start: int) -> tuple[Tensor, Tensor]:
    """The logits [n, vocab] after each of the same tokens behind a prompt, by the recorded step and by transformers."""
    ids = _prompt(network, start + STEPS)
    context = _begun(network, ids[:start])
    ours = []
    for token in ids[start:]:
        network._draw.token.fill_(token)
        network._read(context._cache)
        ours.append(network._draw.logits.clone())
    theirs = model(input_ids=torch.tensor([ids], device=model.device), logits_to_keep=STEPS).logits[0]
    return torch.stack(ours), theirs.float()


def _apart(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).norm(dim=-1) / expected.norm(dim=-1)).max())


@torch.inference_mode()
def _said(context: Context, sampling: Sampling, *, ahead: bool = True) -> list[int]:
    sampler = Sampler(sampling, context.ids, context.device)
    if ahead:
        return list(decode(context, sampler, StopSignal(), STEPS))
    said = [sampler.draw(context.logits)]
    while len(said) < STEPS:
        context.read(said[-1:], StopSignal())
        said.append(sampler.draw(context.logits))
    return said


@torch.inference_mode()
def _greedy(network: Stepper) -> Iterator[Check]:
    for start in STARTS:
        prompt = _prompt(network, start)
        ahead, plain = _said(_begun(network, prompt), GREEDY), _said(_begun(network, prompt), GREEDY, ahead=False)
        same = sum(one == other for one, other in zip(ahead, plain, strict=True))
        yield Check(f"greedy as one by one after {start} tokens", same == STEPS, f"{same} of {STEPS} tokens alike")


@torch.inference_mode()
def _seeds(network: Stepper) -> Iterator[Check]:
    prompt = _prompt(network, 500)
    for name, settings in (
        ("top-k", {}),
        ("the whole vocabulary", {"top_k": 0}),
        ("penalties", {"presence_penalty": 1.5}),
    ):
        replies = [
            _said(_begun(network, prompt), Sampling(temperature=2.0, top_p=1.0, seed=seed, **settings))
            for seed in (1, 1, 2)
        ]
        right = replies[0] == replies[1] != replies[2]
        yield Check(f"same seed, same reply, with {name}", right, "so it is" if right else "not so")


@torch.inference_mode()
def _cropped(network: Stepper) -> Check:
    """A reply that is left midway, another prompt behind half of it, and on."""
    prompt, other = _prompt(network, 700), _prompt(network, 30)
    context = _begun(network, prompt)
    sampler = Sampler(Sampling(seed=1), prompt, context.device)
    for produced, _ in enumerate(decode(context, sampler, StopSignal(), STEPS)):
        if produced == STEPS // 2:
            break
    following = context.ids[:710] + other
    for _ in prefill(context, following[context.rewind(following) :], StopSignal()):
        pass
    fresh = _begun(network, following)
    error = _apart(context.logits[None], fresh.logits[None])
    return Check("cropped and gone on with", error < 0.05, f"{error:.1e} apart from a fresh reading")
