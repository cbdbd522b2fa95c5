"""The names that a model calls the tools of servers by: as every API takes them, and no two the same."""

import re
from collections.abc import Container

LONGEST = 64
_ODD = re.compile(r"[^A-Za-z0-9_-]+")


def name_for(server: str, tool: str, taken: Container[str]) -> str:
    """The name of a tool of a server."""
    name = _ODD.sub("_", f"{server}__{tool}")[:LONGEST]
    number = 2
    found = name
    while found in taken:
        ending = f"_{number}"
        found, number = name[: LONGEST - len(ending)] + ending, number + 1
    return found
