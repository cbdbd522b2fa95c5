"""The kernels of a GPU, run by Triton's interpreter on the CPU, against the decoder's own pass."""

from collections.abc import Iterator

import pytest
import torch

from qwenchat.engine.local.attention import MaskedAttention
from tests.engine.local.test_decode_step import IDS, KINDS, WINDOW, Stepped, apart, made

pytest.importorskip("triton")

from qwenchat.engine.local.fused import FusedStep


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize(("kind", "start"), [("qwen3", 1), ("qwen3", 1100), ("qwen3 without groups", 511)])
def test_logits_are_those_of_the_decoder(kind: str, start: int) -> None:
    decoder = made(*KINDS[kind])
    stepped, plain = Stepped(decoder, way=(FusedStep, MaskedAttention)), decoder.new_cache(WINDOW)
    for cache in (stepped.cache, plain):
        decoder.forward(IDS[:start], cache)
    token = IDS[start]
    assert apart(stepped.read(token), decoder.forward(token.view(1), plain)) < 1e-5
    for ours, theirs in zip(stepped.cache.layers, plain.layers, strict=True):
        assert apart(ours[:, :, : start + 1], theirs[:, :, : start + 1]) < 1e-5
        assert not ours[:, :, start + 1 :].any()


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_decoders_that_there_are_no_kernels_for_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="no kernels"):
        Stepped(made(*KINDS[kind]), way=(FusedStep, MaskedAttention))
