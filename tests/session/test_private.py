"""A private chat leaves nothing behind."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.cli.main import cli
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from qwenchat.tui.app import QwenChat
from tests.support.chat_driver import Chat
from tests.support.fake_engine import FakeEngine, Script

SECRET = "sesame-open-wide"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*arguments: str, lines: str = "") -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, arguments, obj={"make_engine": FakeEngine}, input=lines)
    return result.exit_code, result.stdout, result.stderr


def traces(home: Path) -> list[Path]:
    return [file for file in home.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]


@pytest.mark.parametrize("how", ["flag", "variable", "config"])
def test_a_private_chat_is_said_to_be_and_writes_no_file(home: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "variable":
        monkeypatch.setenv("QWENCHAT_PRIVATE", "1")
    if how == "config":
        (home / "config").mkdir(parents=True)
        (home / "config" / "config.toml").write_text("private = true\n")
    code, out, err = run("--plain", *(["--private"] if how == "flag" else []), lines=f"{SECRET}\n/retry\n/list\n")
    assert code == 0
    assert "private: it is kept in memory alone" in err
    assert "Paris is the capital" in out
    assert SECRET in out
    assert [file for file in home.rglob("*") if file.is_file() and file.name != "config.toml"] == []


def test_the_same_chat_without_it_leaves_traces(home: Path) -> None:
    run("--plain", lines=f"{SECRET}\n")
    assert traces(home)


def test_a_private_chat_goes_on_with_nothing_saved(home: Path) -> None:
    run("--plain", lines=f"{SECRET}\n")
    code, _, err = run("--private", "--resume")
    assert code == 2
    assert "give --resume or --private" in err


def test_what_is_private_by_configuration_may_be_saved_for_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWENCHAT_PRIVATE", "1")
    run("ask", f"{SECRET}?")
    assert not traces(home)
    run("ask", "--save", f"{SECRET}?")
    assert traces(home)
    code, out, _ = run("--plain", "--no-private", "--resume")
    assert (code, SECRET in out) == (0, True)


async def test_the_screen_says_so_and_keeps_drafts_and_branches_in_memory() -> None:
    engine = FakeEngine([Script("First."), Script("Second.")])
    session = Session(Worker(lambda: engine), Library.in_memory(), private=True)
    app = QwenChat(session, LoadModel())
    async with app.run_test(size=(60, 24)) as pilot:
        it = Chat(app, pilot, engine)
        await it.sees("private")
        await it.ask("Go")
        await it.press("ctrl+r")
        await it.sees("‹ 2/2 ›")
        await it.idle()
        await it.press("ctrl+n")
        assert "private" in it.status
    app.save_and_close()
