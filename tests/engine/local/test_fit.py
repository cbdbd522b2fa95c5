"""What models cost, computed from their shapes, and what fits a machine."""

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from safetensors.torch import load_file

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ModelUnsupported, OutOfMemory
from qwenchat.cli.main import cli
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local import embedded, fit, hub, memory, stored_weight
from qwenchat.engine.local.catalog import KNOWN, REMOTE, find
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.local.fit import ContextSize, FittingModel
from qwenchat.engine.local.footprint import QUANTIZATIONS, token_bytes
from qwenchat.engine.local.locate import locate
from qwenchat.engine.local.memory import DeviceMemory
from qwenchat.reports import models
from qwenchat.system.paths import Paths
from tests.support.engine_driver import ask, load
from tests.support.tiny_qwen3 import FRANCE, user

GB = 10**9
LAPTOP = DeviceMemory("cpu", 8 * GB, 5 * GB)
WORKSTATION = DeviceMemory("cpu", 64 * GB, 60 * GB)
GPU = DeviceMemory("cuda", 24 * GB, 23 * GB)
PUBLISHED = {
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-235b-a22b": 235_093_634_560,
}
"""Parameters of each model, an output matrix that is the embedding counted once."""


@pytest.fixture
def nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is on this machine."""
    monkeypatch.setattr(hub, "cached", lambda name: None)


# Sizes


def test_parameters_follow_from_the_shapes() -> None:
    assert {model.name: model.parameters for model in (*KNOWN, *REMOTE)} == PUBLISHED


@pytest.mark.parametrize(
    ("name", "quantization", "size"),
    [
        ("qwen3-0.6b", "bf16", 1_503_300_328),
        ("qwen3-4b", "bf16", 8_044_982_048),
        ("qwen3-0.6b", "Q8_0", 639_446_688),
        ("qwen3-8b", "Q4_K_M", 5_027_783_488),
        ("qwen3-14b", "Q4_K_M", 9_001_752_960),
        ("qwen3-30b-a3b", "Q4_K_M", 18_556_686_912),
    ],
)
def test_downloads_are_as_large_as_the_published_files(name: str, quantization: str, size: int) -> None:
    model = find(name)
    assert model is not None
    assert model.download_bytes(QUANTIZATIONS[quantization]) == pytest.approx(size, rel=0.01)


def test_a_token_of_context_costs_what_the_cache_takes() -> None:
    shape = KNOWN[0].shape
    assert token_bytes(shape, 2) == 112 * 1024
    assert token_bytes(shape, None) == 28 * 8 * (128 + 128 + 128 // 32 * 2 + 4)


@pytest.mark.parametrize("name", ["Qwen/Qwen3-0.6B", "qwen3-0.6B", "qwen/qwen3-0.6b"])
def test_a_known_model_is_found_by_either_name(name: str) -> None:
    assert find(name) is KNOWN[0]
    assert find("someone/else") is None


# What fits


def test_the_best_choice_is_the_largest_that_fits_and_is_not_too_slow() -> None:
    assert _best(LAPTOP) == "--model qwen3-4b --quantization int4"
    assert _best(WORKSTATION) == "--model qwen3-4b --quantization int4"
    assert _best(DeviceMemory("cpu", 4 * GB, 3 * GB)) == "--model qwen3-1.7b"
    assert _best(GPU, LAPTOP) == "--model qwen3-8b"
    assert _best(DeviceMemory("cuda", 2 * GB, GB), LAPTOP) == "--model qwen3-4b --quantization int4"
    assert fit.best([DeviceMemory("cpu", GB, GB // 2)]) is None


def _best(*rooms: DeviceMemory) -> str:
    best = fit.best(rooms)
    assert best is not None
    assert best.needs() <= {room.device: room for room in rooms}[best.device].free
    return best.options


@pytest.mark.parametrize(
    ("name", "quantization", "room", "fits"),
    [
        ("qwen3-32b", "int8", WORKSTATION, None),
        ("qwen3-32b", "int8", LAPTOP, "--model qwen3-1.7b, or --model qwen3-4b --quantization int4"),
        ("qwen3-4b", "bf16", LAPTOP, "--quantization int4, or --model qwen3-1.7b --quantization bf16"),
        ("qwen3-4b", "int8", LAPTOP, "--quantization int4, or --model qwen3-1.7b"),
        ("qwen3-14b", "bf16", GPU, "--model qwen3-8b"),
        ("qwen3-0.6b", "int8", DeviceMemory("cpu", GB, 700_000_000), "--model smollm2"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(
    monkeypatch: pytest.MonkeyPatch, name: str, quantization: str, room: DeviceMemory, fits: str | None
) -> None:
    monkeypatch.setattr(memory, "of", lambda device: LAPTOP)
    model = find(name)
    assert model is not None
    if fits is None:
        fit.check(model, quantization, room)
        return
    with pytest.raises(OutOfMemory) as caught:
        fit.check(model, quantization, room)
    assert f"{name} does not fit" in caught.value.what
    assert caught.value.remedy == f"What fits: {fits}."


def test_what_does_not_fit_the_gpu_is_sent_to_the_cpu_if_it_fits_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "of", lambda device: WORKSTATION)
    with pytest.raises(OutOfMemory, match="--device cpu"):
        fit.check(KNOWN[4], "bf16", GPU)


@pytest.mark.parametrize("model", REMOTE, ids=lambda model: model.name)
def test_mixtures_of_experts_are_left_to_servers_however_large_the_machine(model: fit.KnownModel) -> None:
    huge = DeviceMemory("cpu", 4000 * GB, 4000 * GB)
    for refuse in (lambda: fit.check(model, "int8", huge), lambda: fit.check_anyhow(model, [huge])):
        with pytest.raises(ModelUnsupported, match="A server can run it"):
            refuse()


def test_a_download_is_refused_only_when_the_model_fits_in_no_way() -> None:
    fit.check_anyhow(KNOWN[2], [LAPTOP])
    fit.check_anyhow(KNOWN[3], [GPU, LAPTOP])
    with pytest.raises(OutOfMemory):
        fit.check_anyhow(KNOWN[3], [LAPTOP])


# The context window


def test_the_usual_window_is_given_where_there_is_room() -> None:
    assert fit.window(None, 40_960, 32_768, 1000, GB) == ContextSize(32_768)
    assert fit.window(None, 2048, 2048, 1000, GB) == ContextSize(2048)
    assert fit.window(8000, 40_960, 32_768, 1000, GB) == ContextSize(8000)


def test_a_window_that_does_not_fit_is_made_shorter_and_that_is_said() -> None:
    window = fit.window(None, 40_960, 32_768, 1000, 10_000_000)
    assert window.tokens == 9984
    assert "9,984 tokens" in window.notice
    assert "33 MB" in window.notice
    assert "10 MB are left" in window.notice


def test_a_window_that_was_asked_for_and_does_not_fit_is_refused_with_the_longest_that_fits() -> None:
    with pytest.raises(OutOfMemory) as caught:
        fit.window(20_000, 40_960, 32_768, 1000, 10_000_000)
    assert caught.value.remedy == "The longest that fits: --context 9984."
    assert fit.window(9984, 40_960, 32_768, 1000, 10_000_000) == ContextSize(9984)
    with pytest.raises(OutOfMemory, match="--context 1"):
        fit.check(KNOWN[0], "int8", DeviceMemory("cpu", 2 * GB, 2 * GB), 40_000)


def test_a_window_longer_than_the_model_can_read_is_cut_and_that_is_said() -> None:
    window = fit.window(100_000, 40_960, 32_768, 1000, GB)
    assert window.tokens == 40_960
    assert "at most 40,960" in window.notice


@pytest.mark.parametrize(("asked", "room"), [(None, 2_000_000), (None, -GB), (20_000, 100_000)])
def test_no_room_for_any_useful_window_is_out_of_memory(asked: int | None, room: int) -> None:
    with pytest.raises(OutOfMemory):
        fit.window(asked, 40_960, 32_768, 1000, room)


# This machine


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    machine = memory._of_system(tmp_path)
    assert 0 < machine.free < machine.total
    (tmp_path / "memory.max").write_text("100000000\n")
    (tmp_path / "memory.current").write_text("60000000\n")
    (tmp_path / "memory.stat").write_text("anon 30000000\nactive_file 5\ninactive_file 25000000\n")
    assert memory._of_system(tmp_path) == DeviceMemory("cpu", 100_000_000, 65_000_000)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._of_system(tmp_path).total == machine.total


def test_older_containers_have_a_limit_too(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("100000000\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("99000000\n")
    (tmp_path / "memory" / "memory.stat").write_text("inactive_file 7\ntotal_inactive_file 4000000\n")
    assert memory._of_system(tmp_path) == DeviceMemory("cpu", 100_000_000, 5_000_000)


# Loading


@pytest.fixture
def engine(paths: Paths) -> Iterator[LocalEngine]:
    engine = LocalEngine(paths)
    yield engine
    engine.close()


def short_of(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Let so many bytes be free."""
    monkeypatch.setattr(memory, "of", lambda device: DeviceMemory(device, 8 * GB, free))


def tiny_cost(folder: Path, tokens: int) -> int:
    """What must be free for the tiny model in float32 with that many tokens of context."""
    weights = load_file(folder / "model.safetensors").values()
    return fit.MARGIN + sum(4 * weight.numel() for weight in weights) + tokens * 2 * 2 * 2 * 32 * 4


def test_a_limit_on_the_address_space_is_the_memory_that_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Native code aborts beyond it, so it must be known before anything large is read."""
    used = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (used + 50_000_000, resource.RLIM_INFINITY))
    here = memory._of_system(tmp_path)
    assert here.total == used + 50_000_000
    assert here.free <= 50_000_000


def test_a_usual_window_that_does_not_fit_is_made_shorter_at_load(
    engine: LocalEngine, tiny_qwen3: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(engine, tiny_qwen3).reason == ""
    monkeypatch.setattr(fit, "USEFUL_WINDOW", 256)
    short_of(monkeypatch, tiny_cost(tiny_qwen3, 1100))
    model = load(engine, tiny_qwen3)
    assert model.context_window == 1024
    assert "1,024 tokens" in model.reason
    assert ask(engine, user(FRANCE.question)).answer == FRANCE.answer


def test_a_window_that_was_asked_for_is_refused_at_load_with_one_that_can_be_had(
    engine: LocalEngine, tiny_qwen3: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of(monkeypatch, tiny_cost(tiny_qwen3, 1100))
    with pytest.raises(OutOfMemory) as caught:
        load(engine, tiny_qwen3, context_window=4000)
    assert caught.value.remedy == "The longest that fits: --context 1024."
    assert load(engine, tiny_qwen3, context_window=1024).context_window == 1024


def test_weights_that_do_not_fit_are_refused_before_they_are_read(
    engine: LocalEngine, tiny_qwen3: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of(monkeypatch, tiny_cost(tiny_qwen3, 0) - 1)
    monkeypatch.setattr(stored_weight, "safe_open", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(OutOfMemory, match="does not fit") as caught:
        load(engine, tiny_qwen3)
    assert tiny_qwen3.name in caught.value.what
    assert caught.value.remedy == "Close other programs."


@pytest.mark.usefixtures("nothing_here")
def test_a_known_model_that_does_not_fit_is_refused_before_it_is_fetched(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of(monkeypatch, 5 * GB)
    monkeypatch.setattr(hub, "download", lambda *_: pytest.fail("it was fetched"))
    for name, error in (
        ("qwen3-32b", OutOfMemory),
        ("Qwen/Qwen3-8B", OutOfMemory),
        ("qwen3-30b-a3b", ModelUnsupported),
    ):
        with pytest.raises(error):
            engine.load(LoadModel(name, device="cpu"), lambda step: None, StopSignal())


@pytest.mark.usefixtures("nothing_here")
def test_where_even_the_default_does_not_fit_the_smallest_answers_and_says_why(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "fetch", lambda models, progress, stop: models / "small.gguf")
    room = DeviceMemory("cpu", GB, GB)
    located = locate(
        None, paths=paths, progress=lambda step: None, stop=StopSignal(),
        check=lambda known: fit.check(known, "int8", room),
    )  # fmt: skip
    assert located.name == embedded.NAME
    assert "qwen3-0.6b does not fit" in located.reason
    assert "SmolLM2 answers" in located.reason


# What people read


@pytest.mark.usefixtures("nothing_here")
def test_the_list_says_what_fits_and_marks_the_best(paths: Paths) -> None:
    lines = models.table(paths, [LAPTOP]).splitlines()
    rows = {name: next(line for line in lines if name in line) for name in PUBLISHED}
    assert [name for name, line in rows.items() if line.startswith("*")] == ["qwen3-4b"]
    assert "bf16, int8, int4" in rows["qwen3-0.6b"]
    assert rows["qwen3-8b"].split()[-2:] == ["no", "no"]
    assert "a server" in rows["qwen3-30b-a3b"]
    assert "5.0 GB of 8.0 GB" in "\n".join(lines)
    assert lines[0].endswith("qwenchat --model qwen3-4b --quantization int4")


@pytest.mark.usefixtures("nothing_here")
def test_a_machine_too_small_for_any_is_pointed_to_the_smallest(paths: Paths) -> None:
    assert "smollm2" in models.table(paths, [DeviceMemory("cpu", GB, GB // 2)]).splitlines()[0]


@pytest.mark.usefixtures("nothing_here")
def test_showing_a_model_lists_its_quantizations_and_the_hardware_for_each(paths: Paths) -> None:
    shown = models.account("qwen3-8b", paths, [GPU, LAPTOP])
    rows = {line.split()[0]: line.split("  ") for line in shown.splitlines() if line.strip()}
    cells = {name: [cell.strip() for cell in row if cell.strip()] for name, row in rows.items()}
    assert cells["bf16"][1:3] == ["16.4 GB", "16.4 GB"]
    assert cells["bf16"][-3:] == ["24 GB", "24 GB", "yes"]
    assert cells["int8"][-3:] == ["12 GB", "-", "no"]
    assert cells["Q4_K_M"][1] == "5.0 GB"
    assert FittingModel(KNOWN[3], "Q4_K_M", "cpu").weights == pytest.approx(5.8e9, rel=0.01)
    remote = models.account("qwen3-235b-a22b", paths, [LAPTOP])
    assert "a server can run it" in remote
    assert "470" in remote


@pytest.mark.usefixtures("nothing_here")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["qwen3-32b"], "qwen3-32b does not fit"),
        (["qwen3-30b-a3b"], "A server can run it"),
        (["--force", "qwen3-30b-a3b"], "A server can run it"),
        (["--force", "qwen3-32b"], "cannot be reached"),
        (["qwen3-4b"], "cannot be reached"),
    ],
)
def test_fetching_what_cannot_be_run_takes_force_and_a_server_is_named_for_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], said: str
) -> None:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    monkeypatch.setattr(memory, "here", lambda: (LAPTOP,))
    monkeypatch.setattr(hub, "reachable", lambda: False)
    result = CliRunner().invoke(cli, ["models", "pull", *arguments])
    assert said in str(result.exception)


def test_what_does_not_fit_either_is_not_proposed() -> None:
    assert "smollm2" in fit.alternatives("int8", DeviceMemory("cpu", 8_000_000_000, 700_000_000))
    assert fit.alternatives("int8", DeviceMemory("cpu", 8_000_000_000, 500_000_000)) == "Close other programs."
