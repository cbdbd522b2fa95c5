"""`qwenchat ask --server`: what a server lacks or breaks is said where it stands, and shows in the exit code."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qwenchat.cli.main import cli
from tests.support.chat_server import DONE, Answer, ChatServer, delta, said

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def ask(server: ChatServer, *options: str) -> Result:
    return CliRunner().invoke(cli, ["ask", "--no-save", "--server", server.url, *options, "Hello"])


@pytest.mark.parametrize(
    ("body", "answer", "expected"),
    [
        (delta(content="Half") + delta("content_filter") + DONE, "Half", "content_filter"),
        (delta("stop") + DONE, "", "empty reply (stop). Ask again."),
        (delta(reasoning="Hm.") + delta("stop") + DONE, "", "a thought and no answer (stop). Ask again."),
        (delta(content="Half"), "Half", "broke off. What came is kept."),
        (said("Paris."), "Paris.", "does not fit the schema"),
    ],
    ids=["filtered", "empty", "thought", "broken off", "schema"],
)
def test_what_is_no_answer_is_said_and_is_no_success(tmp_path: Path, body: bytes, answer: str, expected: str) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    schema = ("--schema", str(tmp_path / "schema.json")) if "schema" in expected else ()
    with ChatServer([Answer(body)]).running() as server:
        ran = ask(server, "--json", *schema)
    report = json.loads(ran.stdout)
    assert ran.exit_code == 1
    assert (report["answer"], report["finish_reason"]) == (answer, "error")
    assert expected in ran.stderr
    assert "/retry" not in ran.stderr


def test_a_server_without_a_list_asks_for_a_name_and_answers_with_one() -> None:
    with ChatServer([Answer(said("Yes."))], pages={"/v1/models": Answer(b"")}).running() as server:
        nameless, named = ask(server), ask(server, "--model", "qwen3")
    assert (nameless.exit_code, named.exit_code, named.stdout) == (1, 0, "Yes.\n")
    assert f"There is no list of models at {server.url}/v1/models. Name one: --model" in nameless.stderr


def test_a_budget_that_means_nothing_there_is_said_and_not_reported() -> None:
    models = [{"id": "qwen3-8b", "owned_by": "sglang"}]
    with ChatServer([Answer(said("Yes."))], models=models).running() as server:
        ran = ask(server, "--json", "--thinking-budget", "50")
    assert "knows no thinking budget" in ran.stderr
    assert json.loads(ran.stdout)["thinking_budget"] is None
