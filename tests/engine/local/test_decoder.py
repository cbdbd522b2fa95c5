"""The decoder's logits against those of transformers' own classes, in float32 on small random models."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from qwenchat.chat.errors import ModelUnsupported
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import hardware
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.kvcache import KVCache
from qwenchat.engine.local.loader import LoadedModel, load

VOCAB, WINDOW = 200, 256
SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": WINDOW,
    "initializer_range": 0.2,
}
MODELS: dict[str, tuple[type[PreTrainedModel], Any]] = {
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SMALL, head_dim=32, rope_theta=1e6, tie_word_embeddings=True)),
    "qwen3 untied": (Qwen3ForCausalLM, Qwen3Config(**SMALL, head_dim=16, rope_theta=1e6, tie_word_embeddings=False)),
    "qwen3 without groups": (Qwen3ForCausalLM, Qwen3Config(**SMALL | {"num_key_value_heads": 4}, head_dim=12)),
    "qwen3 with one key head": (Qwen3ForCausalLM, Qwen3Config(**SMALL | {"num_key_value_heads": 1}, head_dim=8)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SMALL, rope_theta=1e6, tie_word_embeddings=True)),
    "qwen2 untied": (Qwen2ForCausalLM, Qwen2Config(**SMALL | {"num_key_value_heads": 4}, tie_word_embeddings=False)),
    "llama": (LlamaForCausalLM, LlamaConfig(**SMALL, rms_norm_eps=1e-5, tie_word_embeddings=True)),
    "llama untied": (LlamaForCausalLM, LlamaConfig(**SMALL, head_dim=24, tie_word_embeddings=False)),
    "llama without groups": (LlamaForCausalLM, LlamaConfig(**SMALL | {"num_key_value_heads": 4})),
}


def loaded(folder: Path, tmp_path: Path) -> LoadedModel:
    return load(
        folder,
        plan=RunPlan("cpu", "float32"),
        cache_folder=tmp_path,
        progress=lambda step: None,
        stop=StopSignal(),
    )


def saved(reference: PreTrainedModel, folder: Path, tokenizer_folder: Path) -> Path:
    """The model as a folder. Its tokenizer is out of place but not used."""
    reference.save_pretrained(folder)
    for file in tokenizer_folder.iterdir():
        (folder / file.name).symlink_to(file)
    return folder


def randomized(name: str) -> PreTrainedModel:
    """A model whose biases and norms are random too."""
    kind, config = MODELS[name]
    torch.manual_seed(len(name))
    reference = kind(config).eval()
    with torch.no_grad():
        for parameter_name, parameter in reference.named_parameters():
            if parameter_name.endswith("bias") or "norm" in parameter_name:
                parameter.normal_(0.5, 0.3)
    return reference


class Pair:
    """A model run by transformers and by us."""

    def __init__(self, reference: PreTrainedModel, model: LoadedModel) -> None:
        self._reference = reference
        self.context = SequenceContext(model.network, WINDOW)

    def read(self, ids: list[int]) -> None:
        with torch.inference_mode():
            self.context.read(ids, StopSignal())

    def error(self) -> float:
        """How far our logits after all that was read are from those of transformers, relative to their size."""
        with torch.inference_mode():
            expected = self._reference(input_ids=torch.tensor([self.context.ids])).logits[0, -1]
        return float((torch.from_numpy(self.context.logits) - expected).norm() / expected.norm())


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, toy_tokenizer_folder: Path) -> Pair:
    reference = randomized(request.param)
    folder = saved(reference, tmp_path_factory.mktemp("model"), toy_tokenizer_folder)
    return Pair(reference, loaded(folder, folder / "cache"))


IDS = torch.randint(0, VOCAB, (96,), generator=torch.Generator().manual_seed(1)).tolist()


def test_whole_prompt(pair: Pair) -> None:
    pair.context.rewind([])
    pair.read(IDS)
    assert pair.error() < 1e-4


@pytest.mark.parametrize("sizes", [[16, 32, 48], [1, 94, 1], [7] * 13, [1] * 24], ids=str)
def test_prompt_in_chunks(pair: Pair, sizes: list[int]) -> None:
    pair.context.rewind([])
    at = 0
    for size in sizes:
        pair.read(IDS[at : at + size])
        at += size
    assert pair.error() < 1e-4


def test_token_by_token_after_a_prompt(pair: Pair) -> None:
    pair.context.rewind([])
    pair.read(IDS[:40])
    for token in IDS[40:56]:
        pair.read([token])
        assert pair.error() < 1e-4


def test_another_continuation_after_a_crop(pair: Pair) -> None:
    pair.context.rewind([])
    pair.read(IDS[:60])
    other = IDS[:30] + IDS[60:90]
    assert pair.context.rewind(other) == 30
    pair.read(other[30:])
    assert pair.error() < 1e-4
    pair.context.rewind([*IDS[:10], 5])
    pair.read([5])
    assert pair.error() < 1e-4


def test_cache_grows_beyond_its_first_room(monkeypatch: pytest.MonkeyPatch, tiny_qwen3: Path, tmp_path: Path) -> None:
    monkeypatch.setattr("qwenchat.engine.local.kvcache.STEP", 8)
    reference = Qwen3ForCausalLM.from_pretrained(tiny_qwen3).eval()
    grown = Pair(reference, loaded(tiny_qwen3, tmp_path))
    for at in range(0, 90, 5):
        grown.read(IDS[at : at + 5])
    assert grown.error() < 1e-4


def changed(tmp_path: Path, tokenizer_folder: Path, change: dict[str, Any]) -> Path:
    """The folder of a Qwen3 with another configuration than its own."""
    folder = saved(randomized("qwen3"), tmp_path / "model", tokenizer_folder)
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | change), "utf-8")
    return folder


@pytest.mark.parametrize(
    "change",
    [
        {"architectures": ["GptOssForCausalLM"]},
        {"architectures": None},
        {"quantization_config": {"quant_method": "fp8"}},
    ],
    ids=str,
)
def test_what_would_give_wrong_logits_is_refused(
    tmp_path: Path, toy_tokenizer_folder: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(ModelUnsupported):
        loaded(changed(tmp_path, toy_tokenizer_folder, change), tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6}},
        {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
        {"hidden_act": "gelu"},
        {"partial_rotary_factor": 0.5},
    ],
    ids=str,
)
def test_variants_that_the_decoder_does_not_do_are_left_to_transformers(
    tmp_path: Path, toy_tokenizer_folder: Path, change: dict[str, Any]
) -> None:
    folder = changed(tmp_path, toy_tokenizer_folder, change)
    pair = Pair(Qwen3ForCausalLM.from_pretrained(folder).eval(), loaded(folder, tmp_path))
    for at in range(0, 40, 20):
        pair.read(IDS[at : at + 20])
    assert pair.error() < 1e-5


@pytest.mark.parametrize("option", ["attention_bias", "mlp_bias"])
def test_weights_that_the_decoder_would_ignore_are_refused(
    tmp_path: Path, toy_tokenizer_folder: Path, option: str
) -> None:
    reference = LlamaForCausalLM(LlamaConfig(**SMALL, **{option: True}))
    folder = saved(reference, tmp_path / "model", toy_tokenizer_folder)
    with pytest.raises(ModelUnsupported, match="bias") as caught:
        loaded(folder, tmp_path)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("tokens", [1, 512, 513, 2049, 5000, 20_000, 32_768])
def test_a_cache_takes_little_more_memory_than_its_tokens_need(tokens: int) -> None:
    cache = KVCache(1, 1, 1, 32_768, torch.float32, "cpu")
    cache.reserve(tokens)
    assert tokens <= cache.room <= min(max(512, 1.25 * tokens + 512), 32_768)
    assert cache.layers[0].shape[2] == cache.room
    assert not cache.layers[0].any()


def test_a_cache_that_grows_never_needs_memory_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, most = KVCache(20, 1, 8, 4096, torch.float32, "cpu"), 0
    grown = cache._grown

    def counted(old: Tensor, room: int) -> Tensor:
        nonlocal most
        new = grown(old, room)
        most = max(most, sum(layer.nbytes for layer in cache.layers) + new.nbytes)
        return new

    monkeypatch.setattr(cache, "_grown", counted)
    for tokens in (600, 2000, 4096):
        cache.reserve(tokens)
        cache.length = tokens
    assert most <= 1.05 * 4096 * cache.bytes_per_token


def test_a_cache_whose_growth_fails_midway_can_grow_later(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = KVCache(3, 1, 2, 4096, torch.float32, "cpu")
    cache.length = 500
    for layer in cache.layers:
        layer[:, :, :500] = 7
    grown, calls = cache._grown, 0

    def failing(old: Tensor, room: int) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return grown(old, room)

    monkeypatch.setattr(cache, "_grown", failing)
    with pytest.raises(torch.OutOfMemoryError):
        cache.reserve(513)
    cache.reserve(513)
    assert {layer.shape[2] for layer in cache.layers} == {cache.room}
    assert all(bool((layer[:, :, :500] == 7).all()) for layer in cache.layers)


@pytest.mark.parametrize(("variable", "threads"), [("3", 3), ("0", 1), ("many", 2), (None, 2)])
def test_torch_computes_with_all_cores_or_as_many_threads_as_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, threads: int
) -> None:
    given: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    monkeypatch.setattr(hardware, "cpu_threads", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    hardware.give_torch_threads(network_has_its_own=False)
    hardware.give_torch_threads(network_has_its_own=True)
    assert given == [threads, 1]
