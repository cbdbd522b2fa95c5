"""A conversation in the list, below the heading of its day."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textual.content import Content

from qwenchat.chat.dates import local_time
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import count, say
from qwenchat.library.library import Summary
from qwenchat.tui.text.dates import age, period
from qwenchat.tui.transcript.long_list import ListHeading, ListRow

GUTTER = 2
"""The columns before a title, where the open conversation has its mark."""


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A conversation in the list: its title, and a line about it."""

    summary: Summary
    now: float
    is_open: bool

    @property
    def key(self) -> str:
        """The conversation's id."""
        return self.summary.id

    @property
    def height(self) -> int:
        """Two lines."""
        return 2

    def line(self, number: int, width: int) -> Content:
        """The title, or the line about it."""
        if number == 0:
            mark = ("● ", "$primary") if self.is_open else " " * GUTTER
            return Content.assemble(mark, (title_of(self.summary), "bold" if self.is_open else ""))
        messages = count("{number:,} message", "{number:,} messages", self.summary.messages)
        model = safe_line(self.summary.model.rpartition("/")[2], 60)
        about = " · ".join(text for text in (age(self.summary.updated, self.now), messages, model) if text)
        return Content.assemble(" " * GUTTER, (about, "$quiet"))


def title_of(summary: Summary) -> str:
    """A conversation's title, safe to be shown."""
    return safe_line(summary.title) or say("Untitled")


def grouped(summaries: Iterable[Summary], current: str | None) -> Iterator[ListRow]:
    """The rows of the conversations below the headings of their days."""
    now = time.time()
    today = local_time(now).date()
    group, since = "", math.inf
    for summary in summaries:
        if summary.pinned:
            named = say("Pinned")
        elif since <= summary.updated < math.inf:
            named = group
        else:
            found = period(summary.updated, today)
            named, since = found.name, found.since
        if named != group:
            yield ListHeading(named, first=not group)
            group = named
        yield ConversationRow(summary, now, summary.id == current)
