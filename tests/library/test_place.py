"""Whatever stands where the library should be: the program starts, says so, and neither waits nor writes through it."""

import os
import socket
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from qwenchat.chat.errors import LibraryUnwritable, QwenchatError
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.cli.main import cli
from qwenchat.library.backup import backups, last_backup
from qwenchat.library.index import index_of
from qwenchat.library.library import Library
from qwenchat.library.maintenance import Maintenance
from qwenchat.library.restore import restore
from qwenchat.reports.doctor import _library as library_facts
from qwenchat.system.paths import Paths
from tests.support.fake_engine import FakeEngine, Script

Place = Callable[[Path], object]


def user(text: str) -> Message:
    return Message(Role.USER, (TextPart(text),))


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the whole path may be longer than a socket's may be
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(path.name)
    os.chdir(here)


NO_FILES: dict[str, Place] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": a_socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "dangling link": lambda path: path.symlink_to("/nowhere/at/all"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a pipe": lambda path: (os.mkfifo(path.with_name("p")), path.symlink_to("p")),
}


def within(seconds: float, action: Callable[[], None]) -> None:
    """Run it on a thread that may hang."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            done.set_result(action())
        except BaseException as error:  # noqa: BLE001
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    done.result(seconds)


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_said_left_alone_and_the_chat_goes_on_in_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "c.sqlite3"
    NO_FILES[kind](path)
    before = path.lstat()

    def start() -> None:
        library = Library.open(path)
        assert "not saved" in library.notice
        assert str(path.parent) in library.notice
        assert library.in_memory_only
        library.save("a", user("kept while it runs"))
        assert library.search("kept")
        library.close()
        problems: list[object] = []
        assert library_facts(path, problems)["conversations"] is None  # type: ignore[arg-type]
        assert len(problems) == 1
        with pytest.raises(LibraryUnwritable):
            restore(path)

    within(20, start)
    assert path.lstat() == before


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket"])
@pytest.mark.parametrize("name", ["c.sqlite3-journal", "c.sqlite3-wal", "c.search.sqlite3", "backups/c-1.sqlite3"])
def test_what_stands_beside_the_library_and_is_no_file_stops_nothing(tmp_path: Path, kind: str, name: str) -> None:
    library = Library.open(tmp_path / "c.sqlite3")
    library.save("a", user("found"))
    library.close()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    NO_FILES[kind](tmp_path / name)

    def start() -> None:
        library = Library.open(tmp_path / "c.sqlite3")
        assert bool(library.notice) == ("sqlite3-" in name)
        library.save("b", user("found too"))
        assert len(library.search("found")) >= 1
        library.close()
        assert backups(tmp_path / "c.sqlite3") == []

    within(20, start)


@pytest.mark.parametrize("name", ["backups", "writers", "c.sqlite3.doubtful", "c.sqlite3.replacing"])
def test_a_file_or_folder_of_a_name_that_the_program_uses_stops_nothing(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.mkdir() if "sqlite3" in name else place.touch()
    library = Library.open(tmp_path / "c.sqlite3")
    library.save("a", user("found"))
    upkeep = Maintenance(tmp_path / "c.sqlite3", 0)
    assert upkeep.wait(20)
    upkeep.close()
    library.close()
    assert Library.open(tmp_path / "c.sqlite3").read("a").messages[0].text == "found"


def test_a_link_to_a_library_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "c.sqlite3"
    library = Library.open(real)
    library.save("a", user("there"))
    library.close()
    link = tmp_path / "c.sqlite3"
    link.symlink_to(real)
    data = bytearray(real.read_bytes())
    data[4096 : 4096 * 2] = bytes(4096)
    real.write_bytes(data)
    library = Library.open(link)
    assert "set aside" in library.notice
    library.close()
    assert link.is_symlink()
    assert len(list(real.parent.glob("c.sqlite3.corrupt-*"))) == 1
    assert list(tmp_path.glob("*.corrupt-*")) == []


def test_a_library_that_was_emptied_is_brought_back_from_its_backup(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library.save("a", user("saved"))
    library.close()
    upkeep = Maintenance(path, 0)
    assert upkeep.wait(20)
    upkeep.close()
    assert last_backup(path)
    path.write_bytes(b"")
    Library.open(path.with_name("other.sqlite3")).close()
    os.utime(path, (1.0, 1.0))
    library = Library.open(path)
    assert "is empty" in library.notice
    assert "backup" in library.notice
    assert library.read("a").messages[0].text == "saved"


# What is said to be done is done


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    path = Paths.of_user().database
    path.parent.mkdir(parents=True)
    return path


def qwenchat(*arguments: str, script: Script | None = None, **engine: Any) -> tuple[int, str]:
    """The exit code, and all that was said."""
    made = FakeEngine([script or Script("new")], **engine)
    result = CliRunner().invoke(cli, arguments, obj={"make_engine": lambda: made})
    assert result.exception is None or isinstance(result.exception, SystemExit | QwenchatError), result.exception
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


@pytest.mark.parametrize(
    "command",
    [
        ["rename", "aaa", "x"],
        ["pin", "aaa"],
        ["archive", "aaa"],
        ["delete", "--yes", "aaa"],
        ["replay", "--rerun", "--save", "aaa"],
        ["import", "more.json"],
    ],
)
def test_a_command_on_a_library_that_cannot_be_written_says_that_nothing_was_done(
    database: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(database.parent)
    Path("more.json").write_text('{"messages": [{"role": "user", "content": "x"}]}')
    library = Library.open(database)
    asked = user("q")
    library.save_all("aaa", [asked, Message(Role.ASSISTANT, (TextPart("old"),), asked.id)])
    library.close()
    before = database.read_bytes()
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    code, said = qwenchat(*command)
    assert code != 0
    assert "Nothing was" in said
    assert "Deleted" not in said
    assert database.read_bytes() == before


def test_an_answer_that_is_only_in_memory_has_no_conversation_to_go_on_with(database: Path) -> None:
    os.mkfifo(database)
    code, said = qwenchat("ask", "--json", "q")
    assert code == 0
    assert "not saved" in said
    assert '"conversation": null' in said or '"conversation":null' in said


def test_a_question_that_reached_no_model_is_not_saved(database: Path) -> None:
    code, said = qwenchat("ask", "--json", "lost", load_error=QwenchatError("no such model"))
    assert code == 1
    assert '"conversation": null' in said or '"conversation":null' in said
    library = Library.open(database)
    assert library.conversations() == []
    assert library.latest() is None
    library.close()
    assert b"lost" not in database.read_bytes()


def test_a_question_to_a_server_that_was_never_reached_is_not_saved(database: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        result = CliRunner().invoke(cli, ["ask", "--server", address, "--model", "m", "lost"])
    assert result.exit_code != 0
    library = Library.open(database)
    assert library.conversations() == []


def test_a_question_that_was_reached_and_failed_is_kept(database: Path) -> None:
    code, _ = qwenchat("ask", "kept", script=Script("half", error=QwenchatError("it broke")))
    assert code == 1
    (row,) = Library.open(database).conversations()
    assert row.title == "kept"


def test_the_index_of_another_program_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library.save("a", user("found"))
    library.search("found")
    library.close()
    with closing(sqlite3.connect(index_of(path))) as index:
        index.execute("create trigger t after insert on entries begin delete from entries; end")
        index.commit()
    library = Library.open(path)
    library.save("b", user("found too"))
    assert len(library.search("found")) == 2
    library.close()
    with closing(sqlite3.connect(index_of(path))) as index:
        assert index.execute("select count(*) from sqlite_master where type = 'trigger'").fetchone() == (0,)
