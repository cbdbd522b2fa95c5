"""Which model is used, and why."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qwenchat.chat.errors import DownloadFailed, HubUnreachable, ModelNotFound
from qwenchat.chat.events import LoadProgressed
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local import embedded, hub
from qwenchat.engine.local.locate import LocatedModel, locate
from qwenchat.system.paths import Paths


class Machine:
    """What is on this machine and beyond it, in place of the real Hub and the real wheel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, paths: Paths) -> None:
        self.here: Path | None = None
        self.reachable = True
        self.download_error: Exception | None = None
        self.downloads: list[str] = []
        self._snapshot, self._paths = tmp_path / "abc123", paths
        monkeypatch.setattr(hub, "cached", lambda name: self.here)
        monkeypatch.setattr(hub, "reachable", lambda: self.reachable)
        monkeypatch.setattr(hub, "download", self._download)
        monkeypatch.setattr(embedded, "fetch", lambda models, progress, stop: models / "small.gguf")

    def locate(self, name: str | None = None) -> LocatedModel:
        return locate(name, paths=self._paths, progress=lambda step: None, stop=StopSignal())

    def _download(self, name: str, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> Path:
        self.downloads.append(name)
        if self.download_error is not None:
            raise self.download_error
        return self._snapshot


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, paths: Paths) -> Machine:
    return Machine(monkeypatch, tmp_path, paths)


def test_default_is_qwen3_from_this_machine(machine: Machine, tmp_path: Path) -> None:
    machine.here = tmp_path / "def456"
    assert machine.locate() == LocatedModel(tmp_path / "def456", "Qwen/Qwen3-0.6B", "def456")
    assert machine.downloads == []


def test_default_is_fetched_when_the_hub_answers(machine: Machine, tmp_path: Path) -> None:
    assert machine.locate() == LocatedModel(tmp_path / "abc123", "Qwen/Qwen3-0.6B", "abc123")


def test_default_without_the_hub_is_the_embedded_model_and_says_why(machine: Machine) -> None:
    machine.reachable = False
    located = machine.locate()
    assert located.name == embedded.NAME
    assert "cannot be reached" in located.reason
    assert "qwenchat models pull qwen3-0.6b" in located.reason
    assert machine.downloads == []


@pytest.mark.parametrize("error", [DownloadFailed("It broke off.", "Again."), HubUnreachable("No Hub.", "Connect.")])
def test_default_whose_download_fails_is_the_embedded_model_and_says_why(machine: Machine, error: Exception) -> None:
    machine.download_error = error
    located = machine.locate()
    assert located.name == embedded.NAME
    assert str(error.args[0]).rstrip(".") in located.reason
    assert "SmolLM2" in located.reason


def test_default_whose_download_is_stopped_is_not_replaced(machine: Machine) -> None:
    machine.download_error = Stopped()
    with pytest.raises(Stopped):
        machine.locate()


def test_model_that_was_asked_for_is_never_replaced(machine: Machine) -> None:
    machine.download_error = DownloadFailed("It broke off.", "Again.")
    with pytest.raises(DownloadFailed):
        machine.locate("qwen3-1.7b")
    assert machine.downloads == ["Qwen/Qwen3-1.7B"]


def test_short_names_stand_for_hub_names(machine: Machine, tmp_path: Path) -> None:
    assert machine.locate("Qwen3-1.7B").name == "Qwen/Qwen3-1.7B"
    assert machine.locate("someone/else").name == "someone/else"
    assert machine.locate("smollm2").name == embedded.NAME


def test_path_is_used_as_it_is(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "my-model").mkdir()
    (tmp_path / "my.gguf").touch()
    assert machine.locate(str(tmp_path / "my-model")) == LocatedModel(tmp_path / "my-model", "my-model", "")
    assert machine.locate(str(tmp_path / "my.gguf")) == LocatedModel(tmp_path / "my.gguf", "my", "")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("qwen3-06b", "Did you mean qwen3-0.6b"),
        ("smolm2", "Did you mean smollm2"),
        ("zzz", "qwenchat models"),
        ("/no/such/folder", "qwenchat models"),
        ("./qwen.gguf", ""),
        ("models/qwen.GGUF", ""),
        ("~nobody-of-that-name/model", ""),
        ("a\x00b", ""),
        ("x" * 5000, ""),
        ("a/b/c", ""),
        ("", ""),
    ],
)
def test_unknown_name_is_refused_with_a_suggestion(machine: Machine, name: str, hint: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        machine.locate(name)
    assert name in caught.value.what
    assert hint in caught.value.remedy
    assert machine.downloads == []
