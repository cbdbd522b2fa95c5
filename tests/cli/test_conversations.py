"""The commands for saved conversations."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from qwenchat.library.library import Library
from qwenchat.system.paths import Paths
from tests.support.command_line import run_here
from tests.support.saved_conversations import LONG_AGO, NOW, YESTERDAY, put
from tests.support.unprivileged import unprivileged

TIDES = b"\\u001b[31m tides."
"""A part of a reply as the database has it."""


@pytest.fixture(autouse=True)
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Three saved conversations, by title."""
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path / "home"))
    with_titles = {}
    library = Library.open(Paths.of_user().database)
    for title, when, archived in (("Plums", LONG_AGO, True), ("Tides", YESTERDAY, False), ("Sorting", NOW, False)):
        reply = f"The secretword of \x1b[31m {title.lower()}."
        with_titles[title] = put(library, title, when=when, archived=archived, reply=reply, thought="A deepthought.")
    library.close()
    return with_titles


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    ran = run_here(*arguments)
    return subprocess.CompletedProcess(arguments, ran.returncode, ran.stdout.decode(), ran.stderr.decode())


def titles(*options: str) -> list[str]:
    return [row["title"] for row in json.loads(run("list", "--json", *options).stdout)]


def answered(answer: str, *arguments: str) -> tuple[str, int]:
    """What the program says on a terminal where `answer` is typed, and its exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "qwenchat", *arguments], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    said = process.communicate(timeout=60)[0].decode()
    os.close(ours)
    return said, process.returncode


def on_disk(text: bytes) -> list[Path]:
    """The files in which `text` can be read."""
    return [file for file in Paths.of_user().data.rglob("*") if file.is_file() and text in file.read_bytes()]


class TestListing:
    def test_archived_ones_are_listed_when_they_are_asked_for(self) -> None:
        assert titles() == ["Sorting", "Tides"]
        assert titles("--archived") == ["Plums"]

    def test_no_more_than_the_limit_are_listed(self) -> None:
        assert titles("--limit", "1") == ["Sorting"]
        assert run("list", "--limit", "0").returncode == 2

    def test_a_pinned_one_is_listed_first_until_it_is_pinned_no_more(self, ids: dict[str, str]) -> None:
        assert run("pin", ids["Tides"]).stderr == "qwenchat: It is pinned above the others.\n"
        assert titles() == ["Tides", "Sorting"]
        assert run("pin", "--off", ids["Tides"]).returncode == 0
        assert titles() == ["Sorting", "Tides"]

    def test_an_archived_one_comes_back(self, ids: dict[str, str]) -> None:
        assert run("archive", "--off", ids["Plums"]).stderr == "qwenchat: It is archived no more.\n"
        assert titles() == ["Sorting", "Tides", "Plums"]
        assert run("archive", ids["Sorting"]).returncode == 0
        assert titles() == ["Tides", "Plums"]


class TestSearching:
    def test_what_has_all_the_words_is_found_archived_or_not(self, ids: dict[str, str]) -> None:
        found = run("search", "secret", "plums")
        assert found.returncode == 0
        assert found.stdout.splitlines()[0].startswith(ids["Plums"])
        assert "The secretword of plums." in found.stdout
        assert "\x1b" not in found.stdout
        assert len(run("search", "secretword").stdout.splitlines()) == 6

    def test_nothing_found_says_so_and_is_no_failure(self) -> None:
        ran = run("search", "nowhere")
        assert (ran.returncode, ran.stdout) == (0, "")
        assert "Nothing was found." in ran.stderr
        assert run("search", "--json", "nowhere").stdout == "[]\n"

    def test_thoughts_are_searched_when_they_are_wanted(self) -> None:
        assert run("search", "deepthought").stdout == ""
        assert "deepthought" in run("search", "--thoughts", "deepthought").stdout

    def test_as_json_each_hit_says_where_it_is_and_what_was_found(self, ids: dict[str, str]) -> None:
        (hit,) = json.loads(run("search", "--json", "secretword tides").stdout)
        assert hit["conversation"] == ids["Tides"]
        assert (hit["title"], hit["role"]) == ("Tides", "assistant")
        assert [piece["text"] for piece in hit["excerpt"] if piece["hit"]] == ["secretword", "tides"]

    def test_no_words_are_a_usage_error(self) -> None:
        assert run("search").returncode == 2


class TestRenaming:
    def test_the_first_digits_of_the_id_are_enough(self, ids: dict[str, str]) -> None:
        assert run("rename", ids["Tides"][:9], "Ebb", "and", "flow").returncode == 0
        assert titles() == ["Sorting", "Ebb and flow"]

    def test_without_a_title_it_is_the_one_made_from_what_was_said(self, ids: dict[str, str]) -> None:
        run("rename", ids["Tides"], "Mine")
        run("rename", ids["Tides"])
        assert titles() == ["Sorting", "Tides"]

    def test_an_unknown_id_is_an_error(self) -> None:
        for command in (("rename", "nix", "x"), ("pin", "nix"), ("archive", "nix"), ("delete", "--yes", "nix")):
            ran = run(*command)
            assert ran.returncode == 1
            assert "There is no conversation nix." in ran.stderr


class TestDeleting:
    def test_what_was_deleted_is_gone_from_the_disk(self, ids: dict[str, str]) -> None:
        assert on_disk(TIDES)
        ran = run("delete", "--yes", ids["Tides"], ids["Plums"], ids["Tides"])
        assert ran.returncode == 0
        assert [line.split()[-1] for line in ran.stdout.splitlines()] == ["Tides", "Plums"]
        assert titles() == ["Sorting"]
        assert titles("--archived") == []
        database = sqlite3.connect(Paths.of_user().database)
        assert database.execute("select count(*) from messages").fetchone() == (2,)
        database.close()
        assert not on_disk(TIDES)

    def test_one_wrong_id_deletes_nothing(self, ids: dict[str, str]) -> None:
        assert run("delete", "--yes", ids["Tides"], "nix").returncode == 1
        assert titles() == ["Sorting", "Tides"]

    def test_where_nobody_can_be_asked_nothing_is_deleted(self, ids: dict[str, str]) -> None:
        ran = run("delete", ids["Tides"])
        assert ran.returncode == 2
        assert "--yes" in ran.stderr
        assert titles() == ["Sorting", "Tides"]

    def test_on_a_terminal_it_names_them_and_asks(self, ids: dict[str, str]) -> None:
        said, code = answered("n\n", "delete", ids["Tides"])
        assert "Tides" in said
        assert "Nothing was deleted." in said
        assert code == 0
        assert titles() == ["Sorting", "Tides"]
        said, code = answered("y\n", "delete", ids["Tides"], ids["Sorting"])
        assert "these 2 for good" in said
        assert code == 0
        assert titles() == []


def test_nothing_is_said_to_be_changed_where_it_would_not_last(ids: dict[str, str]) -> None:
    data = Paths.of_user().data
    data.chmod(0o500)
    try:
        for command in (("rename", ids["Tides"], "x"), ("delete", "--yes", ids["Tides"]), ("pin", ids["Tides"])):
            ran = subprocess.run(
                unprivileged([sys.executable, "-m", "qwenchat", *command]),
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert ran.returncode == 1
            assert "Nothing was changed." in ran.stderr
            assert ran.stdout == ""
    finally:
        data.chmod(0o700)
    assert titles() == ["Sorting", "Tides"]


@pytest.mark.parametrize("arguments", [("list",), ("search", "secretword")])
def test_a_reader_that_leaves_is_a_good_end(arguments: tuple[str, ...]) -> None:
    command = " ".join([sys.executable, "-m", "qwenchat", *arguments])
    ran = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | true"], capture_output=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
