"""How fast a model reads and answers on this machine, and how fast the machine reads memory."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.events import LoadProgressed
from qwenchat.chat.sampling import THINKING
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import fit, hardware, memory
from qwenchat.engine.local.catalog import LONGEST_WINDOW, KnownModel
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.cpu.decoder import QuantizedDecoder
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.generate import decode, prefill
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.loader import load, quantization_of
from qwenchat.engine.local.locate import locate
from qwenchat.engine.local.random_model import config_of, random_network
from qwenchat.engine.local.sampler import Sampler
from qwenchat.i18n.texts import say
from qwenchat.system.paths import Paths

STEPS = 32
"""Tokens that are generated after each prompt, the first one not counted."""
READ_BYTES = 1 << 29
"""What is read to measure the bandwidth: far more than any cache holds."""
READS = 7

Progress = Callable[[LoadProgressed], None]


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """A model that is measured."""

    name: str
    quantization: str
    device: str
    network: Any
    load_s: float

    @property
    def vocab(self) -> int:
        """How many logits it gives."""
        return int(self.network.config.vocab)

    @property
    def step_bytes(self) -> int:
        """Bytes of weights that each token needs: all but an embedding of its own, of which one row is read."""
        network: QuantizedDecoder | Decoder = self.network
        return network.nbytes - (0 if network.config.tied else network.embedding.nbytes)

    @property
    def token_bytes(self) -> int:
        """Bytes of keys and values of each token before it that a token needs."""
        return int(self.network.new_cache(1).bytes_per_token)


def of_shape(known: KnownModel, plan: RunPlan, longest: int, progress: Progress) -> MeasuredModel:
    """A model of that shape with random weights, to hold `longest` tokens.

    Raises ConfigInvalid when it cannot hold them, OutOfMemory and ModelUnsupported.
    """
    quantization = quantization_of(plan)
    fit.check(known, quantization, memory.of(plan.device), longest)
    _require(known.name, longest, LONGEST_WINDOW)
    started = time.perf_counter()
    progress(LoadProgressed(say("making random weights in {quantization}", quantization=quantization)))
    config = config_of(known)
    if longest > config.max_position:
        raise _too_long(known.name, config.max_position)
    network = random_network(config, plan)
    return MeasuredModel(known.name, quantization, plan.device, network, time.perf_counter() - started)


def of_model(name: str | None, plan: RunPlan, longest: int, paths: Paths, progress: Progress) -> MeasuredModel:
    """A real model, fetched if need be; raises ConfigInvalid as `of_shape`, and what `locate` and `load` raise."""
    room, stop = memory.of(plan.device), StopSignal()
    located = locate(
        name, paths=paths, progress=progress, stop=stop,
        check=lambda known: fit.check(known, quantization_of(plan), room, longest),
    )  # fmt: skip
    started = time.perf_counter()
    model = load(
        located.path,
        plan=plan,
        cache_folder=paths.cache / "tokenizers",
        progress=progress,
        stop=stop,
        context=longest,
        packed_folder=paths.packed,
    )
    seconds = time.perf_counter() - started
    _require(located.name, longest, model.window.tokens)
    return MeasuredModel(located.name, model.quantization, plan.device, model.network, seconds)


def _require(name: str, longest: int, most: int) -> None:
    if longest > most:
        raise ConfigInvalid(
            say("{name} holds {most:,} tokens.", name=name, most=most),
            say("--context may be {most} at most.", most=most - STEPS - 1),
        )


@dataclass(frozen=True, slots=True)
class MeasuredSpeed:
    """What was measured at one length of context; medians."""

    context: int
    prefill_tokens_per_s: float
    """Of a prompt that long; the first token is drawn within its time."""
    decode_tokens_per_s: float
    """Of the tokens right after it, drawn as in a chat."""
    step_bytes: int
    """Bytes of weights and cache that one of these tokens needs."""


def speeds(subject: MeasuredModel, contexts: list[int], rounds: int, progress: Progress) -> Iterator[MeasuredSpeed]:
    """Measure at each length."""
    hardware.give_torch_threads(subject.network.interruptible)
    context = SequenceContext(subject.network, max(contexts) + STEPS + 1)
    _run(subject, context, min(contexts), rounds)
    for length in contexts:
        prefills: list[float] = []
        steps: list[float] = []
        for turn in range(rounds):
            step = say(
                "{quantization}, {length:,} tokens, round {round} of {rounds}",
                quantization=subject.quantization,
                length=length,
                round=turn + 1,
                rounds=rounds,
            )
            progress(LoadProgressed(step))
            arrivals = _run(subject, context, length, turn)
            prefills.append(arrivals[1] - arrivals[0])
            steps += np.diff(arrivals[1:]).tolist()
        step_bytes = subject.step_bytes + length * subject.token_bytes
        yield MeasuredSpeed(length, length / statistics.median(prefills), 1 / statistics.median(steps), step_bytes)


def _too_long(name: str, longest: int) -> ConfigInvalid:
    return ConfigInvalid(
        say("{name} holds {longest:,} tokens.", name=name, longest=longest),
        say("--context may be {longest} here.", longest=longest - STEPS - 1),
    )


def _run(subject: MeasuredModel, context: SequenceContext, length: int, turn: int) -> list[float]:
    """Read a fresh prompt and answer it; the times of the beginning and of each token."""
    random, stop = np.random.default_rng([length, turn]), StopSignal()
    prompt = random.integers(0, subject.vocab, length).tolist()
    times = [time.perf_counter()]
    for _ in prefill(context, prompt[context.rewind(prompt) :], stop):
        pass
    sampler = Sampler(THINKING, prompt)
    times += [time.perf_counter() for _ in decode(context, sampler, stop, STEPS + 1)]
    return times


def bandwidth(device: str) -> float:
    """How fast the device reads its memory with all threads, in bytes a second: the best of several reads."""
    hardware.give_torch_threads(network_has_its_own=False)
    values = torch.ones(READ_BYTES // 4, device=device)
    values.sum().item()
    times = []
    for _ in range(READS):
        started = time.perf_counter()
        values.sum().item()
        times.append(time.perf_counter() - started)
    return values.nbytes / min(times)
