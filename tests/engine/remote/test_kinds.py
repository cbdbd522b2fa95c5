"""Each kind of server is one file: it is found out, asked and addressed there, and named nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qwenchat
from qwenchat.chat.server_profile import Dialect, Server
from qwenchat.engine.remote.connection import ServerConnection
from qwenchat.engine.remote.engine import RemoteEngine
from qwenchat.engine.remote.probe import Probe
from qwenchat.engine.remote.servers.registry import KINDS, kind_of, usual_ports
from tests.support.chat_server import Answer, ChatServer, said

from .test_engine import load

PACKAGE = Path(qwenchat.__file__).parent
PAGES: dict[Dialect, dict[str, Any]] = {
    Dialect.OLLAMA: {"/api/version": {"version": "0.20"}},
    Dialect.LLAMA_CPP: {"/props": {"model_path": "x.gguf"}},
    Dialect.LM_STUDIO: {"/api/v0/models": {"data": []}},
    Dialect.SGLANG: {"/get_model_info": {"model_path": "Qwen/Qwen3-8B"}},
    Dialect.VLLM: {"/version": {"version": "0.32"}},
    Dialect.TRANSFORMERS: {"/openapi.json": {"paths": {"/load_model": {}}}},
    Dialect.MLX_LM: {"/health": {"status": "ok"}},
    Dialect.OPENAI: {"/health": {"status": "ok"}, "/openapi.json": {"paths": {"/chat": {}}}},
}


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer([Answer(said("Yes."))]).running() as running:
        yield running


def found(server: ChatServer, owner: str = "someone", dialect: Dialect = Dialect.AUTO) -> Dialect:
    """The kind that a server turns out to be."""
    connection = ServerConnection(Server(server.url, dialect=dialect))
    try:
        kind = kind_of(Probe(connection, lambda: False), owner)
    finally:
        connection.close()
    (name,) = [name for name, each in KINDS.items() if each is kind]
    return name


@pytest.mark.parametrize("dialect", PAGES)
def test_a_server_that_does_not_say_what_it_is_gives_it_away(server: ChatServer, dialect: Dialect) -> None:
    server.pages = PAGES[dialect]
    assert found(server) is dialect


def test_its_list_counts_more_than_that_and_the_profile_most(server: ChatServer) -> None:
    server.pages = PAGES[Dialect.VLLM]
    assert found(server, KINDS[Dialect.SGLANG].owner) is Dialect.SGLANG
    assert found(server, KINDS[Dialect.SGLANG].owner, Dialect.KTRANSFORMERS) is Dialect.KTRANSFORMERS
    assert found(ChatServer(url=server.url), "") is Dialect.VLLM


def test_every_name_of_the_config_has_its_file_and_no_kind_says_what_another_does() -> None:
    files = {file.stem for file in (PACKAGE / "engine/remote/servers").glob("*.py")}
    assert {name.name.lower() for name in KINDS} == files - {"__init__", "kind", "registry"}
    assert {*KINDS} == {*Dialect} - {Dialect.AUTO}
    owners = [kind.owner for kind in KINDS.values() if kind.owner]
    assert len({*owners}) == len(owners)
    assert usual_ports() == {
        11434: "Ollama", 8080: "llama.cpp", 1234: "LM Studio", 30000: "SGLang", 8000: "vLLM"
    }  # fmt: skip


def test_the_documentation_has_the_port_of_each() -> None:
    page = (PACKAGE.parent / "docs/servers.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    for kind in (kind for kind in KINDS.values() if kind.port):
        assert any(kind.title in row.split("|")[1] and row.endswith(f"| {kind.port} |") for row in rows), kind.title


def test_no_kind_is_named_where_all_are_meant() -> None:
    """A new kind is one file and its name in the config: nothing else asks which one a server is."""
    named = {
        (file.name, node.attr)
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Dialect"
    }
    assert {*named} <= {("server_profile.py", "AUTO"), ("registry.py", "AUTO"), ("registry.py", "OPENAI")}


@pytest.mark.parametrize("context", [None, 1000])
def test_mlx_keeps_to_the_context_of_the_models_folder(tmp_path: Path, server: ChatServer, context: int | None) -> None:
    """It takes more than the model can read without a word."""
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 4096}')
    server.models = [{"id": str(tmp_path)}]
    server.pages = PAGES[Dialect.MLX_LM]
    engine = RemoteEngine()
    assert load(engine, server, context=context).context_window == (context or 4096)
    engine.close()
