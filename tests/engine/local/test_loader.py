"""Folders of safetensors, sound and damaged. Each error names the file or folder."""

import json
import pickle
import shutil
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import Qwen3Config, Qwen3ForCausalLM

from qwenchat.chat.errors import ModelDamaged, ModelError, ModelNotFound, ModelUnsupported
from qwenchat.chat.events import LoadProgressed
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local import loader
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.cpu import packing
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.loader import LoadedModel, load
from tests.support.examples import examples

FLOAT32, BF16 = RunPlan("cpu", "float32"), RunPlan("cpu", "bf16")
PLANS = {
    "float32": FLOAT32,
    "int8": RunPlan("cpu", "float32", packed=True, bits=8, required=True),
    "int4": RunPlan("cpu", "float32", packed=True, bits=4, required=True),
}
every_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())


def loaded(folder: Path, plan: RunPlan = FLOAT32) -> LoadedModel:
    return load(
        folder,
        plan=plan,
        cache_folder=folder / "cache",
        progress=lambda step: None,
        stop=StopSignal(),
    )


def logits(model: LoadedModel) -> torch.Tensor:
    context = SequenceContext(model.network, 64)
    with torch.inference_mode():
        context.read(list(range(0, 60, 3)), StopSignal())
    return torch.from_numpy(context.logits)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, toy_tokenizer_folder: Path) -> Path:
    """A random Qwen3 of 200 tokens."""
    folder = tmp_path_factory.mktemp("sound")
    torch.manual_seed(5)
    config = Qwen3Config(
        vocab_size=200, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, max_position_embeddings=128, initializer_range=0.2,
        tie_word_embeddings=True,
    )  # fmt: skip
    Qwen3ForCausalLM(config).save_pretrained(folder)
    for file in toy_tokenizer_folder.iterdir():
        shutil.copy(file, folder)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "model"))


def rewrite(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | changes), "utf-8")


def weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def shard(folder: Path) -> None:
    """Cut the weights into two files with an index, as large models come."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {
        "model-00001-of-00002.safetensors": names[: len(names) // 2],
        "model-00002-of-00002.safetensors": names[len(names) // 2 :],
    }
    for file, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / file)
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


@every_plan
def test_shards_give_the_same_model_as_one_file(sound: Path, folder: Path, plan: RunPlan) -> None:
    shard(folder)
    torch.testing.assert_close(logits(loaded(folder, plan)), logits(loaded(sound, plan)))


def test_files_that_the_index_does_not_name_are_left_alone(sound: Path, folder: Path) -> None:
    shard(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"not one of them")
    torch.testing.assert_close(logits(loaded(folder)), logits(loaded(sound)))


def test_bf16_weights_take_half_the_memory(sound: Path) -> None:
    full, half = loaded(sound), loaded(sound, BF16)
    assert (full.quantization, half.quantization) == ("float32", "bf16")
    assert half.memory_bytes * 2 == full.memory_bytes
    assert torch.cosine_similarity(logits(half), logits(full), dim=0) > 0.99


@every_plan
def test_loading_tells_how_far_it_is_and_stops_when_told(sound: Path, plan: RunPlan) -> None:
    steps: list[LoadProgressed] = []
    stop = StopSignal()
    options: Any = {"plan": plan, "cache_folder": sound}
    load(sound, **options, progress=steps.append, stop=stop)
    reading = [step for step in steps if step.total]
    assert reading[-1].done > 0.9 * reading[-1].total
    stop.set()
    with pytest.raises(Stopped):
        load(sound, **options, progress=steps.append, stop=stop)


def test_stop_packs_no_more_of_what_was_read(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, stopped, really_pack = StopSignal(), threading.Event(), packing.pack
    read, packed, matrices = 0, 0, len(load_file(sound / "model.safetensors"))

    def pack(*args: Any) -> PackedMatrix:
        nonlocal packed
        packed += 1
        stopped.wait(10)
        return really_pack(*args)

    def progress(step: LoadProgressed) -> None:
        nonlocal read
        read += step.done > 0
        if read == matrices:
            stop.set()
            stopped.set()

    monkeypatch.setattr(packing, "pack", pack)
    monkeypatch.setattr(loader.hardware, "cpu_threads", lambda: 2)
    with pytest.raises(Stopped):
        load(sound, plan=PLANS["int8"], cache_folder=sound, progress=progress, stop=stop)
    assert packed <= 2


def test_folder_that_does_not_exist_or_is_empty_is_said(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(ModelNotFound, match=r"no config\.json") as caught:
            loaded(folder)
        assert str(folder) in str(caught.value)


def test_folder_without_weights_is_said(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelNotFound, match="holds no weights") as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt"])
def test_pickles_are_refused_and_never_opened(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    for path in (folder, folder / name):
        with pytest.raises(ModelUnsupported) as caught:
            loaded(path)
        assert str(path) in str(caught.value)
    assert not (tmp_path / "canary").exists()


def test_code_that_comes_with_a_model_is_never_run(folder: Path, tmp_path: Path) -> None:
    code = f"import pathlib; pathlib.Path({str(tmp_path / 'canary')!r}).touch()"
    for name in ("modeling_evil", "configuration_evil", "tokenization_evil"):
        (folder / f"{name}.py").write_text(code)
    rewrite(folder, auto_map={"AutoConfig": "configuration_evil.X", "AutoModelForCausalLM": "modeling_evil.X"})
    loaded(folder)
    rewrite(folder, architectures=["EvilForCausalLM"])
    with pytest.raises(ModelUnsupported, match="EvilForCausalLM"):
        loaded(folder)
    assert not (tmp_path / "canary").exists()


@every_plan
@pytest.mark.parametrize(
    "missing", ["model.embed_tokens.weight", "model.layers.1.mlp.down_proj.weight", "model.norm.weight"]
)
def test_missing_tensor_is_named(folder: Path, missing: str, plan: RunPlan) -> None:
    weights(folder, lambda tensors: tensors.pop(missing))
    with pytest.raises(ModelDamaged, match=missing) as caught:
        loaded(folder, plan)
    assert str(folder) in str(caught.value)


@every_plan
def test_tensor_of_the_wrong_shape_is_named(folder: Path, plan: RunPlan) -> None:
    name = "model.layers.0.self_attn.k_proj.weight"
    weights(folder, lambda tensors: tensors.update({name: torch.zeros(3, 5)}))
    with pytest.raises(ModelDamaged, match=rf"{name}.*\(3, 5\)") as caught:
        loaded(folder, plan)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("plan", [*PLANS.values(), BF16], ids=[*PLANS, "bf16"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "name", ["model.layers.1.mlp.up_proj.weight", "model.norm.weight", "model.embed_tokens.weight"]
)
def test_weights_that_are_no_numbers_are_named(folder: Path, name: str, value: str, plan: RunPlan) -> None:
    weights(folder, lambda tensors: tensors[name].view(-1)[7].fill_(float(value)))
    with pytest.raises(ModelDamaged, match=name) as caught:
        loaded(folder, plan)
    assert str(folder) in str(caught.value)


@every_plan
def test_missing_shard_is_named(folder: Path, plan: RunPlan) -> None:
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelDamaged, match=r"model-00002-of-00002\.safetensors is missing"):
        loaded(folder, plan)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 1}}', "{", "\xff"])
def test_damaged_index_is_named(folder: Path, text: str) -> None:
    (folder / "model.safetensors.index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelDamaged, match=r"model\.safetensors\.index\.json"):
        loaded(folder)


def test_index_cannot_point_outside_its_folder(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "model.safetensors", tmp_path / "other.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../other.safetensors"}}')
    with pytest.raises(ModelDamaged, match="not beside it"):
        loaded(folder)


@every_plan
@pytest.mark.parametrize("share", [0, 0.00001, 0.01, 0.05, 0.5, 0.999])
def test_truncated_weights_are_named(folder: Path, share: float, plan: RunPlan) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(ModelDamaged) as caught:
        loaded(folder, plan)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 2**32, 2**63, 2**64 - 1])
def test_absurd_header_of_the_weights_is_refused(folder: Path, length: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(struct.pack("<Q", length) + file.read_bytes()[8:])
    with pytest.raises(ModelDamaged) as caught:
        loaded(folder)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("plan", [PLANS["float32"], PLANS["int8"]], ids=["float32", "int8"])
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_mutated_weights_load_or_are_refused(
    sound: Path, folder: Path, plan: RunPlan, changes: list[tuple[int, int]]
) -> None:
    data = bytearray((sound / "model.safetensors").read_bytes())
    for at, byte in changes:
        data[at] = byte
    (folder / "model.safetensors").write_bytes(data)
    try:
        loaded(folder, plan).network.close()
    except ModelError as error:
        assert str(folder) in str(error)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '"x"', "\xff\xfe", "{}"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param("1" * 10_000, id="long number"),
    ],
)
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json", "tokenizer.json"])
def test_garbage_in_a_json_file_is_survived_or_named(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode("latin-1"))
    if text == "{}" and name in ("tokenizer_config.json", "generation_config.json"):
        loaded(folder)
        return
    with pytest.raises(ModelError) as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {key: value}
        for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")
        for value in (0, -1, None, "x", [1], {}, 2**31, 10**30, float("nan"), float("inf"))
    ]
    + [
        {"num_key_value_heads": 3},
        {"num_key_value_heads": -2},
        {"head_dim": 15},
        {"head_dim": "x"},
        {"rms_norm_eps": float("nan")},
        {"rms_norm_eps": None},
        {"rope_parameters": {"rope_theta": -1}},
        {"rope_parameters": [1]},
        {"rope_parameters": "x"},
        {"architectures": 7},
        {"architectures": [7]},
        {"architectures": [["x"]]},
        {"architectures": "Qwen3ForCausalLM"},
        {"quantization_config": 1},
    ],
    ids=str,
)
def test_absurd_number_in_the_configuration_is_refused_at_once(folder: Path, changes: dict[str, Any]) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ModelError) as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)


@every_plan
def test_fewer_layers_than_the_weights_have_are_refused(folder: Path, plan: RunPlan) -> None:
    rewrite(folder, num_hidden_layers=1)
    with pytest.raises(ModelUnsupported, match=r"model\.layers\.1"):
        loaded(folder, plan)


@every_plan
def test_more_layers_than_the_weights_have_are_refused(folder: Path, plan: RunPlan) -> None:
    rewrite(folder, num_hidden_layers=1000)
    with pytest.raises(ModelDamaged, match=r"model\.layers\.2"):
        loaded(folder, plan)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("tokenizer_config.json", {"chat_template": 7}),
        ("tokenizer_config.json", {"chat_template": [1, {"name": "default"}]}),
        ("tokenizer_config.json", {"eos_token": 7}),
        ("tokenizer_config.json", {"eos_token": {"content": [1]}, "bos_token": [2]}),
        ("generation_config.json", {"eos_token_id": None}),
        ("generation_config.json", {"eos_token_id": ["x", [1], None, 198]}),
        ("generation_config.json", {"eos_token_id": {"a": 1}}),
    ],
    ids=str,
)
def test_odd_tokenizer_settings_are_done_without(folder: Path, file: str, changes: dict[str, Any]) -> None:
    path = folder / file
    held = json.loads(path.read_bytes()) if path.exists() else {}
    path.write_text(json.dumps(held | changes), "utf-8")
    tokenizer = loaded(folder).tokenizer
    assert tokenizer.eos_ids == {198}
    assert isinstance(tokenizer.chat_template, str)


def test_template_in_a_file_of_its_own_comes_first(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("from the file", "utf-8")
    assert loaded(folder).tokenizer.chat_template == "from the file"
    (folder / "chat_template.jinja").write_bytes(b"\xff\xff")
    with pytest.raises(ModelDamaged, match=r"chat_template\.jinja"):
        loaded(folder)


def test_tokenizer_with_more_tokens_than_the_weights_is_refused(folder: Path, qwen3_tokenizer_folder: Path) -> None:
    shutil.copy(qwen3_tokenizer_folder / "tokenizer.json", folder)
    with pytest.raises(ModelDamaged, match=r"151,669 tokens and weights for 200"):
        loaded(folder)


def test_single_safetensors_file_is_told_to_be_named_by_its_folder(folder: Path) -> None:
    with pytest.raises(ModelUnsupported, match="folder"):
        loaded(folder / "model.safetensors")


@pytest.mark.parametrize(
    "sizes", [{"hidden_size": 48}, {"intermediate_size": 80}, {"head_dim": 16}, {"head_dim": 80}], ids=str
)
def test_sizes_that_cannot_be_packed_are_run_in_floats_unless_packing_was_asked_for(
    toy_tokenizer_folder: Path, tmp_path: Path, sizes: dict[str, int]
) -> None:
    wanted: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 32} | sizes
    config = Qwen3Config(
        vocab_size=200, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
        **wanted,
    )  # fmt: skip
    folder = Path(shutil.copytree(toy_tokenizer_folder, tmp_path / "model"))
    Qwen3ForCausalLM(config).save_pretrained(folder)
    model = loaded(folder, RunPlan("cpu", "float32", packed=True))
    assert model.quantization == "float32"
    torch.testing.assert_close(logits(model), logits(loaded(folder)))
    for bits in (4, 8):
        with pytest.raises(ModelUnsupported, match="--quantization bf16") as caught:
            loaded(folder, RunPlan("cpu", "float32", packed=True, bits=bits, required=True))
        assert folder.name in str(caught.value)
