import numpy as np
import pytest
import torch

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.sampling import Sampling
from qwenchat.engine.local.noise import Noise
from qwenchat.engine.local.sampler import Sampler, candidates, penalize, top_k

LOGITS = np.array([2.0, -1.0, 0.5, 3.0, 0.0, -2.0], np.float32)
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


def softmax(logits: np.ndarray) -> np.ndarray:
    shares: np.ndarray = np.exp(logits) / np.exp(logits).sum()
    return shares


def draws(n: int, logits: np.ndarray = LOGITS, prompt: tuple[int, ...] = (), **settings: float) -> list[int]:
    sampler = Sampler(Sampling(**settings), prompt)  # type: ignore[arg-type]
    return [sampler.draw(logits) for _ in range(n)]


def test_repetition_divides_positive_and_multiplies_negative_logits_of_prompt_and_output() -> None:
    seen = np.array([4, 0, 1])
    out = penalize(LOGITS, Sampling(repetition_penalty=2.0), seen, np.zeros(3, np.float32))
    assert out.tolist() == [1.0, -2.0, 0.5, 3.0, 0.0, -2.0]


def test_presence_subtracts_once_and_frequency_once_per_occurrence_of_generated_tokens() -> None:
    counts = np.array([3, 1, 0, 0, 0, 0], np.float32)
    seen = np.arange(6)
    presence = penalize(LOGITS, Sampling(presence_penalty=1.5), seen, counts)
    frequency = penalize(LOGITS, Sampling(frequency_penalty=0.5), seen, counts)
    assert presence.tolist() == [0.5, -2.5, 0.5, 3.0, 0.0, -2.0]
    assert frequency.tolist() == [0.5, -1.5, 0.5, 3.0, 0.0, -2.0]


def test_presence_penalty_ignores_the_prompt_and_repetition_penalty_counts_it() -> None:
    assert draws(1, prompt=(3,), temperature=0, presence_penalty=2.0) == [3]
    assert draws(1, prompt=(3,), temperature=0, repetition_penalty=2.0) == [0]


def test_penalties_count_the_part_of_the_reply_that_was_there_already() -> None:
    sampler = Sampler(Sampling(temperature=0, presence_penalty=2.0), (), (3, 0))
    assert [sampler.draw(LOGITS) for _ in range(2)] == [3, 3]
    sampler = Sampler(Sampling(temperature=0, frequency_penalty=1.0), (), (3, 3))
    assert sampler.draw(LOGITS) == 0


def test_penalties_grow_with_what_is_generated() -> None:
    assert draws(4, temperature=0, presence_penalty=2.0) == [3, 0, 3, 3]
    assert draws(4, temperature=0, frequency_penalty=2.0) == [3, 0, 3, 2]


@pytest.mark.parametrize("size", [5000, 128 * 64, 151_936])
def test_top_k_of_many_logits_is_exact(size: int) -> None:
    logits = np.random.default_rng(size).standard_normal(size, np.float32)
    values, ids = top_k(logits, 20)
    assert np.array_equal(values, np.sort(logits)[::-1][:20])
    assert np.array_equal(logits[ids], values)


def test_top_k_keeps_the_likeliest() -> None:
    ids, probabilities = candidates(LOGITS, Sampling(**PLAIN | {"top_k": 2}))  # type: ignore[arg-type]
    assert ids.tolist() == [3, 0]
    assert np.allclose(probabilities, softmax(np.array([3.0, 2.0])))


def test_top_p_keeps_the_smallest_set_that_reaches_p() -> None:
    logits = np.log(np.array([0.1, 0.5, 0.15, 0.25], np.float32))
    ids, probabilities = candidates(logits, Sampling(**PLAIN | {"top_p": 0.7}))  # type: ignore[arg-type]
    assert ids[probabilities > 0].tolist() == [1, 3]
    ids, probabilities = candidates(logits, Sampling(**PLAIN | {"top_p": 0.0}))  # type: ignore[arg-type]
    assert ids[probabilities > 0].tolist() == [1]


def test_min_p_is_relative_to_the_likeliest() -> None:
    logits = np.log(np.array([0.1, 0.5, 0.15, 0.25], np.float32))
    ids, probabilities = candidates(logits, Sampling(**PLAIN | {"min_p": 0.4}))  # type: ignore[arg-type]
    assert ids[probabilities > 0].tolist() == [1, 3]


def test_temperature_scales_the_logits() -> None:
    _, probabilities = candidates(LOGITS, Sampling(**PLAIN | {"temperature": 0.5}))  # type: ignore[arg-type]
    assert np.allclose(probabilities, np.sort(softmax(LOGITS / 0.5))[::-1])


def test_draws_follow_the_distribution() -> None:
    logits = np.log(np.array([0.2, 0.3, 0.5], np.float32))
    drawn = np.bincount(draws(4000, logits, **PLAIN, seed=1), minlength=3) / 4000
    assert np.allclose(drawn, [0.2, 0.3, 0.5], atol=0.03)


def test_same_seed_same_tokens() -> None:
    assert draws(50, **PLAIN, seed=7) == draws(50, **PLAIN, seed=7)
    assert draws(50, **PLAIN, seed=7) != draws(50, **PLAIN, seed=8)


@pytest.mark.parametrize("temperature", [0, 1])
def test_invalid_numbers_are_an_error_not_a_token(temperature: int) -> None:
    with pytest.raises(EngineFailed, match="NaN"):
        draws(1, np.full(6, np.nan, np.float32), temperature=temperature)


@pytest.mark.parametrize("seed", [0, 7, 2**31, 2**40 + 5, 2**63 - 1, -3])
def test_the_noise_of_a_seed_is_that_of_torch(seed: int) -> None:
    """By way of its uniform numbers, since those that torch makes exponential hang on the processor's maker."""
    generator, noise = torch.Generator().manual_seed(seed), Noise(seed)
    for count in (1, 20, 5000):
        uniform = torch.rand(count, dtype=torch.float64, generator=generator).numpy()
        assert np.array_equal(noise.exponential(count), (-np.log1p(-uniform)).astype(np.float32))


def test_without_a_seed_no_two_replies_are_drawn_alike() -> None:
    assert not np.array_equal(Noise().exponential(20), Noise().exponential(20))


def test_logits_of_tokens_that_cannot_come_are_never_drawn() -> None:
    logits = np.full(256, -np.inf, np.float32)
    logits[[3, 200]] = 1.0
    assert set(draws(200, logits, temperature=2.0, top_k=20)) == {3, 200}
