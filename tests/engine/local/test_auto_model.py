"""Architectures that only transformers knows: its own classes behind our decode loop, cache and sampler."""

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from qwenchat.chat.errors import ModelDamaged, ModelError, ModelUnsupported, OutOfMemory
from qwenchat.chat.events import LoadProgressed, PrefillProgressed, TurnStopped
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local import memory
from qwenchat.engine.local.auto_model import AutoModel
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.loader import LoadedModel, load
from qwenchat.engine.local.memory import DeviceMemory
from qwenchat.system.paths import Paths
from tests.support.engine_driver import ask
from tests.support.engine_driver import load as load_engine
from tests.support.tiny_qwen3 import reply, user

VOCAB, WINDOW = 200, 256
ENDS: dict[str, Any] = {"bos_token_id": None, "eos_token_id": 198, "pad_token_id": 0}
SMALL: dict[str, Any] = ENDS | {
    "vocab_size": VOCAB, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": WINDOW, "initializer_range": 0.2,
}  # fmt: skip
SLIDING: dict[str, Any] = SMALL | {"sliding_window": 16}
STRETCHED = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
MODELS: dict[str, tuple[type[PreTrainedModel], Any]] = {
    "gemma2": (Gemma2ForCausalLM, Gemma2Config(**SLIDING, head_dim=16)),
    "mistral": (MistralForCausalLM, MistralConfig(**SLIDING)),
    "phi3": (Phi3ForCausalLM, Phi3Config(**SLIDING)),
    "gpt2": (GPT2LMHeadModel, GPT2Config(**ENDS, vocab_size=VOCAB, n_embd=48, n_layer=2, n_head=4, n_positions=WINDOW)),
    "mixture of experts": (
        Qwen3MoeForCausalLM,
        Qwen3MoeConfig(**SMALL, head_dim=16, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32),
    ),
    "llama with a stretched context": (
        LlamaForCausalLM,
        LlamaConfig(**SMALL, rope_parameters=STRETCHED | {"original_max_position_embeddings": 64}),
    ),
}
IDS = torch.randint(0, VOCAB, (96,), generator=torch.Generator().manual_seed(1)).tolist()
FLOAT32 = RunPlan("cpu", "float32")


def saved(name: str, folder: Path, tokenizer_folder: Path) -> PreTrainedModel:
    kind, config = MODELS[name]
    torch.manual_seed(3)
    reference = kind(config).eval()
    reference.save_pretrained(folder)
    for file in tokenizer_folder.iterdir():
        shutil.copy(file, folder)
    return reference


def loaded(folder: Path, plan: RunPlan = FLOAT32) -> LoadedModel:
    return load(folder, plan=plan, cache_folder=folder, progress=lambda step: None, stop=StopSignal())


class Pair:
    """A model run by transformers alone and by our loop."""

    def __init__(self, reference: PreTrainedModel, network: Any) -> None:
        self._reference = reference
        self.context = SequenceContext(network, WINDOW)

    def read(self, ids: list[int]) -> None:
        with torch.inference_mode():
            self.context.read(ids, StopSignal())

    def error(self) -> float:
        """How far our logits after all that was read are from those of one pass without a cache."""
        with torch.inference_mode():
            expected = self._reference(input_ids=torch.tensor([self.context.ids])).logits[0, -1]
        return float((torch.from_numpy(self.context.logits) - expected).norm() / expected.norm())


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, toy_tokenizer_folder: Path) -> Pair:
    folder = tmp_path_factory.mktemp("model")
    reference = saved(request.param, folder, toy_tokenizer_folder)
    return Pair(reference, loaded(folder).network)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, toy_tokenizer_folder: Path) -> Path:
    """A random Gemma 2."""
    folder = tmp_path_factory.mktemp("sound")
    saved("gemma2", folder, toy_tokenizer_folder)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "model"))


@pytest.fixture
def engine(sound: Path, paths: Paths) -> Iterator[LocalEngine]:
    engine = LocalEngine(paths)
    load_engine(engine, sound)
    yield engine
    engine.close()


@pytest.mark.parametrize("sizes", [[96], [16, 32, 48], [1, 94, 1], [1] * 40], ids=str)
def test_logits_are_those_of_transformers_however_the_prompt_was_cut(pair: Pair, sizes: list[int]) -> None:
    pair.context.rewind([])
    at = 0
    for size in sizes:
        pair.read(IDS[at : at + size])
        at += size
    assert pair.error() < 1e-5


def test_another_continuation_after_a_crop(pair: Pair) -> None:
    """Both sides of a sliding window, where the model's layers have one."""
    pair.context.rewind([])
    pair.read(IDS[:60])
    for kept in (59, 30, 10, 0):
        other = IDS[:kept] + IDS[60:90]
        assert pair.context.rewind(other) == kept
        pair.read(other[kept:])
        assert pair.error() < 1e-5


def test_a_read_that_failed_midway_leaves_no_trace(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.context.rewind([])
    pair.read(IDS[:30])
    update, updates = type(pair.context._cache.states).update, 0  # type: ignore[attr-defined]

    def full(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal updates
        updates += 1
        if updates == 2:
            raise MemoryError
        return update(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(pair.context._cache.states), "update", full)  # type: ignore[attr-defined]
        with pytest.raises(MemoryError):
            pair.read(IDS[30:40])
    assert len(pair.context.ids) == 30
    pair.read(IDS[50:60])
    assert pair.error() < 1e-5


def test_the_window_can_be_filled_and_not_overfilled(sound: Path) -> None:
    network = loaded(sound).network
    cache = network.new_cache(40)
    with torch.inference_mode():
        network.forward(torch.tensor(IDS[:40]), cache, StopSignal())
        with pytest.raises(ValueError, match="41 tokens do not fit a window of 40"):
            network.forward(torch.tensor(IDS[:1]), cache, StopSignal())
    assert cache.length == 40


def test_the_model_is_described(sound: Path) -> None:
    model = loaded(sound)
    assert isinstance(model.network, AutoModel)
    assert model.quantization == "float32"
    assert model.memory_bytes == 4 * model.parameters
    assert model.window.tokens == WINDOW
    half = loaded(sound, RunPlan("cpu", "bf16", packed=True))
    assert (half.quantization, half.memory_bytes) == ("bf16", 2 * model.parameters)


def test_what_a_token_costs_is_what_the_cache_takes(pair: Pair) -> None:
    pair.context.rewind([])
    pair.read(IDS[:30])
    layers = pair.context._cache.states.layers  # type: ignore[attr-defined]
    assert pair.context.nbytes >= sum(layer.keys.nbytes + layer.values.nbytes for layer in layers) > 0


@pytest.mark.parametrize("bits", [4, 8])
def test_packing_is_refused_with_what_can_be_done(sound: Path, bits: int) -> None:
    with pytest.raises(ModelUnsupported, match="--quantization bf16") as caught:
        loaded(sound, RunPlan("cpu", "float32", packed=True, bits=bits, required=True))
    assert sound.name in str(caught.value)


def test_a_model_too_large_for_the_memory_is_refused_before_its_weights_are_read(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "of", lambda device: DeviceMemory(device, 10**6, 10**6))
    monkeypatch.setattr("qwenchat.engine.local.auto_model.read", lambda *args: pytest.fail("It was read"))
    with pytest.raises(OutOfMemory, match=sound.name):
        loaded(sound)


def test_second_turn_reuses_the_cache_and_says_what_a_fresh_engine_says(
    engine: LocalEngine, sound: Path, paths: Paths
) -> None:
    question = user("Tell me of the sea. " * 5)
    first = ask(engine, question, max_tokens=3)
    history = (question, reply(first.answer), user("And then?"))
    fresh = LocalEngine(paths)
    load_engine(fresh, sound)
    second, alone = ask(engine, *history, max_tokens=30), ask(fresh, *history, max_tokens=30)
    assert second.end.usage.cached_tokens >= first.end.usage.prompt_tokens
    assert alone.end.usage.cached_tokens == 0
    assert second.answer == alone.answer != ""


def test_stop_between_chunks_ends_the_turn_and_the_next_is_right(
    engine: LocalEngine, sound: Path, paths: Paths
) -> None:
    question = user("Tell me of the sea. " * 5)
    stopped = ask(engine, question, stop_when=lambda event: isinstance(event, PrefillProgressed))
    assert stopped.kinds() == [PrefillProgressed, TurnStopped]
    first = stopped.events[0]
    assert isinstance(first, PrefillProgressed)
    assert first.done < first.total
    fresh = LocalEngine(paths)
    load_engine(fresh, sound)
    assert ask(engine, question, max_tokens=12).answer == ask(fresh, question, max_tokens=12).answer


def test_loading_tells_what_it_does_and_stops_when_told(sound: Path) -> None:
    steps: list[LoadProgressed] = []
    stop = StopSignal()
    stop.set()
    with pytest.raises(Stopped):
        load(sound, plan=FLOAT32, cache_folder=sound, progress=steps.append, stop=stop)
    assert [step.step for step in steps] == ["reading weights"]


def test_a_model_that_cannot_go_back_is_refused(tmp_path: Path, toy_tokenizer_folder: Path) -> None:
    folder = Path(shutil.copytree(toy_tokenizer_folder, tmp_path / "model"))
    MambaForCausalLM(MambaConfig(**ENDS, vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2)).save_pretrained(folder)
    with pytest.raises(ModelUnsupported, match="MambaForCausalLM"):
        loaded(folder)


def rewrite(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | changes), "utf-8")


def weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


UP = "model.layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda tensors: tensors.pop(UP), ModelDamaged),
        (lambda tensors: tensors.update({UP: torch.zeros(3, 5)}), ModelDamaged),
        (lambda tensors: tensors[UP].view(-1)[7].fill_(float("nan")), ModelDamaged),
        (lambda tensors: tensors[UP].view(-1)[7].fill_(float("-inf")), ModelDamaged),
        (lambda tensors: tensors.update({f"{UP}_extra": torch.zeros(3)}), ModelUnsupported),
    ],
    ids=["missing", "misshapen", "not a number", "infinite", "one too many"],
)
def test_weights_that_cannot_be_right_are_named(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], object], kind: type[ModelError]
) -> None:
    weights(folder, change)
    with pytest.raises(kind, match=r"layers\.1\.mlp\.up_proj\.weight") as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_truncated_weights_are_refused(folder: Path, share: float) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(ModelDamaged) as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {key: value}
        for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim")
        for value in (0, -1, None, "x", 2**31, 10**30, float("nan"))
    ]
    + [{"num_key_value_heads": 3}, {"layer_types": ["x"]}, {"rope_parameters": "x"}, {"text_config": 7}],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_absurd_number_in_the_configuration_is_refused_at_once(folder: Path, changes: dict[str, Any]) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ModelError) as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["GemmaForCausalLM"]},
        {"architectures": ["EvilForCausalLM"]},
        {"architectures": None},
        {"model_type": "evil"},
        {"model_type": ["gemma2"]},
        {"model_type": None},
        {"quantization_config": {"quant_method": "gptq"}},
    ],
    ids=str,
)
def test_what_transformers_does_not_know_either_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ModelUnsupported) as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)


def test_code_that_comes_with_a_model_is_never_run(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    code = f"import pathlib; pathlib.Path({str(canary)!r}).touch()"
    (folder / "custom_generate").mkdir()
    for name in ("modeling_evil", "configuration_evil", "custom_generate/generate"):
        (folder / f"{name}.py").write_text(code)
    rewrite(folder, auto_map={"AutoConfig": "configuration_evil.X", "AutoModelForCausalLM": "modeling_evil.X"})
    loaded(folder)
    rewrite(folder, model_type="evil", architectures=["X"])
    with pytest.raises(ModelUnsupported):
        loaded(folder)
    assert not canary.exists()


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickles_are_refused_and_never_opened(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    with pytest.raises(ModelError):
        loaded(folder)
    assert not (tmp_path / "canary").exists()


def test_known_architectures_are_loaded_without_transformers(tiny_qwen3: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.hardware import choose
from qwenchat.engine.local.loader import load
folder = Path({str(tiny_qwen3)!r})
load(folder, plan=choose("cpu", "float32"), cache_folder=folder, progress=lambda step: None, stop=StopSignal())
assert "transformers" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
