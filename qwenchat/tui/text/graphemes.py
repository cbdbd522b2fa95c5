"""Where the cursor may stand in a line: between whole characters as people see them, and outside of labels."""

from collections.abc import Iterator

_NEAR = 128
"""Code points before the cursor that are looked at; no character that people write is longer."""

Span = tuple[int, int]
"""The first column of something that is one for the cursor, and the column after it."""


def around(line: str, column: int, labels: Iterator[Span] | tuple[Span, ...] = ()) -> Span:
    """What the cursor at `column` stands before or in, as one piece; empty at the end of the line."""
    for start, end in labels:
        if start <= column < end:
            return start, end
    if column >= len(line):
        return len(line), len(line)
    if line[max(0, column - _NEAR) : column + _NEAR].isascii():
        return column, column + 1
    return _character(line, column)


def before(line: str, column: int, labels: tuple[Span, ...] = ()) -> int:
    """The column one piece to the left of `column`, which is not the first."""
    return around(line, column - 1, labels)[0]


def snapped(line: str, column: int, labels: tuple[Span, ...] = ()) -> int:
    """The nearest column to `column` where the cursor may stand; of a character that is its beginning."""
    start, end = around(line, column, labels)
    if column == start:
        return column
    return end if (start, end) in labels and end - column < column - start else start


def _character(line: str, column: int) -> Span:
    import regex  # noqa: PLC0415  (20 ms, and many never need it)

    at = max(0, column - _NEAR)
    for piece in regex.finditer(r"\X", line[at : column + _NEAR]):
        if at + piece.end() > column:
            return at + piece.start(), at + piece.end()
    return column, column + 1
