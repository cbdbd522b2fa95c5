"""Addresses as people type them, and keys that nobody else can read."""

import socket
from pathlib import Path

import pytest

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.server_profile import Server
from qwenchat.engine.base import StopSignal
from qwenchat.engine.remote.address import address_of
from qwenchat.engine.remote.connection import ServerConnection
from qwenchat.engine.remote.engine import RemoteEngine
from qwenchat.engine.remote.key import NONE, key_of
from tests.support.chat_server import ChatServer


@pytest.mark.parametrize(
    ("typed", "base", "private"),
    [
        ("localhost:8000", "http://localhost:8000/v1", True),
        (" http://127.0.0.1:11434/v1/ ", "http://127.0.0.1:11434/v1", True),
        ("http://[::1]:8080", "http://[::1]:8080/v1", True),
        ("https://box.example/qwen/v1", "https://box.example/qwen/v1", True),
        ("http://192.168.1.7:30000", "http://192.168.1.7:30000/v1", False),
        ("localhost.evil.example", "http://localhost.evil.example/v1", False),
        ("http://x/qwen//", "http://x/qwen/v1", False),
    ],
)
def test_scheme_and_path_may_be_left_out(typed: str, base: str, private: bool) -> None:
    address = address_of(typed)
    assert address.base == base
    assert address.root + "/v1" == base
    assert address.private is private


@pytest.mark.parametrize(
    ("typed", "base", "root"),
    [
        ("https://api.z.ai/api/paas/v4", "https://api.z.ai/api/paas/v4", "https://api.z.ai/api/paas"),
        ("https://x.example/v1beta/openai/", "https://x.example/v1beta/openai", "https://x.example/v1beta/openai"),
        ("http://x/api/chat/completions", "http://x/api", "http://x/api"),
        ("http://x/v1/chat/completions", "http://x/v1", "http://x"),
        ("http://x/chat/completions", "http://x", "http://x"),
        ("http://x/v1/models", "http://x/v1", "http://x"),
        ("http://x/api/paas/v4/completions/", "http://x/api/paas/v4", "http://x/api/paas"),
        ("http://x/models", "http://x/models/v1", "http://x/models"),
    ],
)
def test_a_base_of_its_own_is_kept_as_typed(typed: str, base: str, root: str) -> None:
    address = address_of(typed)
    assert (address.base, address.root) == (base, root)


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.1", "127.9.8.7", "0x7f000001",
        "2130706433", "0.0.0.0", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]",
        "host.docker.internal", socket.gethostname(),
    ],
)  # fmt: skip
def test_this_machine_is_known_by_every_spelling(host: str) -> None:
    assert address_of(f"http://{host}:8000").here


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "localhost.example", "127.0.0.1.example", "[2001:db8::1]", "[::ffff:192.0.2.1]", "224.0.0.1",
     "255.255.255.255", "xlocalhost", "8.8.8.8", "notlocal.host"],
)  # fmt: skip
def test_no_other_machine_is_taken_for_this_one(host: str) -> None:
    assert not address_of(f"http://{host}:8000").here


@pytest.mark.parametrize("host", ["0.0.0.0", "127.1", "localhost."])
def test_to_this_machine_nothing_goes_through_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer().running() as server:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "")
        engine = RemoteEngine()
        there = Server(server.url.replace("127.0.0.1", host))
        model = engine.load(LoadModel(server=there), lambda step: None, StopSignal())
        engine.close()
    assert (model.name, model.reason) == ("qwen3-0.6b", "")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ftp://x",
        "http://",
        "file:///etc/passwd",
        "http://x:99999",
        "http://user:sk-1@x",
        "http://x/v1?key=sk-1",
        "a b",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_secrets(typed: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        address_of(typed)
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize("typed", ["http://256.1.1.1", "http://é€.example"])
def test_what_only_the_library_knows_to_be_no_address_is_said_too(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "sk-1")
    with pytest.raises(ConfigInvalid, match="is no address of a server") as caught:
        ServerConnection(Server(typed, key_env="A"))
    assert "sk-1" not in str(caught.value)


def test_the_key_comes_from_the_environment_or_a_file_of_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-1\n")
    file.chmod(0o600)
    assert key_of(Server("x"), {}) == NONE
    assert key_of(Server("x", key_env="A"), {"A": "sk-2"}) == "sk-2"
    assert key_of(Server("x", key_file=str(file)), {}) == "sk-1"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_text("sk-1")
    file.chmod(mode)
    with pytest.raises(ConfigInvalid, match="Others can read the key"):
        key_of(Server("x", key_file=str(file)), {})


@pytest.mark.parametrize("key", ["", "two words", "sk-\n1", "schlüssel"])
def test_what_cannot_be_a_key_is_refused_unseen(key: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        key_of(Server("x", key_env="A"), {"A": key})
    assert not key or key not in str(caught.value)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="nowhere"):
        key_of(Server("x", key_file=str(tmp_path / "nowhere")), {})
