"""Nothing that stands in the schema of a foreign library is run, and what was saved in it is taken over."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from qwenchat.library import database, schema
from qwenchat.library.backup import is_sound
from qwenchat.library.database import copy_in_memory
from qwenchat.library.library import Library
from qwenchat.library.migrations import MIGRATIONS
from tests.library.test_faults import user

ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
LONG = "length(hex(zeroblob(1000)))"
FOREIGN = {
    "trigger on insert": f"create trigger t before insert on messages begin {ENDLESS}; end",
    "trigger on delete": f"create trigger t before delete on conversations begin {ENDLESS}; end",
    "trigger that loses": "create trigger t after insert on messages begin delete from messages; end",
    "view": f"create view v as {ENDLESS}",
    "generated column": f"alter table messages add column g as ({LONG})",
    "check": f"alter table drafts add column g check ({LONG} > 0)",
    "index on an expression": f"create index i on conversations ({LONG})",
    "partial index": f"create index i on conversations (id) where {LONG} > 0",
    "virtual table": "create virtual table w using fts5(x)",
    "table": "create table more (x references messages (id) on delete cascade)",
    "column": "alter table messages add column more",
    "no index": "drop index messages_said",
}


def foreign(path: Path, statement: str) -> Path:
    library = Library.open(path)
    library.save_all("a", [first := user("one"), user("two", first.id)])
    library.save_draft("a", "draft")
    library.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
    return path


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_a_foreign_schema_says_is_not_run_and_what_was_saved_is_taken_over(tmp_path: Path, kind: str) -> None:
    path = foreign(tmp_path / "c.sqlite3", FOREIGN[kind])
    assert not is_sound(path)
    with closing(copy_in_memory(path)) as copy:
        assert copy.execute("select count(*) from messages").fetchone() == (2,)
        schema.require_own(copy, len(MIGRATIONS))
    library = Library.open(path)
    assert "set aside" in library.notice
    assert [message.text for message in library.read("a").messages] == ["one", "two"]
    assert library.draft("a").whole == "draft"
    library.save("a", user("three"))
    library.save("b", user("gone"))
    library.delete("b")
    library.close()
    library = Library.open(path)
    assert library.notice == ""
    assert len(library.read("a").messages) == 3


@pytest.mark.parametrize(
    "text",
    [
        "create table drafts (conversation text primary key, text text not null default '--' check (1))",
        "create table drafts (conversation text primary key, text text not null /* -- */ check (1) -- )",
        'create table drafts (conversation text primary key, text text not null, "--" as (1)\n)',
        "create table drafts (conversation text primary key, text text)",
    ],
)
def test_nothing_hides_behind_what_looks_like_a_comment(text: str) -> None:
    wanted = next(words for kind, name, _, words in schema.objects_of(len(MIGRATIONS)) if name == "drafts")
    assert schema._words(text) != wanted


def test_quotes_blanks_and_comments_make_no_difference() -> None:
    own = "create table drafts (\n conversation text primary key, -- an id\n text text not null)"
    other = 'CREATE TABLE "drafts"(conversation   text primary key,text /* x */ text not null)'
    assert schema._words(own).lower() == schema._words(other).lower()


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_every_version_of_the_schema_is_known(tmp_path: Path, version: int) -> None:
    path = tmp_path / "c.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        for step in MIGRATIONS[:version]:
            connection.executescript(step)
        connection.execute(f"pragma user_version={version}")
        schema.require_own(connection, version)
    assert Library.open(path).notice == ""


def test_a_file_of_a_trillion_steps_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree whose branches all lead to the same pages has no end that anybody would live to see."""
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library.save_all("a", [user(str(at)) for at in range(2000)])
    library.close()
    monkeypatch.setattr(database, "_OPENING_S", 0.0)
    monkeypatch.setattr(database, "_PACE", 1e12)
    library = Library.open(path)
    assert "interrupted" in library.notice
    assert len(library.read("a").messages) == 2000
