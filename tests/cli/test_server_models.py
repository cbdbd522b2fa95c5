"""`qwenchat models --server` lists what a server has, and servers on this machine are found."""

import socket
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from qwenchat.cli.main import cli
from qwenchat.engine.remote import discovery
from tests.support.chat_server import ChatServer

MODELS = [{"id": "qwen3-0.6b", "owned_by": "vllm", "max_model_len": 8192}, {"id": "evil\x1b[2J"}]


def test_a_servers_models_are_listed_as_text() -> None:
    with ChatServer(models=MODELS).running() as server:
        ran = CliRunner().invoke(cli, ["models", "--server", server.url])
    assert ran.exit_code == 0
    assert "qwen3-0.6b" in ran.stdout
    assert "8,192" in ran.stdout
    assert "\x1b" not in ran.stdout


def test_a_server_that_is_not_there_is_said() -> None:
    ran = CliRunner().invoke(cli, ["models", "--server", "127.0.0.1:9"])
    assert ran.exit_code != 0


def test_servers_on_this_machine_are_found_and_nothing_is_asked_of_them() -> None:
    with ChatServer(models=MODELS).running() as server, ChatServer(models=[]).running() as empty:
        ports = {int(str(urlsplit(one.url).port)): kind for one, kind in ((server, "vLLM"), (empty, "Ollama"))}
        found = discovery.nearby({**ports, 9: "nothing"})
        assert [(one.kind, len(one.models)) for one in found] == [("vLLM", 2), ("Ollama", 0)]
        assert server.asked == []
        server.models = [{"id": "qwen3", "owned_by": "sglang"}]
        assert discovery.nearby(ports)[0].kind == "SGLang"
        server.models = [{"id": "qwen3"}]  # as MLX-LM lists it, at the port of llama.cpp
        assert discovery.nearby(ports)[0].kind == "a server"


def test_what_only_listens_is_no_server_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwenchat.engine.remote.connection.QUESTION_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert discovery.nearby({silent.getsockname()[1]: "silence"}) == ()


def test_they_are_named_below_the_known_models(monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer(models=MODELS[:1]).running() as server:
        port = int(str(urlsplit(server.url).port))
        monkeypatch.setattr(discovery.nearby, "__defaults__", ({port: "vLLM"},))
        ran = CliRunner().invoke(cli, ["models"])
    assert f"vLLM: qwen3-0.6b\n  qwenchat --server http://localhost:{port}" in ran.stdout
