"""Rows of words in columns, for a terminal."""

from collections.abc import Iterable

from rich.cells import cell_len


def aligned(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows as lines with their columns below each other."""
    rows = list(rows)
    widths = [max(cell_len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ("  ".join(map(padded, row, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def padded(text: str, width: int) -> str:
    """`text` with blanks after it, so that it takes so many cells of a terminal; wide characters take two."""
    return text + " " * (width - cell_len(text))
