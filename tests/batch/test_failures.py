"""A batch has a line for each prompt or says that it has not; nothing is doubled, lost or mixed, whatever fails."""

import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from qwenchat.batch import prompts, runner
from qwenchat.batch.journal import Journal
from qwenchat.batch.prompts import read_prompts
from qwenchat.chat.engine_commands import LoadModel, StartTurn
from qwenchat.chat.errors import EngineFailed, QwenchatError, ServerBusy, ServerRefused, ServerUnreachable
from qwenchat.chat.events import Channel, LoadProgressed, TextProduced, TurnEvent, TurnFinished, TurnStopped
from qwenchat.chat.provenance import FinishReason, ModelInfo, Timing, Usage
from qwenchat.cli.main import cli
from qwenchat.engine.base import StopSignal, TurnSignals
from tests.support.fake_engine import MODEL

Failure = Exception | type[BaseException] | None


class Server:
    """Says what it was asked; fails for the prompts in `fails`, so many times as it says there (-1: always)."""

    def __init__(self) -> None:
        self.fails: dict[str, tuple[Failure, int]] = {}
        self.model: ModelInfo = MODEL
        self.load_error: Exception | None = None
        self.asked: Counter[str] = Counter()
        self.breaks_after = 0
        """Characters that come before a failure."""

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> ModelInfo:
        if self.load_error is not None:
            raise self.load_error
        return self.model

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        text = command.messages[-1].text
        self.asked[text] += 1
        failure, times = self.fails.get(text, (None, 0))
        if times and self.asked[text] <= (times if times > 0 else 10**9):
            yield TextProduced(command.turn, Channel.ANSWER, "half"[: self.breaks_after], 1, 0.0)
            if failure is TurnStopped:
                yield TurnStopped(command.turn, Usage(), Timing())
            elif failure is not None:
                raise failure
            return
        yield TextProduced(command.turn, Channel.ANSWER, f"You said {text}", 1, 0.0)
        yield TurnFinished(command.turn, FinishReason.STOP, Usage(), Timing())

    def close(self) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(runner, "PAUSES_S", (0.0, 0.0))
    return Server()


def written(folder: Path, *lines: Any) -> Path:
    file = folder / "prompts.jsonl"
    file.write_bytes(
        b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    )
    return file


def run(server: Server, file: Path, *more: str, address: str = "http://a:1") -> Result:
    line = ["ask", "--jsonl", str(file), *(["--server", address] if address else []), *more]
    return CliRunner().invoke(cli, line, obj={"make_engine": lambda: server})


def answers(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.with_suffix(".answers.jsonl").read_text("utf-8").splitlines()]


def journal_of(file: Path) -> Path:
    return file.with_name("prompts.answers.jsonl.journal")


@pytest.mark.parametrize(
    "failure",
    [
        EngineFailed("odd", ""),
        ServerBusy("busy", ""),
        ServerUnreachable("broke off", ""),
        RuntimeError("bug"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        MemoryError(),
        None,
        TurnStopped,
    ],
    ids=str,
)
def test_what_fails_fails_for_its_prompt_alone_and_is_said(server: Server, tmp_path: Path, failure: Failure) -> None:
    file = written(tmp_path, "a", "b", "c", "d", "e")
    server.fails = {"b": (failure, -1)}
    server.breaks_after = 4
    for _ in range(2):  # and the same at each resume
        ended = run(server, file, "--concurrency", "2")
        assert ended.exit_code == 1
        assert "1 of 5 prompts failed" in ended.stderr
        found = answers(file)
        assert [line["number"] for line in found] == [1, 2, 3, 4, 5]
        assert ["error" in line for line in found] == [False, True, False, False, False]
        assert found[1]["answer"] == "half"
    assert server.asked["a"] == server.asked["e"] == 1
    server.fails = {}
    assert run(server, file).exit_code == 0
    assert [line["answer"] for line in answers(file)] == [f"You said {name}" for name in "abcde"]
    assert not journal_of(file).exists()


def test_a_broken_stream_is_asked_again_a_bounded_number_of_times(server: Server, tmp_path: Path) -> None:
    file = written(tmp_path, "a", "b", "c")
    server.fails = {"a": (ServerUnreachable("broke off", ""), 2), "b": (ServerUnreachable("broke off", ""), -1)}
    assert run(server, file, "--concurrency", "1").exit_code == 1
    assert server.asked == {"a": 3, "b": 3, "c": 1}
    assert [line["answer"] for line in answers(file)][::2] == ["You said a", "You said c"]


def test_a_server_that_is_gone_ends_the_batch_and_the_prompt_that_broke_it_comes_last(
    server: Server, tmp_path: Path
) -> None:
    file = written(tmp_path, "a", "kills it", "c")

    class Gone(ServerUnreachable):
        def __str__(self) -> str:
            server.load_error = ServerUnreachable("Nothing answers.", "")
            return "gone"

    server.fails = {"kills it": (Gone("gone"), -1)}
    ended = run(server, file, "--concurrency", "1")
    assert (ended.exit_code, "1 of 3 prompts have no answer" in ended.stderr) == (1, True)
    assert not file.with_suffix(".answers.jsonl").exists()
    server.load_error = None
    assert run(server, file, "--concurrency", "1").exit_code == 1
    assert server.asked["a"] == server.asked["c"] == 1


def test_a_key_that_is_refused_ends_the_batch_at_once(server: Server, tmp_path: Path) -> None:
    file = written(tmp_path, *(f"p{number}" for number in range(50)))
    server.fails = {f"p{number}": (ServerRefused("wants a key", ""), -1) for number in range(50)}
    ended = run(server, file, "--concurrency", "2")
    assert (ended.exit_code, "wants a key" in str(ended.exception)) == (1, True)
    assert sum(server.asked.values()) <= 2


def test_a_server_that_fails_every_prompt_is_not_asked_for_ever(server: Server, tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(100)]
    file = written(tmp_path, *names)
    server.fails = {name: (ServerBusy("busy", ""), -1) for name in names}
    ended = run(server, file, "--concurrency", "1")
    assert (ended.exit_code, len(server.asked) <= runner.IN_A_ROW + 3) == (1, True)  # with those begun meanwhile
    assert "80 of 100 prompts have no answer" in ended.stderr


@pytest.mark.parametrize("error", [EngineFailed("no model", ""), RuntimeError("bug"), MemoryError()])
def test_a_model_that_cannot_be_loaded_ends_it_with_what_is_wrong(
    server: Server, tmp_path: Path, error: Exception
) -> None:
    server.load_error = error
    ended = run(server, written(tmp_path, "a", "b"))
    assert (ended.exit_code, isinstance(ended.exception, QwenchatError)) == (1, True)
    assert "2 of 2 prompts have no answer" in ended.stderr


def test_an_engine_that_cannot_be_made_does_not_hang(server: Server, tmp_path: Path) -> None:
    def broken() -> Server:
        raise ImportError("no torch")

    ended = CliRunner().invoke(cli, ["ask", "--jsonl", str(written(tmp_path, "a"))], obj={"make_engine": broken})
    assert isinstance(ended.exception, EngineFailed)


BAD = [
    b"{broken",
    b'"\xff"',
    json.dumps({"prompt": "\ud800", "id": "sur"}).encode(),
    json.dumps({"messages": [{"role": "user", "content": "\ude00\ud83d"}]}).encode(),
    json.dumps({"prompt": "ok", "id": "\ud800"}).encode(),
    b'""',
    b'{"prompt": " "}',
    b'{"prompt": 5}',
    b'{"prompt": null}',
    b"[]",
    b"5",
    b"null",
    b"{}",
    b'{"messages": "a"}',
    b'{"messages": []}',
    b'{"messages": [5]}',
    b'{"messages": [{"role": "user", "content": ["a"]}]}',
    b'{"messages": [{"role": "root", "content": "a"}]}',
    b'{"messages": [{"role": [], "content": "a"}]}',
    b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
    b'{"prompt": "a", "id": ["x"]}',
    b'{"prompt": "a", "id": true}',
    b'{"prompt": "a", "id": 1.5}',
    b"[" * 100_000,
    b'{"prompt": "a", "id": ' + b"9" * 10_000 + b"}",
    b'{"prompt": "the second with this id", "id": "good"}',
    b'"' + b"x" * 2_000 + b'"',
]


def test_each_line_that_is_no_prompt_is_a_failed_line_in_its_place(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompts, "LONGEST_LINE", 1_000_000 // 8)
    lines = [*BAD[:-1], b'"' + b"x" * 200_000 + b'"']
    last = b'{"prompt": "last", "id": "z"}'
    file = written(tmp_path, b'\xef\xbb\xbf{"prompt": "first", "id": "good"}\r', b"", *lines, last)
    ended = run(server, file)
    assert ended.exit_code == 1
    assert f"{len(lines)} of {len(lines) + 2} prompts failed" in ended.stderr
    found = answers(file)
    assert [line["number"] for line in found] == [1, *range(3, len(lines) + 4)]
    assert ["error" in line for line in found] == [False, *(True for _ in lines), False]
    assert all(line["error"].startswith(f"Line {line['number']} was not asked: ") for line in found[1:-1])
    assert found[3]["id"] == "sur"
    assert server.asked == {"first": 1, "last": 1}


def test_a_file_of_bad_lines_alone_asks_nothing_and_a_mended_line_is_all_that_is_asked(
    server: Server, tmp_path: Path
) -> None:
    assert run(server, written(tmp_path, b"{", b"}")).exit_code == 1
    assert not server.asked
    journal_of(tmp_path / "prompts.jsonl").unlink()
    (tmp_path / "prompts.answers.jsonl").unlink()
    assert run(server, written(tmp_path, "a", b"{", "c")).exit_code == 1
    file = written(tmp_path, "a", "b", "c")
    assert run(server, file).exit_code == 0
    assert server.asked == {"a": 1, "b": 1, "c": 1}
    assert [line["answer"] for line in answers(file)] == ["You said a", "You said b", "You said c"]


def interrupted(server: Server, file: Path, *more: str) -> None:
    """A batch of which one answer is there."""
    server.fails = {"b": (ServerRefused("no", ""), -1)}
    assert run(server, file, "--concurrency", "1", *more).exit_code == 1
    assert journal_of(file).read_text().count("You said") == 1
    server.fails = {}


@pytest.mark.parametrize(
    ("more", "name"),
    [
        (["--temperature", "0.1"], "temperature"),
        (["--seed", "7"], "seed"),
        (["--max-tokens", "7"], "max_tokens"),
        (["--no-think"], "think"),
        (["--thinking-budget", "5"], "thinking_budget"),
        (["--system", "Be brief."], "system"),
        (["--model", "other"], "model name"),
        (["--context", "512"], "context"),
        (["--quantization", "int8"], "quantization"),
        (["--schema", "SCHEMA"], "schema"),
    ],
)
def test_a_batch_is_not_gone_on_with_by_other_settings(
    server: Server, tmp_path: Path, more: list[str], name: str
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text("{}")
    file = written(tmp_path, "a", "b")
    interrupted(server, file)
    before = journal_of(file).read_bytes()
    ended = run(server, file, *(str(schema) if word == "SCHEMA" else word for word in more))
    assert (ended.exit_code, f"belongs to other prompts or settings ({name})" in str(ended.exception)) == (1, True)
    assert (journal_of(file).read_bytes(), server.asked["b"]) == (before, 1)
    assert run(server, file).exit_code == 0


def test_a_batch_is_not_gone_on_with_at_another_server(server: Server, tmp_path: Path) -> None:
    file = written(tmp_path, "a", "b")
    interrupted(server, file)
    for address in ("http://b:1", "http://a:2", ""):
        ended = run(server, file, address=address)
        assert "(server" in str(ended.exception)
    assert server.asked["b"] == 1


@pytest.mark.parametrize(
    "other",
    [{"name": "other"}, {"revision": "def"}, {"quantization": "int4"}, {"context_window": 512}],
    ids=lambda other: next(iter(other)),
)
def test_a_batch_is_not_gone_on_with_by_another_model(server: Server, tmp_path: Path, other: dict[str, Any]) -> None:
    file = written(tmp_path, "a", "b")
    interrupted(server, file)
    server.model = replace(MODEL, **other)
    assert "belongs to other" in str(run(server, file).exception)
    assert server.asked["b"] == 1
    server.model = replace(MODEL, device="cuda", load_s=9.0, reason="other")
    assert run(server, file).exit_code == 0


def test_a_batch_over_a_file_of_a_model_knows_when_that_file_is_another(server: Server, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"one")
    file = written(tmp_path, "a", "b")
    server.fails = {"b": (ServerRefused("no", ""), -1)}
    assert run(server, file, "--model", str(model), address="").exit_code == 1
    model.write_bytes(b"other")
    assert "(model files)" in str(run(server, file, "--model", str(model), address="").exception)


def test_other_prompts_are_refused_and_what_another_program_writes_too(server: Server, tmp_path: Path) -> None:
    file = written(tmp_path, "a", "b")
    interrupted(server, file)
    before = journal_of(file).read_bytes()
    assert "(prompts)" in str(run(server, written(tmp_path, "x", "y")).exception)
    assert journal_of(file).read_bytes() == before
    file = written(tmp_path, "a", "b")
    held = Journal(tmp_path / "held.jsonl", read_prompts(file), {})
    ended = run(server, file, "--output", str(tmp_path / "held.jsonl"))
    assert "is being written by another qwenchat" in str(ended.exception)
    held.close()


def test_a_batch_that_had_nothing_yet_begins_anew_with_any_settings(server: Server, tmp_path: Path) -> None:
    file = written(tmp_path, "a", "b")
    server.load_error = EngineFailed("no", "")
    assert run(server, file).exit_code == 1
    server.load_error = None
    assert run(server, file, "--temperature", "0.3").exit_code == 0


def test_a_journal_of_the_version_before_or_a_file_that_is_none_is_left_alone(server: Server, tmp_path: Path) -> None:
    file = written(tmp_path, "a", "b")
    for text in ('{"journal": "abc"}\n{"number": 1, "answer": "x"}\n', "a file of mine\n", "a file without an end"):
        journal_of(file).write_text(text)
        assert "belongs to other" in str(run(server, file).exception)
        assert journal_of(file).read_text() == text


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.77, 0.99])
def test_a_journal_cut_anywhere_is_gone_on_with(server: Server, tmp_path: Path, share: float) -> None:
    names = [f"p{number}" for number in range(20)]
    file = written(tmp_path, *names)
    server.fails = {"p19": (EngineFailed("odd", ""), -1)}
    assert run(server, file).exit_code == 1
    whole = journal_of(file).read_bytes()
    file.with_suffix(".answers.jsonl").unlink()
    server.fails = {}
    for end in {round(share * len(whole)) + shift for shift in (0, 1, 2)}:
        journal_of(file).write_bytes(whole[:end])
        assert run(server, file).exit_code == 0
        assert [line["answer"] for line in answers(file)] == [f"You said {name}" for name in names]
        file.with_suffix(".answers.jsonl").unlink()


@pytest.mark.parametrize("at", [1, 3, 6])
def test_a_disk_that_is_full_is_said_and_the_batch_goes_on_later(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    file = written(tmp_path, "a", "b", "c")
    calls = Counter[str]()
    real = os.fsync

    def full(number: int) -> None:
        calls["fsync"] += 1
        if calls["fsync"] == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(number)

    monkeypatch.setattr(os, "fsync", full)
    ended = run(server, file)
    assert isinstance(ended.exception, OSError)
    assert not [*tmp_path.glob("*.partial")]
    assert run(server, file).exit_code == 0
    assert [line["answer"] for line in answers(file)] == ["You said a", "You said b", "You said c"]
    assert max(server.asked.values()) <= 2


@pytest.mark.parametrize("suffix", ["", ".partial", ".journal"])
def test_a_file_that_is_there_is_never_written_over(server: Server, tmp_path: Path, suffix: str) -> None:
    file = written(tmp_path, "a")
    prompts_ = file.rename(tmp_path / f"out{suffix}")
    before = prompts_.read_bytes()
    assert run(server, prompts_, "--output", str(tmp_path / "out")).exception is not None
    assert prompts_.read_bytes() == before
    assert not server.asked


@pytest.mark.parametrize("suffix", [".partial", ".journal"])
def test_a_pipe_in_the_place_of_a_file_of_the_batch_is_said(server: Server, tmp_path: Path, suffix: str) -> None:
    file = written(tmp_path, "a")
    os.mkfifo(tmp_path / f"prompts.answers.jsonl{suffix}")
    assert "is there already" in str(run(server, file).exception)


def test_ctrl_c_keeps_what_came(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "a", "b", "c", "d")
    real = Journal.add

    def add(journal: Journal, line: dict[str, Any]) -> None:
        real(journal, line)
        if line["number"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "add", add)
        ended = run(server, file, "--concurrency", "1")
    assert (ended.exit_code, "the same command goes on" in ended.stderr) == (130, True)
    assert run(server, file).exit_code == 0
    assert (server.asked["a"], server.asked["b"], len(answers(file))) == (1, 1, 4)


def test_the_answers_are_their_owner_s_alone_and_escape_what_a_terminal_obeys(server: Server, tmp_path: Path) -> None:
    file = written(tmp_path, {"prompt": "a\x1b[2J\u202e", "id": "\u202e"})
    assert run(server, file).exit_code == 0
    output = file.with_suffix(".answers.jsonl")
    assert output.stat().st_mode & 0o077 == 0
    assert "\x1b" not in output.read_text("utf-8") and "\u202e" not in output.read_text("utf-8")
    assert answers(file)[0]["id"] == "\u202e"


def test_tools_are_refused_rather_than_forgotten(server: Server, tmp_path: Path) -> None:
    ended = run(server, written(tmp_path, "a"), "--tools", "calculator")
    assert (ended.exit_code, "leave out --tools" in ended.output) == (2, True)
