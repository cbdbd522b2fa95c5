"""What was said is for its owner alone, in every file that holds it, whatever the umask."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.cli.main import cli
from qwenchat.library.exchange.export import write
from qwenchat.library.library import Library
from qwenchat.library.maintenance import Maintenance
from qwenchat.library.restore import restore
from qwenchat.system.log import keep_log
from qwenchat.system.paths import Paths
from qwenchat.system.private_files import make_private_folder


@pytest.fixture(autouse=True)
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def readable_by_others(folder: Path) -> list[str]:
    return [str(path) for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]


def test_no_file_that_holds_what_was_said_can_be_read_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    path = Paths.of_user().database
    library = Library.open(path)
    asked = Message(Role.USER, (TextPart("said"),), id="q")
    library.save_all("a", [asked, Message(Role.ASSISTANT, (TextPart("x"),), "q")])
    library.search("said")
    library.close()
    upkeep = Maintenance(path, 0)
    assert upkeep.wait(20)
    upkeep.close()
    restore(path)
    data = bytearray(path.read_bytes())
    data[4096:8192] = bytes(4096)
    path.write_bytes(data)
    library = Library.open(path)
    assert "set aside" in library.notice
    library.search("said")
    library.close()
    keep_log(Paths.of_user().log_file)
    logging.getLogger("qwenchat").warning("said")
    keep_log(None)
    assert readable_by_others(tmp_path / "home") == []
    assert readable_by_others(Paths.of_user().logs) == []
    made = tmp_path / "made"
    made.mkdir(mode=0o700)
    monkeypatch.chdir(made)
    for arguments in (
        ["export", "a", "-o", "a.md"],
        ["export", "--all", "-o", "all/"],
        ["replay", "a", "--cast", "a.cast"],
    ):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
    assert len(list(made.rglob("*"))) == 4
    assert readable_by_others(made) == []


def test_a_file_that_is_replaced_stays_readable_for_whom_it_was(tmp_path: Path) -> None:
    shared = tmp_path / "shared.md"
    shared.touch(mode=0o644)
    write(shared, ["new"], replacing=True)
    assert shared.read_text() == "new"
    assert shared.stat().st_mode & 0o777 == 0o644


def test_no_folder_that_is_made_on_the_way_is_open_to_others(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "home" / "cache" / "models")
    make_private_folder(tmp_path / "home" / "cache" / "models")
    assert readable_by_others(tmp_path / "home") == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_private_folder(tmp_path / "file" / "below")
