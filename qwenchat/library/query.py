"""What someone typed to search for, as a query that FTS5 understands and as patterns to mark what was found."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from qwenchat.library.words import fold, pattern, stands_alone, tokens

_TERMS = 24
_WORDS = 64
"""How many words and how long a phrase are looked at, so that a pasted page is no burden."""
_PREFIX = 2
"""Letters from which on a word is a beginning; words that begin with one letter are most of them."""
_PIECE = re.compile(r'"([^"]*)("?)|([^"\s]+)')


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand one after the other."""

    words: tuple[str, ...]
    whole: bool
    """Whether the last word is all of it, not its beginning."""
    begun: bool = False
    """Whether it is a single letter at the end, perhaps of the next word: it lifts a hit and is not required."""

    @property
    def match(self) -> str:
        """In FTS5's language."""
        return f'"{" ".join(self.words)}"{"" if self.whole else " *"}'

    @property
    def pattern(self) -> re.Pattern[str]:
        """What finds it in folded text."""
        return pattern(list(self.words), whole=self.whole)


def terms(typed: str) -> tuple[Phrase, ...]:
    """All of these are wanted. Quotes make a phrase of whole words; else words are beginnings of words."""
    found: list[Phrase] = []
    for quoted, closed, plain in _PIECE.findall(typed[: 64 * _WORDS].replace("\0", " ")):
        words = tokens(quoted or plain)[:_WORDS]
        if words:
            last = words[-1]
            found.append(Phrase(tuple(words), bool(closed) or stands_alone(last) or len(last) < _PREFIX))
    found = list(dict.fromkeys(found[:_TERMS]))
    if len(found) > 1 and typed[-1:].isalnum() and _is_letter(found[-1]):
        found[-1] = replace(found[-1], begun=True)
    return tuple(found)


def _is_letter(term: Phrase) -> bool:
    word = term.words[0]
    return len(term.words) == 1 and len(word) == 1 and not stands_alone(word)


Span = tuple[int, int]
"""From where to where in a text."""


class SearchQuery:
    """What someone searches for, found in a text as the search finds it."""

    def __init__(self, typed: str) -> None:
        wanted = terms(typed)
        self._patterns = [term.pattern for term in wanted]
        self._required = [term.pattern for term in wanted if not term.begun]

    def is_in(self, text: str) -> bool:
        """Whether a text has all that is wanted."""
        folded = fold(text)
        return bool(self._required) and all(pattern.search(folded) for pattern in self._required)

    def spans(self, text: str) -> list[Span]:
        """Where in a text anything of it stands, in order and without overlap."""
        return spans(fold(text), self._patterns)


def spans(folded: str, patterns: Iterable[re.Pattern[str]], start: int = 0, end: int | None = None) -> list[Span]:
    """Where something is found in folded text, in order and without overlap."""
    end = len(folded) if end is None else end
    found = sorted(hit.span() for pattern in patterns for hit in pattern.finditer(folded, start, end))
    apart: list[Span] = []
    for begin, stop in found:
        if apart and begin < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(stop, apart[-1][1]))
        else:
            apart.append((begin, stop))
    return apart


def match(wanted: tuple[Phrase, ...], *, thoughts: bool) -> str:
    """The query for FTS5."""
    column = "" if thoughts else "{said} : "
    required = " AND ".join(term.match for term in wanted if not term.begun)
    lifting = "".join(f" AND ({term.match} OR ({required}))" for term in wanted if term.begun)
    return f"{column}({required}{lifting})"
