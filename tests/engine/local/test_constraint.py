"""An answer by a JSON schema is JSON of that schema, whatever the model would rather say."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from qwenchat.chat.errors import ConfigInvalid, ModelUnsupported
from qwenchat.chat.events import ThoughtEnded
from qwenchat.chat.provenance import FinishReason
from qwenchat.engine.local.engine import LocalEngine
from tests.engine.remote.test_engine import Answer, turn
from tests.engine.remote.test_engine import load as load_remote
from tests.support.chat_server import ChatServer, said
from tests.support.engine_driver import ask, load
from tests.support.tiny_qwen3 import FRANCE, user

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "city": {"enum": ["Paris", "Rome"]},
            "large": {"type": "boolean"},
            "people": {"type": "integer", "minimum": 0, "maximum": 99},
        },
        "required": ["city", "large", "people"],
        "additionalProperties": False,
    }
)


def fits(text: str) -> bool:
    value = json.loads(text)
    return (
        list(value) == ["city", "large", "people"]
        and value["city"] in ("Paris", "Rome")
        and isinstance(value["large"], bool)
        and 0 <= value["people"] <= 99
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("thinking", [True, False])
def test_the_answer_fits_and_the_thought_is_free(engine: LocalEngine, thinking: bool, seed: int) -> None:
    received = ask(engine, user(FRANCE.question), thinking=thinking, schema=SCHEMA, temperature=0.7, seed=seed)
    assert received.end.reason is FinishReason.STOP, received.answer  # type: ignore[union-attr]
    assert fits(received.answer)
    assert bool(received.thought) is thinking


def test_a_thought_that_is_cut_short_is_followed_by_json(engine: LocalEngine) -> None:
    received = ask(engine, user(FRANCE.question), budget=2, schema=SCHEMA)
    assert any(isinstance(event, ThoughtEnded) and event.cut for event in received.events)
    assert fits(received.answer)


def test_quantized_weights_keep_to_it_too(tiny_qwen3: Path, fresh: LocalEngine) -> None:
    load(fresh, tiny_qwen3, quantization="int8")
    assert fits(ask(fresh, user(FRANCE.question), schema=SCHEMA).answer)


def test_a_schema_that_is_none_is_named(engine: LocalEngine) -> None:
    with pytest.raises(ConfigInvalid, match="schema cannot be used"):
        ask(engine, user(FRANCE.question), schema='{"type": "nonsense"}')


def test_a_server_is_asked_by_its_own_constraint() -> None:
    from qwenchat.engine.base import TurnSignals
    from qwenchat.engine.remote.engine import RemoteEngine

    with ChatServer([Answer(said('{"city": "Rome", "large": true, "people": 3}'))]).running() as server:
        engine = RemoteEngine()
        load_remote(engine, server)
        list(engine.generate(turn(schema=SCHEMA), TurnSignals()))
        engine.close()
    format_ = server.asked[0]["response_format"]
    assert format_["type"] == "json_schema"
    assert format_["json_schema"]["schema"] == json.loads(SCHEMA)


def test_the_command_that_brings_what_is_missing_is_one_for_this_environment(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(ModelUnsupported) as failed:
        ask(engine, user(FRANCE.question), schema=SCHEMA)
    assert f"{shlex.quote(sys.executable)} -m pip install llguidance" in str(failed.value)
