"""Ways to attend, against each other; the kernel that only a GPU has is stood in for by what its description says."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from qwenchat.engine.local.attention import ONE_PIECE, MaskedAttention, VarlenAttention
from qwenchat.engine.local.decode_step import DecodeStep
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.decoder_config import DecoderConfig
from tests.engine.local.test_decode_step import IDS, WINDOW, Stepped, apart, made
from tests.engine.local.test_stepper import stepper


def sequences(
    query: Tensor, keys: Tensor, values: Tensor, queries_from: Tensor, keys_from: Tensor, longest_query: int,
    longest: int, dropout: float, causal: bool, debug: bool, *, scale: float, seqused_k: Tensor,
) -> tuple[Tensor, None, None, None, None]:  # fmt: skip
    """Attention of several sequences that lie one after another, of each only as many keys as are used."""
    assert {counts.dtype for counts in (queries_from, keys_from, seqused_k)} == {torch.int32}
    assert len(queries_from) == len(keys_from) == len(seqused_k) + 1
    assert (queries_from[-1], keys_from[-1]) == (len(query), len(keys))
    assert longest_query == int(queries_from.diff().max())
    assert longest == int(keys_from.diff().max()) >= int(seqused_k.max())
    mixed = []
    for at, used in enumerate(seqused_k.tolist()):
        own = query[queries_from[at] : queries_from[at + 1]].transpose(0, 1)
        start = int(keys_from[at])
        its_keys, its_values = (part[start : start + used].transpose(0, 1) for part in (keys, values))
        mixed.append(F.scaled_dot_product_attention(own, its_keys, its_values, scale=scale, enable_gqa=True))
    return torch.cat(mixed, 1).transpose(0, 1), None, None, None, None


@pytest.fixture
def flash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.aten, "_flash_attention_forward", sequences)


@pytest.mark.usefixtures("flash")
@pytest.mark.parametrize("room", [128, ONE_PIECE, ONE_PIECE + 128, 4096])
@pytest.mark.parametrize(("heads", "kv_heads"), [(6, 2), (4, 4), (8, 1)])
def test_all_ways_give_the_same_and_see_nothing_of_what_comes_later(heads: int, kv_heads: int, room: int) -> None:
    config = DecoderConfig(1, 1, 0, 1, heads, kv_heads, 16, 1e6, 1e-6, room, tied=True)
    random = torch.Generator().manual_seed(room)
    decoder = Decoder(config, lambda name, shape: torch.ones(shape))
    query = torch.randn(kv_heads, heads // kv_heads, 16, generator=random)
    for position in (0, 1, room // 2, room - 1):
        keys, values = torch.randn(2, kv_heads, room, 16, generator=random)
        found = []
        for later in (0.0, 99.0):
            keys[:, position + 1 :], values[:, position + 1 :] = later, -later
            for way in (VarlenAttention, MaskedAttention):
                attend = way(decoder).over(torch.tensor([position]), room)
                found.append(attend(query, keys, values))
        assert found[0].shape == (1, heads * 16)
        for other in found[1:]:
            assert apart(other, found[0]) < 1e-5


@pytest.mark.usefixtures("flash")
@pytest.mark.parametrize("start", [1, 510, 1500])
def test_the_kernel_of_a_gpu_serves_the_step(start: int) -> None:
    decoder = made()
    stepped, plain = Stepped(decoder, way=(DecodeStep, VarlenAttention)), decoder.new_cache(WINDOW)
    with torch.no_grad():
        for cache in (stepped.cache, plain):
            decoder.forward(IDS[:start], cache)
        for token in IDS[start : start + 4]:
            assert apart(stepped.read(token), decoder.forward(token.view(1), plain)) < 1e-4


def test_where_that_kernel_is_missing_another_way_is_found(caplog: pytest.LogCaptureFixture) -> None:
    network = stepper()
    assert network.ahead
    assert isinstance(network._step._attention, MaskedAttention)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert said[0].startswith("DecodeStep with VarlenAttention does not work on this GPU: ")
    assert "\n" not in said[0]


def test_a_way_that_is_wrong_only_in_long_contexts_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: Any) -> Any:
        raise RuntimeError("bmm with out_dtype is not implemented here")

    with monkeypatch.context() as patch:
        patch.setattr("qwenchat.engine.local.attention._in_pieces", wrong)
        network = stepper()
    assert not network.ahead
