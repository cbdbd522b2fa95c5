"""What was said, by day, by model and by hour: one pass over the replies' own accounts."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from qwenchat.library.conversation import as_text


@dataclass(frozen=True, slots=True)
class ReplyTotals:
    """Sums over some replies."""

    replies: int = 0
    thinking_tokens: int = 0
    answer_tokens: int = 0
    thinking_s: float = 0.0
    seconds: float = 0.0
    """From each question to the end of its reply, thinking included."""
    decode_s: float = 0.0
    """Of these, what the tokens took at the speed that each reply has."""
    first_token_s: float = 0.0
    """Waiting for the first token, in all."""

    @property
    def tokens(self) -> int:
        """All that the model wrote."""
        return self.thinking_tokens + self.answer_tokens

    @property
    def tokens_per_s(self) -> float:
        """The mean speed, each token counting the same; 0 when nothing is known."""
        return self.tokens / self.decode_s if self.decode_s else 0.0

    @property
    def mean_first_token_s(self) -> float:
        """The mean wait for the first token."""
        return self.first_token_s / self.replies if self.replies else 0.0

    def __add__(self, other: "ReplyTotals") -> "ReplyTotals":
        names = ReplyTotals.__slots__
        return ReplyTotals(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True, slots=True)
class Statistics:
    """What happened since a day."""

    days: tuple[tuple[str, ReplyTotals], ...]
    """By ISO date in the local time zone, oldest first; days without replies are not there."""
    models: tuple[tuple[str, ReplyTotals], ...]
    """By the model's name, with that of its server if it has one; the one that wrote most first."""
    hours: tuple[int, ...]
    """Messages of the user by hour of the day, 24 of them."""
    conversations: int
    questions: int
    """Messages of the user."""

    @property
    def total(self) -> ReplyTotals:
        """All of it."""
        return _sum(figures for _, figures in self.days)


_BY_DAY = """
    select date(created, 'unixepoch', 'localtime') as day,
      json_extract(made, '$.model.name') || coalesce(' · ' || nullif(json_extract(made, '$.model.server'), ''), '')
      as model, count(*),
      sum(coalesce(json_extract(made, '$.usage.thinking_tokens'), 0)),
      sum(coalesce(json_extract(made, '$.usage.answer_tokens'), 0)),
      sum(coalesce(json_extract(made, '$.timing.thinking_s'), 0)),
      sum(coalesce(json_extract(made, '$.timing.total_s'), 0)),
      sum(coalesce((coalesce(json_extract(made, '$.usage.thinking_tokens'), 0)
        + coalesce(json_extract(made, '$.usage.answer_tokens'), 0))
        / nullif(json_extract(made, '$.timing.tokens_per_s'), 0), 0)),
      sum(coalesce(json_extract(made, '$.timing.first_token_s'), 0))
    from (select created, cast(provenance as text) as made from messages
      where role = 'assistant' and hidden is null and provenance is not null and created >= ?)
    where json_valid(made) group by day, model order by day
"""
_BY_HOUR = """
    select cast(strftime('%H', created, 'unixepoch', 'localtime') as integer), count(*) from messages
    where role = 'user' and hidden is null and created >= ? group by 1
"""
_CONVERSATIONS = "select count(distinct conversation) from messages where hidden is null and created >= ?"


def statistics(connection: sqlite3.Connection, since: float) -> Statistics:
    """Everything since a moment in Unix seconds; deleted messages do not count. Raises sqlite3.Error."""
    days: dict[str, ReplyTotals] = {}
    models: dict[str, ReplyTotals] = {}
    for day, model, *sums in connection.execute(_BY_DAY, (since,)):
        figures = ReplyTotals(*sums)
        days[as_text(day)] = days.get(as_text(day), ReplyTotals()) + figures
        models[as_text(model)] = models.get(as_text(model), ReplyTotals()) + figures
    hours = [0] * 24
    for hour, count in connection.execute(_BY_HOUR, (since,)):
        if isinstance(hour, int) and 0 <= hour < 24:
            hours[hour] = count
    (conversations,) = connection.execute(_CONVERSATIONS, (since,)).fetchone()
    ranked = sorted(models.items(), key=lambda item: -item[1].tokens)
    return Statistics(tuple(days.items()), tuple(ranked), tuple(hours), conversations, sum(hours))


def _sum(some: Iterable[ReplyTotals]) -> ReplyTotals:
    total = ReplyTotals()
    for figures in some:
        total += figures
    return total
