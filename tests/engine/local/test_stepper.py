"""The decoder that runs one step ahead: the same tokens as one by one, and nothing left over when it ends early."""

import gc
from collections.abc import Iterator
from typing import Any
from weakref import ref

import numpy as np
import pytest
import torch
from torch import Tensor

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.sampling import Sampling
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.generate import decode, prefill
from qwenchat.engine.local.graph import DeviceRunner, DirectRunner
from qwenchat.engine.local.sampler import Sampler
from qwenchat.engine.local.stepper import Stepper
from tests.engine.local.test_decode_step import IDS, VOCAB, WINDOW, made
from tests.support.tape import Failing, Recorder
from tests.support.torch_sampler import torch_sampler

GREEDY = Sampling(temperature=0)
SETTINGS = {
    "greedy": GREEDY,
    "greedy with penalties": Sampling(temperature=0, presence_penalty=1.0, repetition_penalty=1.1),
    "thinking": Sampling(temperature=0.6, top_p=0.95, top_k=20, seed=3),
    "hot with penalties": Sampling(temperature=2.0, top_k=50, presence_penalty=1.0, seed=3),
    "all tokens": Sampling(temperature=1.0, top_k=0, top_p=0.9, seed=3),
}
PROMPT = IDS[:20].tolist()


def stepper(runner: DeviceRunner | None = None) -> Stepper:
    decoder = made(kind=lambda config, take: Stepper(config, take, runner or DirectRunner()))  # type: ignore[arg-type]
    assert isinstance(decoder, Stepper)
    return decoder


def begun(network: Decoder, prompt: list[int] = PROMPT) -> SequenceContext:
    context = SequenceContext(network, WINDOW)
    read(context, prompt)
    return context


def read(context: SequenceContext, prompt: list[int]) -> None:
    for _ in prefill(context, prompt[context.rewind(prompt) :], StopSignal()):
        pass


def said(context: SequenceContext, sampling: Sampling, limit: int) -> list[int]:
    return list(decode(context, torch_sampler(sampling, context.ids), StopSignal(), limit))


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("runner", [DirectRunner, Recorder])
@pytest.mark.parametrize("name", SETTINGS)
def test_the_tokens_are_those_of_one_by_one(name: str, runner: type[DirectRunner]) -> None:
    ahead, plain = begun(stepper(runner())), begun(made())
    assert said(ahead, SETTINGS[name], 40) == said(plain, SETTINGS[name], 40)
    assert ahead.ids == plain.ids


def test_a_reply_that_outgrows_the_room_of_the_cache_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwenchat.engine.local.kvcache.STEP", 128)
    recorder = Recorder()
    ahead, plain = begun(stepper(recorder)), begun(made())
    before = recorder.captures
    assert said(ahead, GREEDY, 300) == said(plain, GREEDY, 300)
    assert recorder.captures - before == 3  # one for each room


@pytest.mark.parametrize("taken", [1, 2, 7])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_reply_that_is_left_goes_on_as_if_nothing_had_been_made_ahead(name: str, taken: int) -> None:
    found = []
    for network in (stepper(Recorder()), made()):
        context = begun(network)
        sampler, tokens = torch_sampler(SETTINGS[name], context.ids), []
        for token in decode(context, sampler, StopSignal(), 30):
            tokens.append(token)
            if len(tokens) == taken:
                break
        assert context.ids == PROMPT + tokens[:-1]
        read(context, [*PROMPT, *tokens, 7, 8, 9])
        tokens += decode(context, sampler, StopSignal(), 20)
        found.append((tokens, context.ids))
    assert found[0] == found[1]


def test_the_next_turn_reads_on_from_what_was_kept() -> None:
    ahead, plain = begun(stepper()), begun(made())
    for context in (ahead, plain):
        said(context, GREEDY, 15)
    following = [*ahead.ids[:30], 4, 5, 6]
    assert ahead.common(following) == plain.common(following) == 30
    for context in (ahead, plain):
        read(context, following)
    assert np.allclose(ahead.logits, plain.logits, rtol=1e-4, atol=1e-4)
    assert said(ahead, GREEDY, 15) == said(plain, GREEDY, 15)


def test_a_stop_ends_the_tokens_before_the_next() -> None:
    context, stop, tokens = begun(stepper()), StopSignal(), []
    steps = decode(context, Sampler(GREEDY, PROMPT), stop, 30)
    with pytest.raises(Stopped):
        for token in steps:
            tokens.append(token)
            if len(tokens) == 5:
                stop.set()
    assert tokens == said(begun(made()), GREEDY, 5)
    assert context.ids == PROMPT + tokens


def test_a_stop_beforehand_draws_nothing() -> None:
    stop = StopSignal()
    stop.set()
    with pytest.raises(Stopped):
        next(decode(begun(stepper()), Sampler(GREEDY, PROMPT), stop, 30))


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_no_more_than_the_limit_is_made(limit: int) -> None:
    context = begun(stepper())
    assert said(context, GREEDY, limit) == said(begun(made()), GREEDY, limit)
    assert context._cache.length == len(PROMPT) + max(0, limit - 1)  # type: ignore[attr-defined]


def test_a_window_is_filled_to_its_end() -> None:
    context = SequenceContext(stepper(), 25)
    read(context, PROMPT)
    assert len(said(context, GREEDY, 5)) == 5


def test_numbers_that_become_invalid_end_the_reply_in_an_error_after_the_last_good_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, calls = stepper(), 0
    logits = network._step.logits

    def broken(*args: Any) -> Tensor:
        nonlocal calls
        calls += 1
        return logits(*args) * (torch.nan if calls > 4 else 1)

    monkeypatch.setattr(network._step, "logits", broken)
    context, tokens = begun(network), []
    with pytest.raises(EngineFailed, match="NaN"):
        tokens.extend(decode(context, Sampler(GREEDY, PROMPT), StopSignal(), 30))
    assert tokens == said(begun(made()), GREEDY, 5)


def test_same_seed_same_reply_and_another_seed_another() -> None:
    network = stepper(Recorder())

    def hot(seed: int) -> list[int]:
        return said(begun(network), Sampling(temperature=3.0, top_k=100, top_p=1.0, seed=seed), 30)

    assert hot(1) == hot(1)
    assert hot(1) != hot(2)


def test_conversations_take_turns() -> None:
    network, plain = stepper(Recorder()), made()
    first, second = begun(network), begun(network, IDS[50:700].tolist())
    one, two = begun(plain), begun(plain, IDS[50:700].tolist())
    for _ in range(3):
        assert said(first, GREEDY, 8) == said(one, GREEDY, 8)
        assert said(second, GREEDY, 8) == said(two, GREEDY, 8)
        for context in (first, second, one, two):
            read(context, [*context.ids, 1, 2])


def test_a_conversation_that_is_given_up_takes_its_memory_along() -> None:
    network = stepper(Recorder())
    context = begun(network)
    said(context, GREEDY, 10)
    keys = ref(context._cache.layers[0])  # type: ignore[attr-defined]
    del context
    gc.collect()
    assert keys() is None


def test_a_model_that_is_given_up_takes_its_memory_along_at_once() -> None:
    network = stepper(Recorder())
    said(begun(network), GREEDY, 10)
    gc.collect()  # the conversation
    weights = ref(network.embedding)
    gc.disable()
    try:
        del network
        assert weights() is None
    finally:
        gc.enable()


def test_single_tokens_are_read_as_replies_are() -> None:
    recorder = Recorder()
    network, plain = stepper(recorder), made()
    context, other = begun(network), begun(plain)
    before, found = recorder.replays, []
    for token in IDS[30:40].tolist():
        for one in (context, other):
            one.read([token], StopSignal())
        assert np.allclose(context.logits, other.logits, rtol=1e-4, atol=1e-4)
        found.append(context.logits)
    assert recorder.replays - before >= 8
    assert not np.array_equal(found[0], found[-1])


OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
NOT_CAPTURED = RuntimeError("CUDA error: operation not permitted when stream is capturing")


@pytest.mark.parametrize("error", [OUT_OF_MEMORY, NOT_CAPTURED], ids=lambda error: str(error)[:20])
def test_what_cannot_be_recorded_runs_unrecorded_and_that_is_said(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error

    context = begun(stepper(Failing(fail)))
    assert said(context, GREEDY, 20) == said(begun(made()), GREEDY, 20)
    assert str(error) in caplog.text


def test_a_device_that_cannot_do_the_step_is_used_one_by_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> Tensor:
        raise RuntimeError("bmm is not implemented here")

    with monkeypatch.context() as patch:
        patch.setattr("qwenchat.engine.local.decode_step.DecodeStep.logits", fail)
        network = stepper()
    assert "bmm is not implemented here" in caplog.text
    context = begun(network)
    assert not context.ahead
    assert said(context, GREEDY, 20) == said(begun(made()), GREEDY, 20)


def test_a_device_that_does_the_step_wrong_is_used_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("qwenchat.engine.local.decode_step.DecodeStep.logits", lambda self, *args: torch.ones(VOCAB))
        network = stepper()
    assert not network.ahead
    assert said(begun(network), GREEDY, 20) == said(begun(made()), GREEDY, 20)


@pytest.mark.parametrize("sizes", [[96], [40, 1, 55], [7] * 13, [600, 500]], ids=str)
def test_prompts_are_read_as_the_decoder_reads_them(sizes: list[int]) -> None:
    network, plain = stepper(), made()
    caches = network.new_cache(WINDOW), plain.new_cache(WINDOW)
    at = 0
    for size in sizes:
        ids = IDS[at : at + size]
        expected = plain.forward(ids, caches[1])
        assert torch.allclose(network.forward(ids, caches[0]), expected, rtol=1e-4, atol=1e-4)
        at += size


def test_prompts_are_read_in_chunks_that_suit_the_size_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    network, sizes = stepper(), []
    assert network.chunks == (2048, 2048)
    forward = network.forward
    monkeypatch.setattr(network, "forward", lambda ids, *rest: sizes.append(len(ids)) or forward(ids, *rest))
    monkeypatch.setattr("qwenchat.engine.local.generate.CHUNK_S", 1e9)
    begun(network, IDS[:3000].tolist())
    assert sizes == [2048, 952]
    monkeypatch.setattr("qwenchat.engine.local.stepper.FIRST_CHUNK_OPERATIONS", 1e6)
    assert network.chunks == (16, 2048)
