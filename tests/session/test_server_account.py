"""What the details, the export and `ask --json` say of a reply is what its server was really sent and really told."""

import json

import pytest

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.server_profile import Server
from qwenchat.console.ask import ask
from qwenchat.engine.remote.engine import RemoteEngine
from qwenchat.engine.worker import Worker
from qwenchat.library.exchange.export import ExportFormat, read_whole, written
from qwenchat.library.library import Library
from qwenchat.reports.message_details import details_as_text, details_of
from qwenchat.session.session import Session
from tests.support.chat_server import DONE, Answer, ChatServer, delta, said


def test_the_account_of_a_reply_is_what_was_really_sent(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(asked: dict[str, object]) -> Answer:
        if "seed" in asked:
            return Answer(b'{"error": "unknown field: seed"}', 400, "application/json")
        return Answer(delta(content="Yes.") + delta("stop") + DONE)

    with ChatServer(answer=answer, models=[{"id": "qwen3:8b", "owned_by": "library"}]).running() as server:
        session = Session(Worker(RemoteEngine), Library.in_memory(), overrides=SamplingOverrides(seed=3))
        assert ask(session, LoadModel(server=Server(server.url)), "Hello", as_json=True, saved=True) == 0
        printed, reported = capsys.readouterr()
        made = session.conversation.path[-1]
        whole = read_whole(session.library, session.conversation.id)
        session.close()
    report = json.loads(printed)
    assert (report["seed"], report["not_sent"]) == (None, ["repetition_penalty", "top_k", "min_p", "seed"])
    assert {*report["usage"].values(), report["timing"]["tokens_per_s"]} == {None}
    assert reported.count("seed") == 1
    details = details_as_text(details_of(made, 1, 1))
    for line in (
        "seed: not sent",
        "top_k: not sent",
        "temperature: 0.6",
        "prompt: not known",
        "answer: ≈ 1",
        "speed: not known",
    ):
        assert line in details
    markdown = "".join(written([whole], ExportFormat.MARKDOWN))
    assert "temperature 0.6, top-p 0.95" in markdown
    assert "top-k" not in markdown
    assert "seed" not in markdown


def test_a_seed_that_nobody_set_is_not_sent() -> None:
    with ChatServer([Answer(delta(content="Yes.") + delta("stop") + DONE)]).running() as server:
        session = Session(Worker(RemoteEngine), Library.in_memory())
        ask(session, LoadModel(server=Server(server.url)), "Hello", as_json=True, saved=True)
        session.close()
    assert "seed" not in server.asked[0]


def test_what_a_server_leaves_out_of_its_counts_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    with ChatServer([Answer(said("Yes."))]).running() as server:
        session = Session(Worker(RemoteEngine), Library.in_memory())
        ask(session, LoadModel(server=Server(server.url)), "Hello", as_json=True, saved=True)
        session.close()
    counts = {"prompt_tokens": 7, "cached_tokens": None, "thinking_tokens": 0, "answer_tokens": 1}
    assert json.loads(capsys.readouterr()[0])["usage"] == counts
