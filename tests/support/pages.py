"""The pages of the documentation: their sections, tables and what they say in code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def section(text: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The rows of all tables of a text, without their headings."""
    found, in_table = [], False
    for line in text.splitlines():
        if not line.startswith("|"):
            in_table = False
        elif in_table and not line.startswith("|---"):
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        else:
            in_table = line.startswith("|---")
    return found


def names(cell: str) -> list[str]:
    """What a cell says in code."""
    return re.findall(r"`([^`]+)`", cell)
