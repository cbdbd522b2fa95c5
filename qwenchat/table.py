"""Rows of words in columns, for a terminal."""

from collections.abc import Iterable


def aligned(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows as lines with their columns below each other."""
    rows = list(rows)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
