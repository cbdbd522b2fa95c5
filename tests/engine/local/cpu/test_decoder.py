"""The quantized decoder's logits against those of the torch decoder that is given the same, dequantized weights."""

import mmap
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from gguf.quants import quantize
from numba import njit

from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local.cpu.arrays import aligned
from qwenchat.engine.local.cpu.cache import QuantizedCache
from qwenchat.engine.local.cpu.decoder import CHUNK, QuantizedDecoder
from qwenchat.engine.local.cpu.dot import AVX2, AVX512_VNNI, AVX_VNNI, NEON, PLAIN, DotProduct
from qwenchat.engine.local.cpu.layout import BLOCK, BLOCKS, GROUP, ROWS, WeightFormat
from qwenchat.engine.local.cpu.native import address_of
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.engine.local.cpu.packing import pack
from qwenchat.engine.local.cpu.processor import features, matrix_unit_permitted
from qwenchat.engine.local.cpu.simd import tile_kernel
from qwenchat.engine.local.cpu.thread_tuner import ThreadTuner
from qwenchat.engine.local.decoder import Decoder
from qwenchat.engine.local.decoder_config import DecoderConfig

VOCAB = 500
"""Not a multiple of the rows of a tile."""
WINDOW = 700
IDS = torch.randint(0, VOCAB, (600,), generator=torch.Generator().manual_seed(1))
FORMS = {"int8": (Kind.F32, WeightFormat.U8), "int4": (Kind.F32, WeightFormat.U4), "Q4_1": (Kind.Q4_1, None)}


def config(**changes: Any) -> DecoderConfig:
    sizes: dict[str, Any] = {
        "vocab": VOCAB, "hidden": 128, "layers": 3, "intermediate": 256, "heads": 4, "kv_heads": 2, "head_dim": 64,
        "rope_base": 1e6, "norm_eps": 1e-6, "max_position": 4096, "tied": True,
    }  # fmt: skip
    return DecoderConfig(**sizes | changes)


MODELS: dict[str, tuple[DecoderConfig, bool, bool]] = {
    "qwen3": (config(head_dim=128), True, False),
    "qwen3 untied": (config(tied=False), True, False),
    "qwen3 without groups": (config(kv_heads=4, head_dim=32), True, False),
    "qwen2": (config(heads=6), False, True),
    "qwen2 untied": (config(heads=8, head_dim=32, tied=False), False, True),
    "llama": (config(heads=9, kv_heads=3, hidden=96, rope_base=1e4, norm_eps=1e-5), False, False),
    "llama with one key head": (config(kv_heads=1, vocab=512, tied=False), False, False),
}
COMBINED = [
    pytest.param(name, form, marks=() if name == "qwen3" or form == "int8" else pytest.mark.slow)
    for name in MODELS
    for form in FORMS
]
"""Every model, and every form of the weights; all of the pairs only in the slow tests."""
"""Each with whether it normalizes queries and keys, and whether it has biases."""


def random_weights(c: DecoderConfig, norms: bool, biases: bool) -> dict[str, torch.Tensor]:
    """Weights under their safetensors names, large enough that the logits hang on all of what was read."""
    random = torch.Generator().manual_seed(c.heads)
    found: dict[str, torch.Tensor] = {}

    def add(name: str, *shape: int, mean: float = 0.0, spread: float = 0.05) -> None:
        found[name] = mean + spread * torch.randn(shape, generator=random)

    q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
    add("model.embed_tokens.weight", c.vocab, c.hidden)
    add("model.norm.weight", c.hidden, mean=1.0)
    if not c.tied:
        add("lm_head.weight", c.vocab, c.hidden)
    for layer in range(c.layers):
        here = f"model.layers.{layer}."
        for name, rows in (("q", q), ("k", kv), ("v", kv)):
            add(f"{here}self_attn.{name}_proj.weight", rows, c.hidden)
            if biases:
                add(f"{here}self_attn.{name}_proj.bias", rows)
            if norms and name != "v":
                add(f"{here}self_attn.{name}_norm.weight", c.head_dim, mean=1.0)
        add(f"{here}self_attn.o_proj.weight", c.hidden, q)
        for name in ("gate", "up"):
            add(f"{here}mlp.{name}_proj.weight", c.intermediate, c.hidden)
        add(f"{here}mlp.down_proj.weight", c.hidden, c.intermediate)
        for name in ("input", "post_attention"):
            add(f"{here}{name}_layernorm.weight", c.hidden, mean=1.0)
    return found


class Model:
    """Random weights, packed."""

    def __init__(self, name: str, form: str = "int8") -> None:
        self.config, norms, biases = MODELS[name]
        kind, wanted = FORMS[form]
        self._weights: dict[str, PackedMatrix | np.ndarray] = {}
        for key, weight in random_weights(self.config, norms, biases).items():
            if weight.dim() == 1:
                self._weights[key] = weight.numpy()
                continue
            data = quantize(weight.numpy(), kind).view(np.uint8).reshape(len(weight), -1)
            self._weights[key] = pack(kind, data, weight.shape[1], wanted, None)

    def weight(self, name: str) -> np.ndarray:
        """One of the vectors, to be changed."""
        vector = self._weights[name]
        assert isinstance(vector, np.ndarray)
        return vector

    def drop(self, name: str) -> None:
        """Make a matrix zero."""
        matrix = self._weights[name]
        assert isinstance(matrix, PackedMatrix)
        matrix.scales[:] = 0
        matrix.minima[:] = 0

    def decoder(self, threads: int = 2) -> QuantizedDecoder:
        """Ours; to be closed."""
        return QuantizedDecoder(self.config, lambda name, shape: self._weights.get(name), threads)

    def reference(self) -> Decoder:
        """The one that computes in float32."""

        def take(name: str, shape: tuple[int, ...]) -> torch.Tensor | None:
            weight = self._weights.get(name)
            if isinstance(weight, PackedMatrix):
                weight = weight.take(np.arange(weight.rows))
            return None if weight is None else torch.from_numpy(weight)

        return Decoder(self.config, take)


def read(decoder: QuantizedDecoder, cache: QuantizedCache, ids: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(decoder.read(ids.tolist(), cache, StopSignal()))


@pytest.fixture(scope="module")
def decoder() -> Iterator[QuantizedDecoder]:
    """One that goes from test to test."""
    decoder = Model("qwen3 untied").decoder()
    yield decoder
    decoder.close()


@pytest.mark.parametrize(("name", "form"), COMBINED)
def test_logits_are_those_of_the_torch_decoder(name: str, form: str) -> None:
    model = Model(name, form)
    ours, theirs = model.decoder(), model.reference()
    cache, their_cache = ours.new_cache(WINDOW), theirs.new_cache(WINDOW)
    errors, agreed, at = [], 0, 0
    sizes = [1, 1, 38, *[1] * 20, 239, *[1] * 40]
    with torch.inference_mode():
        for size in sizes:
            found, expected = read(ours, cache, IDS[at : at + size]), theirs.forward(IDS[at : at + size], their_cache)
            at += size
            errors.append(float((found - expected).norm() / expected.norm()))
            agreed += bool(found.argmax() == expected.argmax())
    ours.close()
    assert max(errors) < 0.04
    assert agreed >= 0.9 * len(sizes)


def error_of(model: Model, count: int = 40) -> float:
    """How far the logits after `count` tokens are from those in float32, as a share of these."""
    ours, theirs = model.decoder(), model.reference()
    with torch.inference_mode():
        found = read(ours, ours.new_cache(WINDOW), IDS[:count])
        expected = theirs.forward(IDS[:count], theirs.new_cache(WINDOW))
    ours.close()
    return float((found - expected).norm() / expected.norm())


def test_dimensions_of_keys_that_stand_out_do_not_cost_the_others_their_precision() -> None:
    model = Model("qwen3")
    for layer in range(model.config.layers):
        model.weight(f"model.layers.{layer}.self_attn.k_norm.weight")[::32] *= 40
    assert error_of(model) < 0.12


@pytest.mark.parametrize("form", FORMS)
def test_the_product_with_the_output_matrix_adds_next_to_no_error(form: str) -> None:
    model = Model("qwen3", form)
    for layer in range(model.config.layers):
        for name in ("self_attn.o_proj", "mlp.down_proj"):
            model.drop(f"model.layers.{layer}.{name}.weight")
    assert error_of(model) < 2e-4


CUTS = {
    "token by token": [1] * 40,
    "in threes": [3] * 13 + [1],
    "a block and a token": [BLOCK + 1] * 4 + [4],
    "a token, then the rest": [1, 39],
}


@pytest.mark.parametrize(("name", "form"), COMBINED)
def test_logits_do_not_hang_on_how_the_prompt_was_cut(name: str, form: str) -> None:
    decoder = Model(name, form).decoder()
    whole = read(decoder, decoder.new_cache(WINDOW), IDS[:40])
    for sizes in CUTS.values():
        cache = decoder.new_cache(WINDOW)
        for part in IDS[:40].split(sizes):
            found = read(decoder, cache, part)
        assert torch.equal(found, whole)
    decoder.close()


def test_logits_do_not_hang_on_how_a_long_prompt_was_cut(decoder: QuantizedDecoder) -> None:
    alone, ahead = decoder.new_cache(WINDOW), decoder.new_cache(WINDOW)
    longest = CHUNK + 60
    for end in range(1, longest + 1):
        step_by_step = read(decoder, alone, IDS[end - 1 : end])
        ahead.crop(end // 2 if end % 7 else 0)
        assert torch.equal(read(decoder, ahead, IDS[ahead.length : end]), step_by_step)


@pytest.mark.skipif(not matrix_unit_permitted(), reason="there is no matrix unit here")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["qwen3", "llama"])
def test_the_matrix_unit_gives_what_dot_products_give(name: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, found = Model(name, form), []
    for permitted in (True, False):
        monkeypatch.setattr(
            "qwenchat.engine.local.cpu.decoder.matrix_unit_permitted", lambda allowed=permitted: allowed
        )
        decoder = model.decoder()
        found.append(read(decoder, decoder.new_cache(WINDOW), IDS[:70]))
        decoder.close()
    assert torch.equal(*found)


def test_logits_do_not_hang_on_the_number_of_threads() -> None:
    model = Model("llama")
    found = []
    for threads in (1, 2, 3):
        decoder = model.decoder(threads)
        cache = decoder.new_cache(WINDOW)
        found.append(torch.stack([read(decoder, cache, IDS[:300]), read(decoder, cache, IDS[300:301])]))
        decoder.close()
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_the_same_prompt_gives_the_same_logits_every_time(decoder: QuantizedDecoder) -> None:
    first = [read(decoder, decoder.new_cache(WINDOW), IDS[:count]) for count in (1, 70)]
    for _ in range(20):
        for count, expected in zip((1, 70), first, strict=True):
            assert torch.equal(read(decoder, decoder.new_cache(WINDOW), IDS[:count]), expected)


def test_windows_of_different_length_give_the_same_logits(decoder: QuantizedDecoder) -> None:
    first, *others = [read(decoder, decoder.new_cache(window), IDS[:40]) for window in (40, 64, 4096, 40)]
    for other in others:
        assert torch.equal(other, first)


def test_after_a_crop_another_continuation_is_read_as_if_it_came_first(decoder: QuantizedDecoder) -> None:
    cache = decoder.new_cache(WINDOW)
    read(decoder, cache, IDS[:500])
    for kept in (499, 301, 300, 33, 32, 31, 1, 0):
        cache.crop(kept)
        assert cache.length == kept
        fresh = decoder.new_cache(WINDOW)
        other = IDS[510:540]
        assert torch.equal(read(decoder, cache, other), read(decoder, fresh, torch.cat([IDS[:kept], other])))


def test_a_crop_beyond_what_was_read_does_nothing(decoder: QuantizedDecoder) -> None:
    cache = decoder.new_cache(WINDOW)
    read(decoder, cache, IDS[:5])
    cache.crop(600)
    assert cache.length == 5


def test_what_was_forgotten_leaves_no_trace_even_if_it_was_no_number(decoder: QuantizedDecoder) -> None:
    expected = read(decoder, decoder.new_cache(WINDOW), IDS[:40])
    for dirt in (float("nan"), float("inf"), 1e38):
        cache = decoder.new_cache(WINDOW)
        cache.arrays.value_scales.fill(dirt)
        cache.arrays.key_scales.view(np.float16).fill(dirt if dirt != 1e38 else 6e4)
        cache.arrays.keys.fill(255)
        cache.arrays.values.fill(255)
        read(decoder, cache, IDS[:20])
        assert torch.equal(read(decoder, cache, IDS[20:40]), expected)


def test_the_window_can_be_filled_and_not_overfilled(decoder: QuantizedDecoder) -> None:
    for window in (1, 31, 32, 33, CHUNK + 1):
        cache = decoder.new_cache(window)
        expected = read(decoder, decoder.new_cache(WINDOW), IDS[:window])
        assert torch.equal(read(decoder, cache, IDS[:window]), expected)
        with pytest.raises(ValueError, match=f"{window + 1} tokens do not fit a window of {window}"):
            read(decoder, cache, IDS[:1])
        cache.crop(window - 1)
        assert torch.equal(read(decoder, cache, IDS[window - 1 : window]), expected)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells there what memory is taken")
def test_a_long_window_takes_its_memory_only_as_tokens_come(decoder: QuantizedDecoder) -> None:
    def taken() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    caches = [decoder.new_cache(2**16) for _ in range(8)]
    read(decoder, caches[0], IDS[:40])
    before = taken()
    for cache in caches[1:]:
        read(decoder, cache, IDS[:40])
    assert taken() - before < 7 * cache.capacity * cache.bytes_per_token / 2


def test_two_sequences_do_not_mix(decoder: QuantizedDecoder) -> None:
    caches = [decoder.new_cache(WINDOW), decoder.new_cache(64)]
    prompts = [IDS[:50], IDS[300:350]]
    for at in range(50):
        found = [read(decoder, cache, prompt[at : at + 1]) for cache, prompt in zip(caches, prompts, strict=True)]
    for prompt, last in zip(prompts, found, strict=True):
        assert torch.equal(last, read(decoder, decoder.new_cache(WINDOW), prompt))


def test_logits_stay_as_they_are_when_the_next_token_is_read(decoder: QuantizedDecoder) -> None:
    cache = decoder.new_cache(WINDOW)
    first = read(decoder, cache, IDS[:5])
    kept = first.clone()
    read(decoder, cache, IDS[5:6])
    assert torch.equal(first, kept)


def test_stop_set_beforehand_reads_nothing(decoder: QuantizedDecoder) -> None:
    stop, cache = StopSignal(), decoder.new_cache(WINDOW)
    read(decoder, cache, IDS[:7])
    stop.set()
    for ids in (IDS[:1], IDS[:300]):
        with pytest.raises(Stopped):
            decoder.read(ids.tolist(), cache, stop)
        assert cache.length == 7


def test_a_longer_context_counts_as_more_work(decoder: QuantizedDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is quick at the beginning of a chat would be laid to the number of threads that happens to be tried."""
    recorded: list[float] = []
    monkeypatch.setattr(ThreadTuner, "record", lambda pace, seconds, work: recorded.append(work))
    cache = decoder.new_cache(2 * CHUNK + 2)
    for count in (1, CHUNK, 1, CHUNK):
        read(decoder, cache, torch.zeros(count, dtype=torch.long))
    token, chunk, later_token, later_chunk = recorded
    assert token < later_token
    assert chunk < later_chunk


def test_stop_in_the_second_chunk_leaves_what_was_held_before(
    decoder: QuantizedDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, cache = StopSignal(), decoder.new_cache(WINDOW)
    take, chunks = PackedMatrix.take, []

    def stopping(matrix: PackedMatrix, rows: np.ndarray) -> np.ndarray:
        chunks.append(len(rows))
        if len(chunks) == 2:
            stop.set()
        return take(matrix, rows)

    read(decoder, cache, IDS[:7])
    with monkeypatch.context() as patch:
        patch.setattr(PackedMatrix, "take", stopping)
        patch.setattr("qwenchat.engine.local.cpu.decoder.CHUNK", 200)
        with pytest.raises(Stopped):
            decoder.read(IDS[7:600].tolist(), cache, stop)
    assert chunks == [200, 200]
    assert cache.length == 7
    assert torch.equal(read(decoder, cache, IDS[7:40]), read(decoder, decoder.new_cache(WINDOW), IDS[:40]))


def test_stop_in_the_midst_of_the_layers_is_noticed(decoder: QuantizedDecoder) -> None:
    """The signal comes from another thread, once the first layer has been seen to work."""
    stop, cache, done = StopSignal(), decoder.new_cache(WINDOW), threading.Event()

    def watch() -> None:
        while not cache.arrays.value_scales[0, :2].any() and not done.is_set():
            pass
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with pytest.raises(Stopped):
            for _ in range(200):
                decoder.read(IDS.tolist(), cache, stop)
                cache.crop(0)
    finally:
        done.set()
        watcher.join()
    assert cache.length == 0
    assert torch.equal(read(decoder, cache, IDS[:40]), read(decoder, decoder.new_cache(WINDOW), IDS[:40]))


def test_threads_come_with_the_first_token_and_go_with_close() -> None:
    before = set(threading.enumerate())
    decoder = Model("qwen3").decoder(threads=4)
    assert set(threading.enumerate()) == before
    for _ in range(2):
        expected = read(decoder, decoder.new_cache(WINDOW), IDS[:9])
        assert torch.equal(read(decoder, decoder.new_cache(WINDOW), IDS[:9]), expected)
        helpers = set(threading.enumerate()) - before
        assert len(helpers) == 3
        decoder.close()
        assert not any(helper.is_alive() for helper in helpers)


def products(form: WeightFormat, vectors: int, dot: DotProduct) -> np.ndarray:
    """Two runs of one kernel on a random tile, the second adding to the first, [vectors, ROWS]."""
    random, groups = np.random.default_rng(vectors), 5
    kernel = tile_kernel(form, vectors, dot)

    @njit
    def run(weights, scales, minima, x, x_scales, x_sums, out):  # type: ignore[no-untyped-def]
        for add in range(2):
            kernel(
                address_of(weights), address_of(scales), address_of(minima), address_of(x), address_of(x_scales),
                address_of(x_sums), address_of(out), out.shape[1], groups, add,
            )  # fmt: skip

    weights = aligned(groups * form.group_bytes, np.uint8)
    weights[:] = random.integers(0, 256, weights.size)
    scales, minima = aligned(groups * ROWS, np.float16), aligned(groups * ROWS, np.float16)
    scales[:], minima[:] = random.standard_normal((2, groups * ROWS))
    x = random.integers(-127, 128, (groups, vectors, GROUP)).astype(np.int8)
    x_scales = random.random((groups, vectors)).astype(np.float32)
    x_sums = -128 * x.astype(np.int32).sum(axis=2, dtype=np.int32)
    out = np.zeros((vectors, ROWS), np.float32)
    run(weights, scales.view(np.uint16), minima.view(np.uint16), x.reshape(-1), x_scales.reshape(-1),
        x_sums.reshape(-1), out)  # fmt: skip
    return out


WAYS = {"avx512vnni": AVX512_VNNI, "avxvnni": AVX_VNNI, "avx2": AVX2, "dotprod": NEON}


@pytest.mark.parametrize("vectors", BLOCKS)
@pytest.mark.parametrize("form", WeightFormat, ids=lambda form: form.name)
def test_every_instruction_of_this_processor_gives_what_plain_arithmetic_gives(
    form: WeightFormat, vectors: int
) -> None:
    plain = products(form, vectors, PLAIN)
    for way in (dot for feature, dot in WAYS.items() if feature in features()):
        np.testing.assert_array_equal(products(form, vectors, way), plain)


OLDER = """
import sys
import numpy as np
from qwenchat.engine.local.cpu.dot import AVX2
from qwenchat.engine.local.cpu.simd import BEST_DOT
from tests.engine.local.cpu.test_decoder import logits_of_every_model
assert BEST_DOT is AVX2
np.save(sys.argv[1], logits_of_every_model())
"""


def logits_of_every_model() -> np.ndarray:
    found = []
    for form in FORMS:
        decoder = Model("qwen3 untied", form).decoder()
        cache = decoder.new_cache(WINDOW)
        found += [read(decoder, cache, ids).numpy() for ids in (IDS[:40], IDS[40:41])]
        decoder.close()
    return np.array(found)


VERY_OLD = """
from qwenchat.engine.local.cpu.decoder import can_pack
from tests.engine.local.cpu.test_decoder import config
assert not can_pack(config())
"""

x86_only = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="an older one of this kind is meant"
)


def on_another_processor(name: str, features: str, *script: str) -> None:
    reported = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    subprocess.run(
        [sys.executable, "-c", *script], cwd=Path(__file__).parents[4], env=os.environ | reported, check=True
    )


@x86_only
def test_a_processor_without_avx512_gives_the_same_logits(tmp_path: Path) -> None:
    file = tmp_path / "logits.npy"
    on_another_processor("haswell", "+avx,+avx2,+fma,+f16c,+popcnt,+sse4.2", OLDER, str(file))
    ours, theirs = logits_of_every_model(), np.load(file)
    apart = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(ours, axis=1)
    assert apart.max() < 0.02  # a sum that is rounded otherwise can turn an eighth bit over
    likeliest = np.take_along_axis(ours, theirs.argmax(1)[:, None], axis=1)[:, 0]
    assert (ours.max(1) - likeliest < 0.1 * ours.std(1)).all()


@x86_only
def test_a_processor_that_cannot_turn_halves_into_floats_is_spared_the_kernels() -> None:
    on_another_processor("x86-64", "", VERY_OLD)
