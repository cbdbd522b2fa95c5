"""The draw on the device against the sampler's own."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from qwenchat.chat.sampling import NON_THINKING, THINKING, Sampling
from qwenchat.engine.local.device_sampler import INVALID, DeviceSampler
from qwenchat.engine.local.sampler import Sampler, candidates
from tests.support.tape import Tape
from tests.support.torch_sampler import torch_sampler

VOCAB = 128 * 100
"""Large enough for the way in which the largest of many logits are found."""
WIDE: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
SETTINGS = {
    "greedy": Sampling(temperature=0),
    "thinking": THINKING,
    "without thinking": NON_THINKING,
    "one token": Sampling(top_k=1),
    "min_p": Sampling(temperature=1.5, top_k=50, top_p=1.0, min_p=0.1),
    "all tokens": Sampling(**WIDE),
    "all tokens, top_p": Sampling(**WIDE | {"top_p": 0.5, "temperature": 3.0}),
    "presence": Sampling(presence_penalty=1.5),
    "frequency": Sampling(frequency_penalty=0.7, temperature=0),
    "repetition": Sampling(repetition_penalty=1.3, temperature=0),
    "all penalties": Sampling(repetition_penalty=1.2, presence_penalty=0.5, frequency_penalty=0.3, top_k=40),
    "rewards": Sampling(repetition_penalty=0.8, presence_penalty=-0.5, frequency_penalty=-0.3, top_k=40),
}
PROMPT = [5, 5, 17, 900]


def some_logits(seed: int, size: int = VOCAB) -> Tensor:
    """Not the same for two tokens among the likely ones, so that their order is theirs alone."""
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 3


def take(draw: DeviceSampler, logits: Tensor) -> int:
    draw.logits.copy_(logits)
    draw.roll()
    draw.run(*draw.form)
    return int(draw.token)


def drawing(sampling: Sampling, vocab: int = VOCAB, output: tuple[int, ...] = ()) -> DeviceSampler:
    draw = DeviceSampler(vocab, torch.device("cpu"))
    draw.take_up(Sampler(sampling, [at for at in PROMPT if at < vocab], output))
    return draw


NOTHING_BUT_NAN = torch.full((VOCAB,), torch.nan)
ONE_NAN = some_logits(1).index_fill(0, torch.tensor(7), torch.nan)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("name", SETTINGS)
def test_the_tokens_are_those_of_the_sampler(name: str) -> None:
    sampling = Sampling(**{field: getattr(SETTINGS[name], field) for field in Sampling.__slots__} | {"seed": 11})
    sampler, draw = torch_sampler(sampling, PROMPT, (17, 3)), drawing(sampling, output=(17, 3))
    logits = [some_logits(at % 5) for at in range(60)]
    assert [take(draw, row) for row in logits] == [sampler.draw(row.numpy()) for row in logits]


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    """By the chi-squared statistic of 20,000 draws with a fixed seed, for 9 degrees of freedom."""
    logits = torch.linspace(0, 2, 10)
    draw, counts = drawing(Sampling(**WIDE, seed=5), 10), torch.zeros(10)
    for _ in range(20_000):
        counts[take(draw, logits)] += 1
    expected = torch.softmax(logits, 0) * 20_000
    assert float(((counts - expected) ** 2 / expected).sum()) < 27.9  # what one seed in a thousand exceeds


@pytest.mark.parametrize("name", ["thinking", "min_p", "all tokens, top_p"])
def test_exactly_those_tokens_are_drawn_that_the_settings_leave(name: str) -> None:
    logits = torch.linspace(0, 3, 300)
    draw = drawing(SETTINGS[name], 300)
    ids, probabilities = candidates(logits.numpy(), SETTINGS[name])
    left = set(ids[probabilities > 0].tolist())
    assert 0 < len(left) < 300
    assert {take(draw, logits) for _ in range(60 * len(left))} == left


def test_a_draw_that_is_taken_back_leaves_no_trace() -> None:
    sampling = Sampling(presence_penalty=2.0, frequency_penalty=0.5, temperature=1.5, top_k=50, seed=3)
    draw, other = drawing(sampling), drawing(sampling)
    for at in range(20):
        take(draw, some_logits(at))
        draw.take_back()
        assert take(draw, some_logits(at)) == take(other, some_logits(at))


def test_another_turn_begins_with_its_own_settings_and_nothing_seen() -> None:
    draw = drawing(Sampling(temperature=0, presence_penalty=2.0))
    logits = some_logits(0)
    first = take(draw, logits)
    assert take(draw, logits) != first
    draw.take_up(Sampler(Sampling(temperature=0, presence_penalty=2.0), ()))
    assert take(draw, logits) == first


@pytest.mark.parametrize("name", ["greedy", "thinking", "all tokens"])
@pytest.mark.parametrize("bad", [NOTHING_BUT_NAN, ONE_NAN], ids=["all", "one"])
def test_invalid_numbers_are_told_from_tokens_and_can_still_be_read(name: str, bad: Tensor) -> None:
    draw = drawing(SETTINGS[name])
    assert take(draw, bad) == INVALID
    assert 0 <= int(draw.readable) < VOCAB


@pytest.mark.parametrize("name", SETTINGS)
def test_a_recording_draws_what_the_sampler_draws_from_other_logits(name: str) -> None:
    sampling = Sampling(**{field: getattr(SETTINGS[name], field) for field in Sampling.__slots__} | {"seed": 4})
    sampler, draw = torch_sampler(sampling, PROMPT), drawing(sampling)
    form = draw.form
    with Tape() as tape:
        draw.run(*form)
    tape.restore()
    for at in range(30):
        draw.logits.copy_(some_logits(at % 3))
        draw.roll()
        tape.replay()
        assert int(draw.token) == sampler.draw(some_logits(at % 3).numpy())
