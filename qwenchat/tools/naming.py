"""The names that a model calls the tools of servers by: as every API takes them, and never the same for two tools."""

import re
from hashlib import sha256

LONGEST = 64
LONGEST_SERVER = 32
_PLAIN_SERVER = re.compile(r"[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*")
_PLAIN_TOOL = re.compile(r"[A-Za-z0-9_-]+")
_DIGEST = re.compile(r"(?:.*-)?[0-9a-f]{8}", re.DOTALL)
_ODD = re.compile(r"[^A-Za-z0-9]+")


def name_for(server: str, tool: str) -> str:
    """The name of a tool of a server: `SERVER__TOOL`, where what cannot stand as it is gets a digest of itself.

    The name of the server has no `__`, so the first one shows where it ends, and no name of this program's own tools
    has any.
    """
    before = prefix_for(server)
    return before + _part(tool, _PLAIN_TOOL, LONGEST - len(before))


def prefix_for(server: str) -> str:
    """What the names of all tools of a server begin with, and of no other server's."""
    return _part(server, _PLAIN_SERVER, LONGEST_SERVER) + "__"


def _part(name: str, plain: re.Pattern[str], longest: int) -> str:
    """`name` itself if it is plain, short, and does not look like one with a digest."""
    if len(name) <= longest and plain.fullmatch(name) and not _DIGEST.fullmatch(name):
        return name
    digest = sha256(name.encode("utf-8", errors="surrogatepass")).hexdigest()[:8]
    readable = _ODD.sub("_", name[:1000])[: longest - len(digest) - 1].strip("_")
    return f"{readable}-{digest}" if readable else digest
