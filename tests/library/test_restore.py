"""Another library in place of the old one: killed at any step, the next start ends it and says so."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from qwenchat.library import replacing
from qwenchat.library.index import index_of
from qwenchat.library.library import Library
from qwenchat.library.maintenance import Maintenance
from qwenchat.library.replacing import end_interrupted, is_interrupted
from qwenchat.library.restore import restore
from tests.library.test_faults import user


class Killed(BaseException):
    """The program is gone at this place."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A library with a backup, and one message more."""
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library.save("a", user("in the backup"))
    library.close()
    upkeep = Maintenance(path, 0)
    assert upkeep.wait(20)
    upkeep.close()
    library = Library.open(path)
    library.save("b", user("later"))
    library.search("later")
    library.close()
    return path


def killed_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so many renames happen, then be gone."""
    left = [steps]

    def counted(name: str) -> None:
        real = getattr(Path, name)

        def step(self: Path, target: Path) -> Path:
            if left[0] == 0:
                raise Killed
            moved: Path = real(self, target)
            left[0] -= 1
            return moved

        monkeypatch.setattr(Path, name, step)

    counted("rename")
    counted("replace")


@pytest.mark.parametrize("steps", range(5))
@pytest.mark.parametrize("journal", [False, True])
def test_a_restore_killed_between_any_two_steps_is_ended_by_the_next_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, journal: bool
) -> None:
    if journal:
        path.with_name(f"{path.name}-journal").write_bytes(b"\0" * 600)
    with monkeypatch.context() as patch:
        killed_after(steps, patch)
        try:
            restore(path)
        except Killed:
            interrupted = is_interrupted(path)
        else:
            interrupted = False
    library = Library.open(path)
    assert bool(library.notice) == interrupted
    rows = {row.id for row in library.conversations()}
    assert rows == ({"a", "b"} if not interrupted and steps == 0 else {"a"})
    assert not is_interrupted(path)
    if rows == {"a"}:
        (aside,) = replacing.set_aside_before(path, "replaced")
        assert aside.name in library.notice or not interrupted
        assert not library.search("later")
        kept = Library.open(aside)
        assert {row.id for row in kept.conversations()} == {"a", "b"}
    assert list(path.parent.glob("*.partial")) == []
    assert list(path.parent.glob("*.new")) == []
    library.close()
    assert Library.open(path).notice == ""


def test_a_rescue_killed_between_any_two_steps_is_ended_by_the_next_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(path.read_bytes())
    data[4096:4500] = b"\xa5" * 404
    for steps in range(4):
        folder = path.parent / str(steps)
        folder.mkdir()
        here = folder / path.name
        here.write_bytes(data)
        with monkeypatch.context() as patch:
            killed_after(steps, patch)
            with suppress(Killed):
                Library.open(here)
        library = Library.open(here)
        assert {row.id for row in library.conversations()} == {"a", "b"}
        (aside,) = replacing.set_aside_before(here)
        assert aside.read_bytes() == data
        assert list(folder.glob("*.partial")) == []


def test_the_search_index_is_made_again_for_what_was_put_in_place(path: Path) -> None:
    assert index_of(path).exists()
    restore(path)
    assert not index_of(path).exists()


def test_a_library_that_is_gone_is_missed_and_the_one_set_aside_named(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.replaced-20260101-000000"))
    library = Library.open(path)
    assert "replaced-20260101-000000" in library.notice
    assert "--restore" in library.notice
    library.close()
    restored, _ = restore(path, path.with_name(f"{path.name}.replaced-20260101-000000"))
    assert {row.id for row in Library.open(path).conversations()} == {"a", "b"}
    assert restored.name.endswith("000000")


def test_what_a_dead_program_left_half_made_is_removed_and_a_living_ones_stays(path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = path.with_name(f"{path.name}.{int(dead.stdout)}.partial")
    mine = path.with_name(f"{path.name}.{os.getpid()}.partial")
    other = path.with_name("mine.partial")
    for file in (left, mine, other):
        file.touch()
    Library.open(path).close()
    assert [file.exists() for file in (left, mine, other)] == [False, True, True]


def test_two_starts_end_an_interrupted_restore_once(path: Path) -> None:
    ready = path.with_name(f"{path.name}.replaced-20260101-000000.new")
    ready.write_bytes((path.parent / "backups").glob("*.sqlite3").__next__().read_bytes())
    code = "import sys; from pathlib import Path; from qwenchat.library.library import Library;"
    code += "print(bool(Library.open(Path(sys.argv[1])).notice))"
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in running)
    assert said == ["False", "False", "False", "True"]
    assert end_interrupted(path) == ""
    assert len(replacing.set_aside_before(path, "replaced")) == 1


@pytest.mark.parametrize("kind", ["folder", "pipe", "empty"])
def test_what_is_no_library_is_never_put_in_place_of_one(path: Path, kind: str) -> None:
    there = path.with_name(f"{path.name}.replaced-20260101-000000.new")
    {"folder": Path.mkdir, "pipe": os.mkfifo, "empty": Path.touch}[kind](there)
    library = Library.open(path)
    assert library.notice == ""
    assert library.conversations()
    library.close()
