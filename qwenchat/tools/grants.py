"""What may always run: by its name, and for the tools of servers by how the server is configured."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256

from qwenchat.chat.tools import BUILT_IN, McpServer
from qwenchat.tools.naming import prefix_for


class Grants:
    """The entries of `always`. One that is bound to a server counts as long as that is configured as it was."""

    def __init__(self, entries: Iterable[str], servers: Mapping[str, McpServer]) -> None:
        self._entries = set(entries)
        self._servers = servers

    def covers(self, name: str) -> bool:
        """Whether a tool, or all tools of a server, may run without asking."""
        if (server := self._of_tool(name) or self.server_of(name)) is None:
            return name in BUILT_IN and name in self._entries
        of_tool = {self._bound(name, server)} | ({name} - self._servers.keys())
        of_server = {server, self._bound(server, server)} - {*BUILT_IN}
        return not self._entries.isdisjoint(of_tool | of_server)

    def add(self, name: str) -> str:
        """Let a tool run from now on; gives the entry that says so."""
        self._entries.add(entry := self._bound(name, self._of_tool(name)))
        return entry

    def entry_for(self, name: str) -> str:
        """The entry for a tool or a server, bound to what that is now."""
        return self._bound(name, self.server_of(name))

    def server_of(self, name: str) -> str | None:
        """The server that is meant by its name, or by the name of one of its tools; None for the program's own."""
        if name in BUILT_IN:
            return None
        return name if name in self._servers else self._of_tool(name)

    def _of_tool(self, name: str) -> str | None:
        return next((server for server in self._servers if name.startswith(prefix_for(server))), None)

    def _bound(self, name: str, server: str | None) -> str:
        if server is None:
            return name
        it = self._servers[server]
        about = (
            name, it.name, it.command, it.args, it.cwd, sorted(it.env.items()), sorted(it.env_from), it.url, it.key_env,
        )  # fmt: skip
        return f"{name}@{sha256(json.dumps(about).encode()).hexdigest()[:16]}"
