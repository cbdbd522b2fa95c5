"""The local engine and that of servers, as one."""

import pytest

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ModelNotFound
from qwenchat.chat.server_profile import Server
from qwenchat.engine.base import StopSignal
from qwenchat.engine.router import EngineRouter
from tests.support.fake_engine import FakeEngine

BOX = Server("http://box")


def load(engines: EngineRouter, command: LoadModel) -> str:
    return engines.load(command, lambda progress: None, StopSignal()).name


def test_a_server_that_cannot_be_had_leaves_the_local_model_where_it_is() -> None:
    local, remote = FakeEngine(), FakeEngine(missing=("nix",))
    engines = EngineRouter(lambda: local, lambda: remote)
    load(engines, LoadModel("mine"))
    with pytest.raises(ModelNotFound):
        load(engines, LoadModel("nix", server=BOX))
    assert not local.closed
    assert load(engines, LoadModel("theirs", server=BOX)) == "theirs"
    assert local.closed
    assert not remote.closed


def test_the_same_engine_is_asked_for_its_next_model() -> None:
    local = FakeEngine()
    engines = EngineRouter(lambda: local, FakeEngine)
    assert [load(engines, LoadModel(name)) for name in ("a", "b")] == ["a", "b"]
    assert not local.closed
