"""The recorded form of one token's pass, against the decoder's own."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from qwenchat.engine.local.attention import ONE_PIECE, MaskedAttention
from qwenchat.engine.local.decode_step import DecodeStep
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.decoder_config import DecoderConfig
from qwenchat.engine.local.kvcache import KVCache
from qwenchat.engine.local.stepper import Way
from tests.support.tape import Tape

VOCAB, WINDOW = 200, 4096
IDS = torch.randint(0, VOCAB, (WINDOW,), generator=torch.Generator().manual_seed(1))
KINDS = {
    "qwen3": (2, True, False),
    "qwen3 without groups": (4, True, False),
    "qwen2": (1, False, True),
    "llama": (2, False, False),
}


def made(kv_heads: int = 2, norms: bool = True, biases: bool = False, kind: type[Decoder] = Decoder) -> Decoder:
    config = DecoderConfig(VOCAB, 48, 3, 96, 4, kv_heads, 16, 1e6, 1e-6, WINDOW, tied=True)
    random = torch.Generator().manual_seed(0)

    def take(name: str, shape: tuple[int, ...]) -> Tensor | None:
        if name.endswith("bias") and not biases:
            return None
        if name.endswith(("q_norm.weight", "k_norm.weight")) and not norms:
            return None
        return torch.randn(shape, generator=random) * 0.2 + ("norm" in name)

    return kind(config, take)


def step_of(decoder: Decoder, way: Way = (DecodeStep, MaskedAttention)) -> DecodeStep:
    step, attention = way
    return step(decoder, attention(decoder))


class Stepped:
    """A sequence that is read token by token in the recorded form."""

    def __init__(self, decoder: Decoder, window: int = WINDOW, way: Way = (DecodeStep, MaskedAttention)) -> None:
        self.cache: KVCache = decoder.new_cache(window)
        self._step = step_of(decoder, way)

    def read(self, token: Tensor) -> Tensor:
        self.cache.reserve(self.cache.length + 1)
        position = torch.tensor([self.cache.length])
        logits = self._step.logits(token.view(1), position, self.cache.layers)
        self.cache.length += 1
        return logits


def apart(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("start", [0, 1, 100, 510, ONE_PIECE - 2, 2046, 2559], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_decoder_across_the_sizes_of_the_cache(kind: str, start: int) -> None:
    decoder = made(*KINDS[kind])
    stepped, plain = Stepped(decoder), decoder.new_cache(WINDOW)
    for cache in (stepped.cache, plain):
        if start:
            decoder.forward(IDS[:start], cache)
    for token in IDS[start : start + 4]:
        assert apart(stepped.read(token), decoder.forward(token.view(1), plain)) < 1e-4
    assert stepped.cache.length == plain.length


def test_a_window_that_is_no_round_number_is_filled_to_its_end() -> None:
    decoder = made()
    stepped, plain = Stepped(decoder, 1300), decoder.new_cache(1300)
    for cache in (stepped.cache, plain):
        decoder.forward(IDS[:1298], cache)
    for token in IDS[1298:1300]:
        assert apart(stepped.read(token), decoder.forward(token.view(1), plain)) < 1e-4
    with pytest.raises(ValueError, match="1301 tokens"):
        stepped.read(IDS[1300])


def test_what_was_cropped_has_no_part_in_what_follows() -> None:
    decoder = made()
    stepped, plain = Stepped(decoder), decoder.new_cache(WINDOW)
    decoder.forward(IDS[:700], stepped.cache)
    for token in IDS[700:710]:
        stepped.read(token)
    stepped.cache.crop(300)
    decoder.forward(IDS[:300], plain)
    for token in IDS[900:905]:
        assert apart(stepped.read(token), decoder.forward(token.view(1), plain)) < 1e-4
    assert apart(decoder.forward(IDS[:50], stepped.cache), decoder.forward(IDS[:50], plain)) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_few_pieces_of_work(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs a GPU as much as its start, however small it is. A norm is one there, and many on a CPU."""
    monkeypatch.setattr(F, "rms_norm", lambda x, shape, weight, eps: x * weight)
    decoder, position = made(*KINDS[kind]), torch.tensor([5])
    cache, step = decoder.new_cache(500), step_of(decoder)
    with Tape() as tape:
        step.logits(IDS[:1], position, cache.layers)
    before_and_after = 20
    assert tape.pieces <= 12 * len(decoder.layers) + before_and_after, tape.pieces


@pytest.mark.parametrize("start", [5, 1100])
def test_a_recording_serves_other_tokens_at_other_positions(start: int) -> None:
    decoder = made()
    cache, plain, step = decoder.new_cache(WINDOW), decoder.new_cache(WINDOW), step_of(decoder)
    decoder.forward(IDS[:start], cache)
    decoder.forward(IDS[:start], plain)
    token, position, logits = IDS[:1].clone(), torch.zeros(1, dtype=torch.long), torch.zeros(VOCAB)
    with Tape() as tape:
        logits.copy_(step.logits(token, position, cache.layers))
    tape.restore()
    assert not logits.any()
    for at in range(start, start + 6):
        token.copy_(IDS[at])
        position.fill_(at)
        tape.replay()
        assert apart(logits, decoder.forward(IDS[at : at + 1], plain)) < 1e-4
