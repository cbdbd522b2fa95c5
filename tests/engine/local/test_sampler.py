import pytest
import torch

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.sampling import Sampling
from qwenchat.engine.local.sampler import Sampler, candidates, penalize, top_k

LOGITS = torch.tensor([2.0, -1.0, 0.5, 3.0, 0.0, -2.0])
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


def draws(n: int, logits: torch.Tensor = LOGITS, prompt: tuple[int, ...] = (), **settings: float) -> list[int]:
    sampler = Sampler(Sampling(**settings), prompt, "cpu")  # type: ignore[arg-type]
    return [sampler.draw(logits) for _ in range(n)]


def test_repetition_divides_positive_and_multiplies_negative_logits_of_prompt_and_output() -> None:
    seen = torch.tensor([4, 0, 1])
    out = penalize(LOGITS, Sampling(repetition_penalty=2.0), seen, torch.zeros(3))
    assert out.tolist() == [1.0, -2.0, 0.5, 3.0, 0.0, -2.0]


def test_presence_subtracts_once_and_frequency_once_per_occurrence_of_generated_tokens() -> None:
    counts = torch.tensor([3.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    seen = torch.arange(6)
    presence = penalize(LOGITS, Sampling(presence_penalty=1.5), seen, counts)
    frequency = penalize(LOGITS, Sampling(frequency_penalty=0.5), seen, counts)
    assert presence.tolist() == [0.5, -2.5, 0.5, 3.0, 0.0, -2.0]
    assert frequency.tolist() == [0.5, -1.5, 0.5, 3.0, 0.0, -2.0]


def test_presence_penalty_ignores_the_prompt_and_repetition_penalty_counts_it() -> None:
    assert draws(1, prompt=(3,), temperature=0, presence_penalty=2.0) == [3]
    assert draws(1, prompt=(3,), temperature=0, repetition_penalty=2.0) == [0]


def test_penalties_count_the_part_of_the_reply_that_was_there_already() -> None:
    sampler = Sampler(Sampling(temperature=0, presence_penalty=2.0), (), "cpu", (3, 0))
    assert [sampler.draw(LOGITS) for _ in range(2)] == [3, 3]
    sampler = Sampler(Sampling(temperature=0, frequency_penalty=1.0), (), "cpu", (3, 3))
    assert sampler.draw(LOGITS) == 0


def test_penalties_grow_with_what_is_generated() -> None:
    assert draws(4, temperature=0, presence_penalty=2.0) == [3, 0, 3, 3]
    assert draws(4, temperature=0, frequency_penalty=2.0) == [3, 0, 3, 2]


@pytest.mark.parametrize("size", [5000, 128 * 64, 151_936])
def test_top_k_of_many_logits_is_exact(size: int) -> None:
    logits = torch.randn(size, generator=torch.Generator().manual_seed(size))
    values, ids = top_k(logits, 20)
    assert torch.equal(values, logits.topk(20).values)
    assert torch.equal(logits[ids], values)


def test_top_k_keeps_the_likeliest() -> None:
    ids, probabilities = candidates(LOGITS, Sampling(**PLAIN | {"top_k": 2}))  # type: ignore[arg-type]
    assert ids.tolist() == [3, 0]
    assert torch.allclose(probabilities, torch.softmax(torch.tensor([3.0, 2.0]), 0))


def test_top_p_keeps_the_smallest_set_that_reaches_p() -> None:
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log()
    ids, probabilities = candidates(logits, Sampling(**PLAIN | {"top_p": 0.7}))  # type: ignore[arg-type]
    assert ids[probabilities > 0].tolist() == [1, 3]
    ids, probabilities = candidates(logits, Sampling(**PLAIN | {"top_p": 0.0}))  # type: ignore[arg-type]
    assert ids[probabilities > 0].tolist() == [1]


def test_min_p_is_relative_to_the_likeliest() -> None:
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log()
    ids, probabilities = candidates(logits, Sampling(**PLAIN | {"min_p": 0.4}))  # type: ignore[arg-type]
    assert ids[probabilities > 0].tolist() == [1, 3]


def test_temperature_scales_the_logits() -> None:
    _, probabilities = candidates(LOGITS, Sampling(**PLAIN | {"temperature": 0.5}))  # type: ignore[arg-type]
    assert torch.allclose(probabilities, torch.softmax(LOGITS / 0.5, 0).sort(descending=True).values)


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([0.2, 0.3, 0.5]).log()
    drawn = torch.bincount(torch.tensor(draws(4000, logits, **PLAIN, seed=1)), minlength=3) / 4000
    assert torch.allclose(drawn, torch.tensor([0.2, 0.3, 0.5]), atol=0.03)


def test_same_seed_same_tokens() -> None:
    assert draws(50, **PLAIN, seed=7) == draws(50, **PLAIN, seed=7)
    assert draws(50, **PLAIN, seed=7) != draws(50, **PLAIN, seed=8)


@pytest.mark.parametrize("temperature", [0, 1])
def test_invalid_numbers_are_an_error_not_a_token(temperature: int) -> None:
    with pytest.raises(EngineFailed, match="NaN"):
        draws(1, torch.full((6,), float("nan")), temperature=temperature)
