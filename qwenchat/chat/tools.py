"""What a model may call, and where it comes from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

ALL = "all"
"""Stands for every tool and server there is."""
BUILT_IN = ("date_and_time", "calculator", "list_files", "read_file", "search_files", "fetch_page")
"""The tools of this program."""
_BOUND = re.compile(r"(.+)@[0-9a-f]{16}", re.DOTALL)


def granted_name(entry: str) -> str:
    """The tool or server that an entry of `always` names, without the mark of the very server that was meant."""
    bound = _BOUND.fullmatch(entry)
    return bound[1] if bound else entry


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model reads of a tool."""

    name: str
    description: str
    parameters: str
    """A JSON schema of the arguments, as text; always that of an object."""


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """What the user allows tools in every chat: the table `[tools]` of config.toml."""

    on: tuple[str, ...] = ()
    """Tools, and servers of tools, that every chat has; each of their calls is asked about."""
    always: tuple[str, ...] = ()
    """Those that every chat has and that run without asking; with `@` and a mark of how the server was configured."""
    folders: tuple[str, ...] = ()
    """The folders that files may be listed, read and searched in."""
    private_addresses: bool = False
    """Whether pages may be fetched from this machine and the network around it."""

    @property
    def allowed(self) -> tuple[str, ...]:
        """All that every chat has."""
        return tuple(dict.fromkeys((*self.on, *map(granted_name, self.always))))


@dataclass(frozen=True, slots=True)
class McpServer:
    """A server of tools that speaks MCP: a command to be started, or an address."""

    name: str = ""
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables for the command, beside a few usual ones; it sees no others of this program's environment."""
    env_from: tuple[str, ...] = ()
    """Variables of this program's environment that the command sees too, such as one that holds a key."""
    url: str | None = None
    key_env: str | None = None
    """The environment variable with the key for `url`, which is sent as a bearer token."""
    start_s: float = 20.0
    """How long the server may take to start and to list its tools."""
    call_s: float = 60.0
    """How long a call may take."""
    cwd: str | None = None
    """The folder that the command starts in; None for where this program was started."""
