"""A file of prompts is answered whole and in order, also when the program is killed in between."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qwenchat.cli.commands import batch
from tests.support.chat_server import Answer, ChatServer, said
from tests.support.command_line import run_here


def echo(body: dict[str, Any]) -> Answer:
    time.sleep(0.01)
    return Answer(said("You said ", body["messages"][-1]["content"]))


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(answer=echo).running() as running:
        yield running


def written(folder: Path, count: int) -> Path:
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"number {n}", "id": f"p{n}"}) + "\n" for n in range(1, count + 1)))
    return file


def arguments(server: ChatServer, file: Path) -> list[str]:
    return ["--server", server.url, "--jsonl", str(file)]


def run(server: ChatServer, file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QWENCHAT_HOME", str(file.parent / "home"))
        ran = run_here("ask", *arguments(server, file), *more, scripted=False)
    return subprocess.CompletedProcess(more, ran.returncode, ran.stdout.decode(), ran.stderr.decode())


def answers(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.with_suffix(".answers.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("prompts", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_prompts_killed_twice_are_answered_once_each_and_in_order(
    server: ChatServer, tmp_path: Path, prompts: int
) -> None:
    file = written(tmp_path, prompts)
    journal = tmp_path / "prompts.answers.jsonl.journal"
    home = os.environ | {"QWENCHAT_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "qwenchat", "ask", *arguments(server, file)]
    for share in (0.2, 0.6):
        with subprocess.Popen(command, env=home, stderr=subprocess.DEVNULL) as process:
            while not journal.exists() or journal.read_bytes().count(b"\n") < share * prompts:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
    assert not file.with_suffix(".answers.jsonl").exists()
    ended = run(server, file)
    assert ended.returncode == 0, ended.stderr
    found = answers(file)
    assert [line["number"] for line in found] == list(range(1, prompts + 1))
    assert all(line["answer"] == f"You said number {line['number']}" for line in found)
    assert found[6]["id"] == "p7"
    assert not journal.exists()
    asked = Counter(body["messages"][-1]["content"] for body in server.asked)
    assert len(asked) == prompts
    at_once = 16
    assert sum(asked.values()) <= prompts + 2 * (2 * at_once + 1)  # asked, or on the way to the disk, at each kill


def test_one_that_fails_is_said_and_asked_again_by_the_same_command(server: ChatServer, tmp_path: Path) -> None:
    file = written(tmp_path, 5)
    faulty = True

    def answer(body: dict[str, Any]) -> Answer:
        bad = faulty and body["messages"][-1]["content"] == "number 3"
        return Answer(b'{"error": "odd"}', 400, "application/json") if bad else echo(body)

    server.answer = answer
    ended = run(server, file)
    assert ended.returncode == 1
    assert "1 failed" in ended.stderr
    assert ["error" in line for line in answers(file)] == [False, False, True, False, False]
    faulty = False
    server.asked.clear()
    assert run(server, file).returncode == 0
    assert [body["messages"][-1]["content"] for body in server.asked] == ["number 3"]
    assert answers(file)[2]["answer"] == "You said number 3"


def test_a_stream_that_breaks_off_each_time_fails_its_prompt_alone(server: ChatServer, tmp_path: Path) -> None:
    file = written(tmp_path, 3)

    def answer(body: dict[str, Any]) -> Answer:
        breaks = body["messages"][-1]["content"] == "number 2"
        return Answer(said("half")[:40], resets=True) if breaks else echo(body)

    server.answer = answer
    ended = run(server, file)
    assert (ended.returncode, "1 of 3 prompts failed" in ended.stderr) == (1, True)
    assert ["error" in line for line in answers(file)] == [False, True, False]


def test_a_server_that_is_gone_ends_it_and_keeps_what_came(server: ChatServer, tmp_path: Path) -> None:
    file = written(tmp_path, 3)
    server.answer = lambda body: Answer(b'{"error": "no"}', 401, "application/json")
    ended = run(server, file)
    assert ended.returncode == 1
    assert "key" in ended.stderr
    server.answer = echo
    assert run(server, file).returncode == 0
    assert len(answers(file)) == 3


def test_other_prompts_or_settings_do_not_mix_with_what_came(server: ChatServer, tmp_path: Path) -> None:
    file = written(tmp_path, 3)
    server.answer = lambda body: Answer(b'{"error": "no"}', 400, "application/json")
    assert run(server, file).returncode == 1
    ended = run(server, file, "--temperature", "0.1")
    assert ended.returncode == 2
    assert "belongs to other prompts or settings" in ended.stderr
    server.answer = echo
    assert run(server, file).returncode == 0
    assert "is there already" in run(server, file).stderr


def test_messages_and_a_system_prompt_go_along(server: ChatServer, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    rows = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    file.write_text(json.dumps({"messages": rows}) + "\n")
    assert run(server, file, "--system", "Be brief.").returncode == 0
    assert server.asked[0]["messages"] == [{"role": "system", "content": "Be brief."}, *rows]


def test_how_far_it_is_is_never_said_twice(server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "EVERY_S", 0.0)
    ran = run(server, written(tmp_path, 3), "--concurrency", "1")
    assert [line.split(",")[0] for line in ran.stderr.splitlines()] == ["1 of 3", "2 of 3", "3 of 3"]
