"""Whether a database is one of ours: its schema is compared with what the migrations make, word for word.

SQLite runs what a schema says: triggers, generated columns, checks, expressions of indexes. So a file in which anything
else stands is not used; what was saved in it is read without its schema, see salvage.py.
"""

import re
import sqlite3
from contextlib import closing
from functools import cache

from qwenchat.i18n.texts import listed, say
from qwenchat.library.migrations import MIGRATIONS
from qwenchat.library.sqlite_file import open_file

_TOKENS = re.compile(r"'(?:[^']|'')*'|\"(?P<quoted>[^\"]*)\"|(?P<nothing>--[^\n]*|/\*.*?\*/|\s+)|\w+|.", re.DOTALL)
_LONGEST = 20_000
"""Characters of a statement in a schema that is looked at."""

Object = tuple[str, str, str, str]


def require_own(connection: sqlite3.Connection, version: int) -> None:
    """Raise sqlite3.DatabaseError unless the schema is that of this version, and sound checks say so."""
    there, wanted = objects(connection), objects_of(version)
    if missing := sorted(name for kind, name, *_ in wanted - there if kind == "table"):
        raise sqlite3.DatabaseError(say("tables are missing or not as they should be: {names}", names=listed(missing)))
    if there != wanted:
        names = listed(sorted({f"{kind} {name}" for kind, name, *_ in there ^ wanted})[:5])
        raise sqlite3.DatabaseError(say("its schema is not this program's: {names}", names=names))


def require_whole(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError unless every page, row and index holds together."""
    (said,) = connection.execute("pragma integrity_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(say("the integrity check failed: {said}", said=" ".join(str(said).split())[:200]))


@cache
def objects_of(version: int) -> frozenset[Object]:
    """The schema that the first `version` migrations make; nothing for a version that there is not."""
    if not 0 <= version <= len(MIGRATIONS):
        return frozenset()
    with closing(open_file(None)) as fresh:
        for step in MIGRATIONS[:version]:
            for statement in step.split(";"):
                fresh.execute(statement)
        return objects(fresh)


def objects(connection: sqlite3.Connection) -> frozenset[Object]:
    """What stands in the schema of a database, but for SQLite's own statistics."""
    rows = connection.execute(
        "select type, name, tbl_name, substr(coalesce(sql, ''), 1, ?) from sqlite_master", (_LONGEST,)
    )
    return frozenset(
        (str(kind), str(name), str(table), _words(str(sql)))
        for kind, name, table, sql in rows
        if not (kind == "table" and str(name).startswith("sqlite_stat"))
    )


def _words(sql: str) -> str:
    """A statement without comments and blanks; names are the same with and without quotes, as SQLite may add them."""
    found = (match for match in _TOKENS.finditer(sql) if match["nothing"] is None)
    return " ".join(match[0] if match["quoted"] is None else match["quoted"] for match in found)
