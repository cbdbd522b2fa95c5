"""What somebody waits for in a chat on a GPU: the first token of a later turn, and a stop while the prompt is read."""

import statistics
import threading
import time

import torch

from benchmarks.gpu_checks import prompt_of
from benchmarks.gpu_subjects import WINDOW
from qwenchat.chat.sampling import THINKING
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.generate import decode, prefill
from qwenchat.engine.local.sampler import Sampler
from qwenchat.engine.local.stepper import Stepper

HISTORY, MESSAGE = 4000, 200
TRIES = 5


@torch.inference_mode()
def first_tokens(network: Stepper) -> dict[str, float]:
    """Milliseconds to the first token of a message by itself, and behind a history that was read before."""
    message, history = prompt_of(network, MESSAGE), prompt_of(network, HISTORY)
    alone, later = [], []
    behind = SequenceContext(network, WINDOW)
    for _ in prefill(behind, history, StopSignal()):
        pass
    for _ in range(TRIES + 1):
        alone.append(_answered(SequenceContext(network, WINDOW), message))
        later.append(_answered(behind, history + message))
    return {"alone": statistics.median(alone[1:]), "behind 4,000 tokens": statistics.median(later[1:])}


def _answered(context: SequenceContext, ids: list[int]) -> float:
    started = time.perf_counter()
    for _ in prefill(context, ids[context.rewind(ids) :], StopSignal()):
        pass
    next(decode(context, Sampler(THINKING, ids), StopSignal(), 1))
    return 1000 * (time.perf_counter() - started)


@torch.inference_mode()
def longest_stop(network: Stepper, tokens: int) -> float:
    """Milliseconds from a stop to the end of reading a prompt of that length, at most; NaN if it was never in time."""
    prompt = prompt_of(network, tokens)
    started = time.perf_counter()
    for _ in prefill(SequenceContext(network, WINDOW), prompt, StopSignal()):
        pass
    whole, waited = time.perf_counter() - started, []
    for part in range(1, TRIES + 1):
        stop, asked = StopSignal(), [0.0]

        def ask(stop: StopSignal = stop, asked: list[float] = asked) -> None:
            asked[0] = time.perf_counter()
            stop.set()

        timer = threading.Timer(whole * part / (TRIES + 2), ask)
        timer.start()
        try:
            for _ in prefill(SequenceContext(network, WINDOW), prompt, stop):
                pass
        except Stopped:
            waited.append(1000 * (time.perf_counter() - asked[0]))
        timer.join()
    return max(waited, default=float("nan"))
