"""GGUF files, written here with llama.cpp's own package."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from qwenchat.chat.errors import ModelDamaged, ModelError, ModelUnsupported
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import offers
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.local.gguf_file import GGUFFile
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.loader import LoadedModel, load
from qwenchat.system.paths import Paths
from tests.support.engine_driver import ask
from tests.support.engine_driver import load as load_engine
from tests.support.examples import examples
from tests.support.gguf_writer import write_gguf
from tests.support.tiny_qwen3 import FRANCE, LESSONS, user

FLOAT32 = RunPlan("cpu", "float32")
PLANS = {
    "float32": FLOAT32,
    "as it is": RunPlan("cpu", "float32", packed=True),
    "int8": RunPlan("cpu", "float32", packed=True, bits=8, required=True),
    "int4": RunPlan("cpu", "float32", packed=True, bits=4, required=True),
}
every_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
both_ways = pytest.mark.parametrize("plan", [FLOAT32, PLANS["as it is"]], ids=["float32", "as it is"])


def loaded(path: Path, cache: Path, plan: RunPlan = FLOAT32) -> LoadedModel:
    return load(path, plan=plan, cache_folder=cache, progress=lambda step: None, stop=StopSignal())


def logits(model: LoadedModel, ids: list[int]) -> torch.Tensor:
    context = SequenceContext(model.network, 256)
    with torch.inference_mode():
        context.read(ids, StopSignal())
    return torch.from_numpy(context.logits)


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.fixture(scope="module")
def original(tiny_qwen3: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return loaded(tiny_qwen3, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(("kind", "most"), [("F32", 1e-6), ("F16", 2e-3), ("Q8_0", 2e-2), ("Q4_0", 0.3)])
def test_gguf_gives_the_logits_of_the_safetensors(
    tiny_qwen3: Path, toy_tokenizer_folder: Path, original: LoadedModel, tmp_path: Path, kind: str, most: float
) -> None:
    path = write_gguf(tiny_qwen3, tmp_path / "tiny.gguf", GGMLQuantizationType[kind], tokenizer=toy_tokenizer_folder)
    model = loaded(path, tmp_path)
    assert kind in model.quantization
    assert model.window == original.window
    for lesson in LESSONS:
        ids = original.tokenizer.encode(f"<|im_start|>user\n{lesson.question}<|im_end|>\n<|im_start|>assistant\n")
        expected = logits(original, ids)
        found = logits(model, ids)
        assert apart(found, expected) < most
        assert found.argmax() == expected.argmax()


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("F32", 8), ("F16", 8), ("BF16", 8), ("Q8_0", 8), ("Q5_0", 8), ("Q5_1", 8), ("Q4_0", 4), ("Q4_1", 4)],
)
def test_packed_gguf_keeps_its_weights(
    tiny_qwen3: Path, toy_tokenizer_folder: Path, original: LoadedModel, tmp_path: Path, kind: str, bits: int
) -> None:
    path = write_gguf(tiny_qwen3, tmp_path / "tiny.gguf", GGMLQuantizationType[kind], tokenizer=toy_tokenizer_folder)
    floats, model = loaded(path, tmp_path), loaded(path, tmp_path, PLANS["as it is"])
    assert kind in model.quantization
    assert model.memory_bytes < 1.3 * model.parameters * bits / 8
    for lesson in LESSONS:
        ids = original.tokenizer.encode(f"<|im_start|>user\n{lesson.question}<|im_end|>\n<|im_start|>assistant\n")
        expected, found = logits(floats, ids), logits(model, ids)
        assert apart(found, expected) < 0.05
        assert found.argmax() == expected.argmax()


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("F16", 4), ("Q8_0", 4), ("Q5_1", 8), ("Q4_1", 8)]
    + [pytest.param(*pair, marks=pytest.mark.slow) for pair in (("F16", 8), ("Q8_0", 8), ("Q5_1", 4), ("Q4_1", 4))],
)
def test_gguf_is_packed_anew_when_bits_are_asked_for(
    tiny_qwen3: Path, toy_tokenizer_folder: Path, original: LoadedModel, tmp_path: Path, kind: str, bits: int
) -> None:
    path = write_gguf(tiny_qwen3, tmp_path / "tiny.gguf", GGMLQuantizationType[kind], tokenizer=toy_tokenizer_folder)
    model = loaded(path, tmp_path, PLANS[f"int{bits}"])
    assert model.quantization == f"int{bits}"
    ids = original.tokenizer.encode(f"<|im_start|>user\n{FRANCE.question}<|im_end|>\n<|im_start|>assistant\n")
    assert apart(logits(model, ids), logits(loaded(path, tmp_path), ids)) < (0.05 if bits == 8 else 0.3)


@pytest.fixture(scope="module")
def tiny_gguf(tiny_qwen3: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model with the whole real tokenizer."""
    return write_gguf(tiny_qwen3, tmp_path_factory.mktemp("gguf") / "tiny.gguf", GGMLQuantizationType.F16)


def test_gguf_is_talked_to_like_its_original(tiny_gguf: Path, cache: Path) -> None:
    engine = LocalEngine(Paths(cache, cache, cache, cache))
    model = load_engine(engine, tiny_gguf)
    assert (model.name, model.quantization) == ("tiny", "F16")
    for _ in range(2):
        received = ask(engine, user(FRANCE.question))
        assert (received.thought, received.answer) == (FRANCE.thought, FRANCE.answer)
        load_engine(engine, tiny_gguf)


TEXTS = [
    "Hello, world!  It's 12345 o'clock.\n\n\tcode()",
    "Größe e\u0301 नमस्ते 世界 👩‍👩‍👧",
    "<|im_start|>user\n<think>\n\n</think>\n\n<tool_call><|im_end|>",
    " leading, trailing \r\n\r\n ",
]


def test_converted_tokenizer_is_the_original_one(tiny_gguf: Path, cache: Path, original: LoadedModel) -> None:
    for _ in range(2):
        converted = GGUFFile(tiny_gguf).tokenizer(cache / "tokenizers")
        assert converted.control_tokens == original.tokenizer.control_tokens
        assert converted.eos_ids == original.tokenizer.eos_ids
        assert converted.chat_template == original.tokenizer.chat_template
        for text in TEXTS:
            assert converted.encode(text) == original.tokenizer.encode(text)
            assert converted.decode(converted.encode(text)) == original.tokenizer.decode(
                original.tokenizer.encode(text)
            )


@pytest.fixture(scope="module")
def small_llama(tmp_path_factory: pytest.TempPathFactory, toy_tokenizer_folder: Path) -> Path:
    """A random Llama of 200 tokens, whose files are small enough to be broken in every way."""
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=200, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, max_position_embeddings=256, initializer_range=0.2, rope_theta=5000.0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    for file in toy_tokenizer_folder.iterdir():
        (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture(scope="module")
def small_gguf(small_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(small_llama, tmp_path_factory.mktemp("gguf") / "small.gguf")


@every_plan
def test_llama_is_unpermuted(small_llama: Path, small_gguf: Path, cache: Path, plan: RunPlan) -> None:
    ids = list(range(0, 190, 7))
    assert apart(logits(loaded(small_gguf, cache, plan), ids), logits(loaded(small_llama, cache, plan), ids)) < 1e-5


def test_converted_tokenizers_of_different_files_of_one_name_are_kept_apart(small_llama: Path, tmp_path: Path) -> None:
    def other_tokens(writer: GGUFWriter) -> None:
        tokens = writer.kv_data[0]["tokenizer.ggml.tokens"].value
        tokens[0], tokens[1] = tokens[1], tokens[0]

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = GGUFFile(write_gguf(small_llama, tmp_path / "a" / "m.gguf")).tokenizer(tmp_path / "cache")
    other = GGUFFile(write_gguf(small_llama, tmp_path / "b" / "m.gguf", change=other_tokens))
    assert one.tokenizer.id_to_token(0) == other.tokenizer(tmp_path / "cache").tokenizer.id_to_token(1)


def test_cache_that_cannot_be_written_or_read_is_done_without(small_gguf: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert GGUFFile(small_gguf).tokenizer(blocked).vocab_size == 200
    GGUFFile(small_gguf).tokenizer(tmp_path / "cache")
    (kept,) = (tmp_path / "cache").rglob("tokenizer.json")
    kept.write_text("{")
    assert GGUFFile(small_gguf).tokenizer(tmp_path / "cache").vocab_size == 200


def set_value(key: str, value: Any) -> Callable[[GGUFWriter], None]:
    def change(writer: GGUFWriter) -> None:
        entries = writer.kv_data[0]
        if value is None:
            entries.pop(key)
        elif key in entries:
            entries[key].value = value
        else:
            writer.add_string(key, value)

    return change


@both_ways
@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("general.architecture", "mamba", ModelUnsupported),
        ("general.architecture", None, ModelUnsupported),
        ("tokenizer.ggml.model", "llama", ModelUnsupported),
        ("llama.rope.scaling.type", "yarn", ModelUnsupported),
        ("tokenizer.ggml.tokens", None, ModelDamaged),
        ("tokenizer.ggml.merges", None, ModelDamaged),
        ("tokenizer.ggml.merges", ["only", "ones"], ModelDamaged),
        ("tokenizer.ggml.token_type", [1, 2], ModelDamaged),
        ("llama.block_count", None, ModelDamaged),
        ("llama.block_count", 2**31, ModelDamaged),
        ("llama.block_count", 3, ModelDamaged),
        ("llama.block_count", 0, ModelDamaged),
        ("llama.attention.head_count", 0, ModelDamaged),
        ("llama.attention.head_count", 3, ModelDamaged),
        ("llama.attention.head_count_kv", 3, ModelDamaged),
        ("llama.embedding_length", 64, ModelDamaged),
        ("llama.context_length", 0, ModelDamaged),
        ("llama.attention.key_length", 15, ModelDamaged),
        ("llama.rope.freq_base", float("nan"), ModelDamaged),
    ],
)
def test_metadata_that_makes_no_sense_is_refused_by_name(
    small_llama: Path, tmp_path: Path, key: str, value: Any, kind: type[ModelError], plan: RunPlan
) -> None:
    path = write_gguf(small_llama, tmp_path / "odd.gguf", change=set_value(key, value))
    with pytest.raises(kind) as caught:
        loaded(path, tmp_path, plan)
    assert str(path) in str(caught.value)


@both_ways
def test_missing_tensor_is_named(small_llama: Path, tmp_path: Path, plan: RunPlan) -> None:
    path = write_gguf(small_llama, tmp_path / "m.gguf", leave_out="model.layers.1.mlp.up_proj.weight")
    with pytest.raises(ModelDamaged, match=r"model.layers.1.mlp.up_proj.weight") as caught:
        loaded(path, tmp_path, plan)
    assert str(path) in str(caught.value)


ABSURD = [2**32, 2**40, 2**63, 2**64 - 1]


@pytest.mark.parametrize("count", ABSURD)
@pytest.mark.parametrize("at", [8, 16, 24], ids=["tensors", "entries", "length of a key"])
def test_absurd_count_in_the_header_is_refused_at_once(small_gguf: Path, tmp_path: Path, at: int, count: int) -> None:
    data = bytearray(small_gguf.read_bytes())
    data[at : at + 8] = struct.pack("<Q", count)
    refused(data, tmp_path)


@pytest.mark.parametrize("kind", [0, 5, 7, 8, 9, 12])
@pytest.mark.parametrize("count", ABSURD)
def test_absurd_length_of_a_list_is_refused_at_once(tmp_path: Path, kind: int, count: int) -> None:
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)
    entry = struct.pack("<Q", 1) + b"k" + struct.pack("<IIQ", 9, kind, count)
    refused(head + entry + bytes(1 << 20), tmp_path)


def test_tensor_of_absurd_shape_is_refused_at_once(tmp_path: Path) -> None:
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 0)
    for shape in ([2**40], [2**32, 2**32], [2**63, 2], [0], [1] * 99):
        info = struct.pack("<Q", 1) + b"t" + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, 0)
        refused(head + info + bytes(1 << 16), tmp_path)


def refused(data: bytes | bytearray, folder: Path, plan: RunPlan = FLOAT32) -> None:
    path = folder / "broken.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        loaded(path, folder / "cache", plan)
    assert str(path) in str(caught.value)


@both_ways
@pytest.mark.parametrize("share", [0, 0.0001, 0.001, 0.01, 0.1, 0.3, 0.6, 0.9, 0.99999])
def test_truncated_file_is_refused(small_gguf: Path, tmp_path: Path, share: float, plan: RunPlan) -> None:
    data = small_gguf.read_bytes()
    refused(data[: int(len(data) * share)], tmp_path, plan)


@both_ways
@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_mutated_header_loads_or_is_refused(
    small_gguf: Path, tmp_path: Path, plan: RunPlan, changes: list[tuple[int, int]], early: bool
) -> None:
    data = bytearray(small_gguf.read_bytes())
    for at, byte in changes:
        data[at // 10 if early else at] = byte
    path = tmp_path / "mutated.gguf"
    path.write_bytes(data)
    try:
        loaded(path, tmp_path / "cache", plan).network.close()
    except ModelError as error:
        assert path.name in str(error)


def test_folder_named_like_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").mkdir()
    with pytest.raises(ModelError, match=r"x\.gguf"):
        loaded(tmp_path / "x.gguf", tmp_path)


def in_parts(tiny_qwen3: Path, toy_tokenizer_folder: Path, folder: Path) -> list[Path]:
    folder.mkdir()
    write_gguf(tiny_qwen3, folder / "tiny.gguf", tokenizer=toy_tokenizer_folder, tensors_a_part=10)
    return sorted(folder.glob("tiny-*-of-*.gguf"))


def test_a_gguf_in_parts_is_read_whole_whichever_part_is_named(
    tiny_qwen3: Path, toy_tokenizer_folder: Path, original: LoadedModel, tmp_path: Path, paths: Paths
) -> None:
    parts = in_parts(tiny_qwen3, toy_tokenizer_folder, tmp_path / "parts")
    assert len(parts) > 2
    ids = original.tokenizer.encode("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    expected = logits(original, ids)
    for part in (parts[0], parts[-1]):
        assert apart(logits(loaded(part, tmp_path), ids), expected) < 1e-6
    (offer,) = offers.named(f"{parts[0].parent}/")
    assert (offer.name, offer.size) == (str(parts[0]), sum(part.stat().st_size for part in parts))


@pytest.mark.parametrize("fault", ["missing", "swapped", "twice", "renamed"])
def test_parts_that_do_not_belong_together_are_refused_by_name(
    tiny_qwen3: Path, toy_tokenizer_folder: Path, tmp_path: Path, fault: str
) -> None:
    parts = in_parts(tiny_qwen3, toy_tokenizer_folder, tmp_path / "parts")
    named = parts[1].name
    match fault:
        case "missing":
            parts[1].unlink()
        case "swapped":
            whole = parts[2].read_bytes()
            parts[2].write_bytes(parts[1].read_bytes())
            parts[1].write_bytes(whole)
        case "twice":
            parts[1].write_bytes(parts[2].read_bytes())
        case "renamed":
            named = "parts"
            parts[0] = parts[0].rename(parts[0].with_name("tiny.gguf"))
    with pytest.raises(ModelDamaged, match=named):
        loaded(parts[0], tmp_path)
