"""What was asked of a model that was never reached leaves nothing behind, however the command ended."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from qwenchat.cli.main import cli
from qwenchat.console.turn_printer import Printer
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from tests.support.fake_engine import FakeEngine, Script


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    return tmp_path


def saved(home: Path) -> list[str]:
    library = Library.open(home / "data" / "conversations.sqlite3")
    try:
        return [row.title for row in library.conversations()]
    finally:
        library.close()


@pytest.mark.parametrize("end", [SystemExit(143), SystemExit(129), OSError(5, "Input/output error")])
def test_a_command_that_ends_while_the_model_loads_leaves_no_conversation(
    home: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    def run(printer: Printer, session: Session) -> None:
        raise end

    monkeypatch.setattr(Printer, "run", run)
    engine = FakeEngine(loading_holds=True)
    CliRunner().invoke(cli, ["ask", "Hi"], obj={"make_engine": lambda: engine})
    engine.release()
    assert saved(home) == []


def test_a_command_that_ends_while_the_model_answers_keeps_what_came(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Printer.run

    def run(printer: Printer, session: Session) -> None:
        whole(printer, session)
        raise SystemExit(143)

    monkeypatch.setattr(Printer, "run", run)
    CliRunner().invoke(cli, ["ask", "Hi"], obj={"make_engine": lambda: FakeEngine([Script("Yes.")])})
    assert saved(home) == ["Hi"]
