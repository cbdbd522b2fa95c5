"""The models that can be chosen, and what each takes."""

from dataclasses import replace
from pathlib import Path

import pytest

from qwenchat.engine.local import inventory, memory, offers
from qwenchat.engine.local.catalog import HUB_NAMES, KNOWN
from qwenchat.engine.local.footprint import format_in_words
from qwenchat.engine.local.inventory import LocalModel
from qwenchat.engine.local.memory import DeviceMemory
from qwenchat.reports import models
from qwenchat.system.paths import Paths
from tests.support.fake_engine import MODEL


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 4 GB free and one model of the Hub."""
    monkeypatch.setattr(memory, "here", lambda: (DeviceMemory("cpu", 8_000_000_000, 4_000_000_000),))
    here = [LocalModel(KNOWN[1].hub_name, Path("/m"), 1)]
    monkeypatch.setattr(offers, "models_here", lambda paths: here)


def test_each_known_model_has_its_formats_and_says_which_fit(paths: Paths) -> None:
    found = {offer.name: offer for offer in offers.known(paths)}
    assert list(found) == [*(model.name for model in KNOWN), "smollm2"]
    small = found["qwen3-1.7b"]
    assert [way.quantization for way in small.ways] == ["int8", "int4", "bf16"]
    assert [way.fits for way in small.ways] == [True, True, False]
    assert (small.here, found["qwen3-0.6b"].here) == (True, False)
    assert [way.fits for way in found["qwen3-4b"].ways] == [False, True, False]
    assert not any(way.fits for way in found["qwen3-32b"].ways)


def test_the_memory_of_the_loaded_model_counts_as_free(paths: Paths) -> None:
    loaded = replace(MODEL, memory_bytes=3_000_000_000)
    found = {offer.name: offer for offer in offers.known(paths, loaded)}
    assert found["qwen3-4b"].ways[0].fits
    found = {offer.name: offer for offer in offers.known(paths, replace(loaded, device="cuda"))}
    assert not found["qwen3-4b"].ways[0].fits


def test_the_weights_of_a_folder_and_a_file_say_what_they_need(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"x" * 1000)
    (tmp_path / "b.gguf").write_bytes(b"x" * 500)
    (tmp_path / "other").mkdir()
    file, model = offers.named(f"{tmp_path}/")
    assert (file.name, file.answers_as, file.size) == (str(tmp_path / "b.gguf"), "b", 500)
    assert (model.name, model.answers_as, model.size, model.here) == (str(folder), "model", 1000, True)
    assert offers.named(str(folder)) == (model,)
    assert offers.named(f"{tmp_path}/B") == (file,)


@pytest.mark.parametrize(
    "typed", ["", "qwen", "/nowhere/x", "~nobody/x", "./" + "x" * 5000, "/a\0b", "x/y.gguf", "a/b/c"]
)
def test_what_is_no_model_offers_none(typed: str) -> None:
    assert offers.named(typed) == ()


def test_a_name_of_the_hub_is_offered_as_it_is() -> None:
    (offer,) = offers.named("Qwen/Qwen2.5-0.5B-Instruct")
    assert (offer.name, offer.here) == ("Qwen/Qwen2.5-0.5B-Instruct", False)


def test_the_embedded_model_says_whether_it_is_here(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not offers.known(paths)[-1].here
    monkeypatch.setattr(offers, "models_here", inventory.models_here)
    file = paths.models / "SmolLM2-135M-Instruct.Q4_1.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert offers.known(paths)[-1].here


def test_the_command_and_the_list_in_the_chat_say_the_same_of_each_model(paths: Paths) -> None:
    listed = models.table(paths).splitlines()
    for offer in offers.known(paths):
        row = next(line for line in listed if offer.name in line.split()[:2]).split()
        assert format_in_words(offer.ways[0].needs) in " ".join(row)
        if offer.name in HUB_NAMES:
            way = next(line for line in models.account(offer.name, paths).splitlines() if line.startswith("int8 "))
            assert format_in_words(offer.ways[0].needs) in way
