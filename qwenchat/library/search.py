"""Search in everything that was said, with excerpts that mark what was found."""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.dates import as_date
from qwenchat.library import encoding
from qwenchat.library.conversation import as_text
from qwenchat.library.index import SearchIndex, searchable
from qwenchat.library.query import Phrase, match, spans, terms
from qwenchat.library.words import fold

TITLE = "title"
_NEWEST = 2000
"""Of a word that is everywhere, so many messages are ranked, the newest."""
_BEFORE, _LENGTH = 40, 200
"""Characters of an excerpt before the first thing found, and in all."""
_LOOKED_AT = 300_000
"""Characters of a message that are looked at for an excerpt."""


@dataclass(frozen=True, slots=True)
class ExcerptPart:
    """A part of an excerpt, raw text on one line."""

    text: str
    hit: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that has what was searched for; its role is as stored, or TITLE where the title has it."""

    conversation: str
    title: str
    message: str
    role: str
    created: float
    excerpt: tuple[ExcerptPart, ...]


def search(connection: sqlite3.Connection, index: SearchIndex, typed: str, *, thoughts: bool, limit: int) -> list[Hit]:
    """The best matches first, renamed conversations whose title matches before all."""
    wanted = terms(typed)
    if not wanted or limit <= 0:
        return []
    hits = list(_titles(connection, [term.pattern for term in wanted if not term.begun], limit))
    ranked = sorted(index.find(match(wanted, thoughts=thoughts), _NEWEST), key=lambda row: (row[1], -row[0]))
    return hits + _read(connection, [number for number, _ in ranked], wanted, thoughts, limit - len(hits))


def search_in(
    connection: sqlite3.Connection, index: SearchIndex, conversation: str, typed: str, *, thoughts: bool, limit: int
) -> list[Hit]:
    """The best matches in one conversation, in the order in which they were said."""
    wanted = terms(typed)
    first, last = connection.execute(
        "select min(number), max(number) from messages where conversation = ?", (conversation,)
    ).fetchone()
    if not wanted or first is None:
        return []
    found = index.find(match(wanted, thoughts=thoughts), _NEWEST, first, last)
    best = [number for number, _ in sorted(found, key=lambda row: row[1])]
    own = [number for number in best if _is_of(connection, number, conversation)][:limit]
    return _read(connection, sorted(own), wanted, thoughts, limit)


def _is_of(connection: sqlite3.Connection, number: int, conversation: str) -> bool:
    sql = "select 1 from messages where number = ? and conversation = ? and hidden is null"
    return connection.execute(sql, (number, conversation)).fetchone() is not None


def _read(
    connection: sqlite3.Connection, numbers: Iterable[int], wanted: tuple[Phrase, ...], thoughts: bool, limit: int
) -> list[Hit]:
    """The messages with those numbers, as far as they are there."""
    patterns = [term.pattern for term in wanted]
    hits: list[Hit] = []
    for number in numbers:
        if len(hits) >= limit:
            break
        row = connection.execute(
            "select c.id, c.title, m.id, m.role, m.created, m.parts from messages m"
            " join conversations c on c.id = m.conversation"
            " where m.number = ? and m.hidden is null and c.deleted is null",
            (number,),
        ).fetchone()
        if row is not None:
            with suppress(ValueError, TypeError, RecursionError, OverflowError):
                hits.append(_hit(row, patterns, thoughts))
    return hits


def _titles(connection: sqlite3.Connection, patterns: list[re.Pattern[str]], limit: int) -> Iterator[Hit]:
    """Renamed conversations whose titles match; other titles are made of what was said."""
    rows = connection.execute(
        "select id, title, leaf, updated from conversations c where renamed and deleted is null and exists"
        " (select 1 from messages where id = c.leaf and hidden is null) order by updated desc"
    )
    for id_, title, leaf, updated in rows:
        text = as_text(title)
        folded = fold(text)
        if limit > 0 and all(pattern.search(folded) for pattern in patterns):
            limit -= 1
            yield Hit(id_, text, leaf, TITLE, as_date(updated), excerpt(text, patterns))


def _hit(row: tuple[Any, ...], patterns: list[re.Pattern[str]], thoughts: bool) -> Hit:
    conversation, title, message, role, created, parts = row
    said, thought = searchable(encoding.unpack_parts(parts))
    pieces = excerpt(said, patterns)
    if thoughts and thought and not any(piece.hit for piece in pieces):
        pieces = excerpt(thought, patterns)
    return Hit(conversation, as_text(title), as_text(message), as_text(role), as_date(created), pieces)


def excerpt(text: str, patterns: list[re.Pattern[str]]) -> tuple[ExcerptPart, ...]:
    """The part of `text` around the first thing found, on one line, with all that is found in it marked."""
    text = text[:_LOOKED_AT]
    folded = fold(text)
    firsts = [found.start() for pattern in patterns if (found := pattern.search(folded))]
    start = _word_begin(text, max(0, min(firsts, default=0) - _BEFORE))
    end = min(len(text), start + _LENGTH)
    pieces = [ExcerptPart("…", False)] if start else []
    at = start
    for begin, stop in spans(folded, patterns, start, end):
        pieces += [ExcerptPart(_line(text[at:begin]), False), ExcerptPart(_line(text[begin:stop]), True)]
        at = stop
    pieces += [ExcerptPart(_line(text[at:end]), False), ExcerptPart("…" if end < len(text) else "", False)]
    return tuple(piece for piece in pieces if piece.text)


def _word_begin(text: str, at: int) -> int:
    """A place not long after `at` where a word begins, if there is one."""
    space = text.find(" ", at, at + _BEFORE // 2) if at else -1
    return space + 1 if space >= 0 else at


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
