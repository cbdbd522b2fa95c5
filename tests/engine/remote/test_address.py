"""Addresses as people type them, and keys that nobody else can read."""

from pathlib import Path

import pytest

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.server_profile import Server
from qwenchat.engine.remote.address import address_of
from qwenchat.engine.remote.connection import Connection
from qwenchat.engine.remote.key import NONE, key_of


@pytest.mark.parametrize(
    ("typed", "base", "private"),
    [
        ("localhost:8000", "http://localhost:8000/v1", True),
        (" http://127.0.0.1:11434/v1/ ", "http://127.0.0.1:11434/v1", True),
        ("http://[::1]:8080", "http://[::1]:8080/v1", True),
        ("https://box.example/qwen/v1", "https://box.example/qwen/v1", True),
        ("http://192.168.1.7:30000", "http://192.168.1.7:30000/v1", False),
        ("localhost.evil.example", "http://localhost.evil.example/v1", False),
    ],
)
def test_scheme_and_path_may_be_left_out(typed: str, base: str, private: bool) -> None:
    address = address_of(typed)
    assert address.base == base
    assert address.root + "/v1" == base
    assert address.private is private


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
        Connection(Server(typed, key_env="A"))
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
