"""Statistics in words and rows, for the screen and the shell alike."""

from collections.abc import Iterator

from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import count, say
from qwenchat.library.statistics import ReplyTotals, Statistics


def headline(found: Statistics) -> str:
    """The totals in two lines."""
    total = found.total
    said = count("{number:,} reply", "{number:,} replies", total.replies)
    talks = count("{number:,} conversation", "{number:,} conversations", found.conversations)
    tokens = say("{tokens:,} tokens, {share:.0f} % of them thought", tokens=total.tokens, share=_share(total))
    pace = say("{rate:.1f} tokens a second, the first after {first:.2f} s on average", rate=total.tokens_per_s,
               first=total.mean_first_token_s)  # fmt: skip
    return f"{said} · {talks} · {_time(total.seconds)}\n{tokens} · {pace}"


def rows_by_model(found: Statistics) -> Iterator[tuple[str, ...]]:
    """One row for each model, below a row of headings."""
    yield _headings(say("MODEL"))
    for name, figures in found.models:
        yield safe_line(name.rpartition("/")[2], 30), *_cells(figures)


def rows_by_day(found: Statistics) -> Iterator[tuple[str, ...]]:
    """One row for each day, the latest first, below a row of headings."""
    yield _headings(say("DAY"))
    for day, figures in reversed(found.days):
        yield day, *_cells(figures)


def _headings(first: str) -> tuple[str, ...]:
    return first, say("REPLIES"), say("THOUGHT"), say("ANSWERED"), say("TOK/S"), say("FIRST"), say("TIME")


def _cells(figures: ReplyTotals) -> tuple[str, ...]:
    return (
        f"{figures.replies:,}",
        f"{figures.thinking_tokens:,}",
        f"{figures.answer_tokens:,}",
        f"{figures.tokens_per_s:.1f}",
        say("{seconds:.2f} s", seconds=figures.mean_first_token_s),
        _time(figures.seconds),
    )


def _share(figures: ReplyTotals) -> float:
    return 100 * figures.thinking_tokens / figures.tokens if figures.tokens else 0.0


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 60:
        return say("{seconds:.0f} s", seconds=seconds)
    return say("{minutes} min", minutes=minutes) if minutes < 120 else say("{hours:.1f} h", hours=minutes / 60)
