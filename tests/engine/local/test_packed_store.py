"""Packed weights on disk: mapped when they are those of the model as it is now, else made anew and never trusted."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import loader, packed_store
from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.local.hardware import RunPlan
from qwenchat.engine.local.loader import LoadedModel, load
from qwenchat.engine.local.packed_store import PackedStore
from qwenchat.system.paths import Paths
from tests.support.engine_driver import ask
from tests.support.engine_driver import load as load_engine
from tests.support.gguf_writer import write_gguf
from tests.support.tiny_qwen3 import SKY, user

AS_IT_IS = RunPlan("cpu", "float32", packed=True)
FOUR = RunPlan("cpu", "float32", packed=True, bits=4, required=True)


@pytest.fixture(autouse=True)
def any_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little room it has."""
    monkeypatch.setattr(packed_store, "SPARE_BYTES", 0)


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was packed so far: the folder or file of each model."""
    found: list[str] = []
    packed = loader._packed

    def noted(source: Any, *rest: Any) -> Any:
        found.append(str(source.files[0]))
        return packed(source, *rest)

    monkeypatch.setattr(loader, "_packed", noted)
    return found


@pytest.fixture
def model(tiny_qwen3: Path, tmp_path: Path) -> Path:
    """A copy of the small model, to be changed."""
    return Path(shutil.copytree(tiny_qwen3, tmp_path / "model"))


def loaded(path: Path, folder: Path, plan: RunPlan = AS_IT_IS) -> LoadedModel:
    return load(
        path, plan=plan, cache_folder=folder, progress=lambda step: None, stop=StopSignal(), packed_folder=folder / "p"
    )


def logits(model: LoadedModel) -> np.ndarray:
    context = SequenceContext(model.network, 64)
    context.read(model.tokenizer.encode(SKY.question), StopSignal())
    model.network.close()
    assert context.logits.any()
    return context.logits


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "p").glob("*"))


@pytest.mark.parametrize("plan", [AS_IT_IS, FOUR], ids=["8 bits", "4 bits"])
def test_the_second_load_packs_nothing_and_gives_the_same_logits(
    tiny_qwen3: Path, tmp_path: Path, packings: list[str], plan: RunPlan
) -> None:
    first, second = loaded(tiny_qwen3, tmp_path, plan), loaded(tiny_qwen3, tmp_path, plan)
    assert len(packings) == 1
    assert (first.parameters, first.memory_bytes) == (second.parameters, second.memory_bytes)
    assert np.array_equal(logits(first), logits(second))


@pytest.mark.parametrize("kind", [Kind.Q4_1, Kind.Q8_0])
def test_a_gguf_file_is_kept_as_it_is(tiny_qwen3: Path, tmp_path: Path, packings: list[str], kind: Kind) -> None:
    path = write_gguf(tiny_qwen3, tmp_path / "model.gguf", kind)
    assert np.array_equal(logits(loaded(path, tmp_path)), logits(loaded(path, tmp_path)))
    assert len(packings) == 1


def test_number_formats_are_kept_apart(tiny_qwen3: Path, tmp_path: Path, packings: list[str]) -> None:
    found = [logits(loaded(tiny_qwen3, tmp_path, plan)) for plan in (AS_IT_IS, FOUR, AS_IT_IS, FOUR)]
    assert len(packings) == 2
    assert np.array_equal(found[0], found[2])
    assert np.array_equal(found[1], found[3])
    assert not np.array_equal(found[0], found[1])


def test_the_chat_answers_from_what_was_kept(tiny_qwen3: Path, paths: Paths, packings: list[str]) -> None:
    for _ in range(2):
        engine = LocalEngine(paths)
        load_engine(engine, tiny_qwen3, quantization="int8")
        assert ask(engine, user(SKY.question)).answer == SKY.answer
        engine.close()
    assert len(packings) == 1
    assert len(list(paths.packed.iterdir())) == 1


def touched(model: Path) -> None:
    os.utime(model / "model.safetensors", ns=(1, 1))


def replaced(model: Path) -> None:
    """By a file of the same size and time."""
    file = model / "model.safetensors"
    about = file.stat()
    shutil.copy(file, model / "other")
    os.utime(model / "other", ns=(about.st_atime_ns, about.st_mtime_ns))
    (model / "other").replace(file)


def lengthened(model: Path) -> None:
    file = model / "model.safetensors"
    about = file.stat()
    stored = file.read_bytes()
    length = int.from_bytes(stored[:8], "little")
    file.write_bytes((length + 8).to_bytes(8, "little") + stored[8 : 8 + length] + b" " * 8 + stored[8 + length :])
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))


@pytest.mark.parametrize("change", [touched, replaced, lengthened])
def test_a_model_that_changed_is_packed_anew(
    model: Path, tmp_path: Path, packings: list[str], change: Callable[[Path], None]
) -> None:
    before = logits(loaded(model, tmp_path))
    change(model)
    assert np.array_equal(logits(loaded(model, tmp_path)), before)
    assert len(packings) == 2
    loaded(model, tmp_path).network.close()
    assert len(packings) == 2
    assert len(kept(tmp_path)) == 1


def test_a_model_that_is_replaced_while_it_is_packed_is_not_kept(
    model: Path, tmp_path: Path, packings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = loader._packed

    def meanwhile(*arguments: Any) -> Any:
        replaced(model)
        return packed(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loader, "_packed", meanwhile)
        loaded(model, tmp_path).network.close()
    assert kept(tmp_path) == []
    loaded(model, tmp_path).network.close()
    assert len(packings) == 2


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def cut_in_its_description(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:60])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def lengthened_behind(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")


def garbled_in_its_description(file: Path) -> None:
    stored = bytearray(file.read_bytes())
    stored[stored.index(b'"bytes"') + 10] ^= 1
    file.write_bytes(stored)


def foreign(file: Path) -> None:
    file.write_bytes(os.urandom(3_000_000))


@pytest.mark.parametrize(
    "damage",
    [truncated, cut_in_its_description, emptied, lengthened_behind, garbled_in_its_description, foreign],
)
def test_a_damaged_file_is_made_anew(
    tiny_qwen3: Path, tmp_path: Path, packings: list[str], damage: Callable[[Path], None]
) -> None:
    before = logits(loaded(tiny_qwen3, tmp_path))
    (file,) = kept(tmp_path)
    damage(file)
    assert np.array_equal(logits(loaded(tiny_qwen3, tmp_path)), before)
    assert len(packings) == 2
    assert kept(tmp_path) == [file]


def test_what_cannot_be_used_is_removed(tiny_qwen3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(tiny_qwen3, tmp_path).network.close()
    (file,) = kept(tmp_path)
    store = PackedStore.of(tmp_path / "p", tiny_qwen3, None)
    assert store is not None
    assert store.read() is not None
    truncated(file)
    assert store.read() is None
    assert kept(tmp_path) == []


def test_weights_of_another_processor_and_of_other_code_are_not_used(
    tiny_qwen3: Path, tmp_path: Path, packings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(tiny_qwen3, tmp_path).network.close()
    for name, value in (("features", lambda: frozenset(["another"])), ("sources", lambda: "others")):
        with monkeypatch.context() as patch:
            patch.setattr(packed_store, name, value)
            loaded(tiny_qwen3, tmp_path).network.close()
    assert len(packings) == 3


def test_what_another_process_is_writing_is_left_alone_until_it_is_old(tiny_qwen3: Path, tmp_path: Path) -> None:
    young, old = tmp_path / "p" / "draft-young", tmp_path / "p" / "draft-old"
    for draft in (young, old):
        draft.mkdir(parents=True)
        (draft / "half.packed").write_bytes(b"half")
    os.utime(old, (1, 1))
    loaded(tiny_qwen3, tmp_path).network.close()
    assert young.exists()
    assert not old.exists()


def test_a_disk_that_fills_costs_only_the_next_load(
    tiny_qwen3: Path, tmp_path: Path, packings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        before = logits(loaded(tiny_qwen3, tmp_path))
    assert kept(tmp_path) == []
    assert np.array_equal(logits(loaded(tiny_qwen3, tmp_path)), before)
    assert len(packings) == 2


def test_a_disk_with_little_room_is_left_alone(
    tiny_qwen3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_store, "SPARE_BYTES", 1 << 60)
    loaded(tiny_qwen3, tmp_path).network.close()
    assert kept(tmp_path) == []


def test_a_folder_that_cannot_be_made_costs_only_the_next_load(tiny_qwen3: Path, tmp_path: Path) -> None:
    (tmp_path / "p").write_text("a file where a folder should be")
    loaded(tiny_qwen3, tmp_path).network.close()
    loaded(tiny_qwen3, tmp_path).network.close()


def test_the_oldest_make_room(
    model: Path, tmp_path: Path, packings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [Path(shutil.copytree(model, tmp_path / name)) for name in ("one", "two", "three")]
    loaded(copies[0], tmp_path).network.close()
    (first,) = kept(tmp_path)
    monkeypatch.setattr(packed_store, "MOST_BYTES", 2 * first.stat().st_size)
    loaded(copies[1], tmp_path).network.close()
    (second,) = set(kept(tmp_path)) - {first}
    os.utime(first, (1000, 1000))
    os.utime(second, (2000, 2000))
    loaded(copies[0], tmp_path).network.close()  # it is used, so the other one is the oldest now
    loaded(copies[2], tmp_path).network.close()
    assert first in kept(tmp_path)
    assert second not in kept(tmp_path)
    assert len(packings) == 3


def test_a_model_larger_than_the_bound_is_not_kept(
    tiny_qwen3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_store, "MOST_BYTES", 1000)
    loaded(tiny_qwen3, tmp_path).network.close()
    assert kept(tmp_path) == []
