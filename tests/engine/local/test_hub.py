"""The Hub, well and unwell."""

import errno
import json
import socket
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, file_download

from qwenchat.chat.errors import DownloadFailed, HubUnreachable, ModelError, ModelNotFound, ModelUnsupported
from qwenchat.chat.events import LoadProgressed
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local import hub, hub_download
from tests.support.hub_server import COMMIT, HubServer

NAME = "Qwen/Qwen3-0.6B"
WEIGHTS = bytes(range(256)) * 4096
INDEX = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}).encode()
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b"{ }",
    "model.safetensors.index.json": INDEX,
    "model-1.safetensors": WEIGHTS,
    "model-2.safetensors": WEIGHTS[::-1],
    "pytorch_model.bin": b"pickle",
    "modeling.py": b"print()",
    "onnx/config.json": b"{}",
}


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, no proxies, and retries without waiting."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    patient = types.SimpleNamespace(sleep=lambda seconds: None, time=file_download.time.time)
    monkeypatch.setattr(file_download, "time", patient)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer(dict(FILES)).running() as running:
        point_at(running.url, monkeypatch)
        yield running


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


def download(stop: StopSignal | None = None, name: str = NAME) -> tuple[Path, list[LoadProgressed]]:
    steps: list[LoadProgressed] = []
    return hub.download(name, steps.append, stop or StopSignal()), steps


def test_model_is_fetched_once_with_progress_and_without_code(server: HubServer) -> None:
    assert hub.cached(NAME) is None
    folder, steps = download()
    wanted = {name for name in FILES if name.endswith((".json", ".safetensors")) and "/" not in name}
    assert {file.name for file in folder.iterdir()} == wanted
    assert (folder / "model-1.safetensors").read_bytes() == WEIGHTS
    assert steps[-1].done == steps[-1].total == sum(file.stat().st_size for file in folder.iterdir())
    assert folder.name == COMMIT
    assert hub.cached(NAME) == folder


def test_download_cut_off_in_the_middle_is_not_complete_and_a_retry_completes_it(server: HubServer) -> None:
    server.cut_at["model-2.safetensors"] = len(WEIGHTS) // 2
    with pytest.raises(DownloadFailed, match=f"Downloading {NAME} broke off") as caught:
        download()
    assert "resumed" in caught.value.remedy
    assert hub.cached(NAME) is None
    server.cut_at.clear()
    server.asked.clear()
    folder, _ = download()
    assert (folder / "model-2.safetensors").read_bytes() == WEIGHTS[::-1]
    assert hub.cached(NAME) == folder
    assert not any("GET" in line and "model-1" in line for line in server.asked)


def test_connection_that_breaks_once_is_taken_up_again(server: HubServer) -> None:
    server.cut_at["model-1.safetensors"] = len(WEIGHTS) // 2
    answer = server._file

    def mend(request: Any, name: str) -> None:
        answer(request, name)
        if request.command == "GET":
            server.cut_at.pop(name, None)

    server._file = mend  # type: ignore[method-assign]
    folder, _ = download()
    assert (folder / "model-1.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("status", "code", "kind", "said"),
    [
        (404, "RepoNotFound", ModelNotFound, "has no model"),
        (401, "RepoNotFound", ModelNotFound, "has no model"),
        (401, "GatedRepo", ModelError, "licence"),
        (403, "GatedRepo", ModelError, "licence"),
        (403, "", DownloadFailed, NAME),
        (418, "", DownloadFailed, NAME),
    ],
)
def test_refusals_of_the_hub_are_told_apart(
    server: HubServer, status: int, code: str, kind: type[ModelError], said: str
) -> None:
    server.status, server.error_code = status, code
    with pytest.raises(kind, match=said) as caught:
        download()
    assert NAME in caught.value.what
    assert caught.value.remedy


def test_full_disk_is_said_and_leaves_nothing_half_done(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(file_download, "http_get", full)
        with pytest.raises(DownloadFailed, match="No space left") as caught:
            download()
    assert "Free some space" in caught.value.remedy
    assert hub.cached(NAME) is None
    download()
    assert hub.cached(NAME) is not None


def test_hub_that_falls_silent_is_left(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_download, "STALL_S", 0.2)
    server.silent = True
    with pytest.raises(DownloadFailed, match="nothing came"):
        download()


def test_download_is_stopped_though_the_hub_is_silent(server: HubServer) -> None:
    server.silent = True
    stop = StopSignal()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(Stopped):
        download(stop)


def test_stopped_download_can_be_completed_later(server: HubServer) -> None:
    stop, left = StopSignal(), threading.Event()

    def stop_at_first(step: LoadProgressed) -> None:
        stop.set()
        left.wait(10)

    with pytest.raises(Stopped):
        hub.download(NAME, stop_at_first, stop)
    left.set()
    folder, _ = download()
    assert hub.cached(NAME) == folder


def test_model_with_pickles_only_is_refused(server: HubServer) -> None:
    server.files = {"config.json": b"{}", "tokenizer.json": b"{}", "pytorch_model.bin": b"pickle"}
    with pytest.raises(ModelUnsupported, match="no safetensors"):
        download()
    assert not any("pytorch_model.bin" in line for line in server.asked)


@pytest.mark.parametrize("name", ["a/b/c", "a//b", "-a/b-", "a b/c", "ö/x", "a/" + "b" * 200])
def test_name_that_no_model_can_have_is_said(server: HubServer, name: str) -> None:
    assert hub.cached(name) is None
    with pytest.raises(ModelNotFound) as caught:
        download(name=name)
    assert name in caught.value.what


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model-2.safetensors"])
def test_incomplete_snapshot_is_not_taken_for_complete(server: HubServer, missing: str) -> None:
    folder, _ = download()
    for listing in (folder.parent.parent / "trees").glob("*"):
        listing.unlink()
    (folder / missing).unlink()
    assert hub.cached(NAME) is None


def test_snapshot_whose_blob_is_gone_is_not_complete(server: HubServer) -> None:
    folder, _ = download()
    (folder / "model-1.safetensors").resolve().unlink()
    assert hub.cached(NAME) is None


def test_refused_connection_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        point_at(f"http://127.0.0.1:{unused.getsockname()[1]}", monkeypatch)
        assert not hub.reachable()
        with pytest.raises(HubUnreachable, match=NAME):
            download()


def test_hub_that_does_not_accept_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PROBE_S", 0.2)
    left = threading.Event()

    def connect(*args: Any, **options: Any) -> None:
        left.wait(20)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", connect)
    assert not hub.reachable()
    assert not left.is_set()
    left.set()


def test_probe_takes_less_than_three_seconds() -> None:
    assert hub.PROBE_S < 3


@pytest.mark.parametrize("endpoint", ["nonsense", "http://", "http://x:y", "", "http://[::1"])
def test_unusable_address_of_the_hub_is_unreachable(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    point_at(endpoint, monkeypatch)
    assert not hub.reachable()


def test_offline_mode_asks_nobody(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not hub.reachable()
    with pytest.raises(HubUnreachable):
        download()
    assert server.asked == []


def test_proxy_is_asked_in_place_of_the_hub(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = server.url
    point_at("https://hub.invalid", monkeypatch)
    assert not hub.reachable()
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert hub.reachable()
    monkeypatch.setenv("NO_PROXY", "hub.invalid")
    assert not hub.reachable()
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", proxy)
    assert not hub.reachable()
    monkeypatch.delenv("HTTPS_PROXY")
    assert hub.reachable()


def test_dead_proxy_makes_a_living_hub_unreachable(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.reachable()
    monkeypatch.setenv("http_proxy", "127.0.0.1:1")
    assert not hub.reachable()
