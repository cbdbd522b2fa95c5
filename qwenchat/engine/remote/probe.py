"""Questions to a server about itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.server_profile import Server
from qwenchat.engine.remote.connection import ServerConnection, Unwanted


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks one server about itself, until that is no longer wanted."""

    connection: ServerConnection
    unwanted: Unwanted

    @property
    def server(self) -> Server:
        """What the user says of the server."""
        return self.connection.server

    def page(self, path: str, body: dict[str, Any] | None = None, within_s: float | None = None) -> Any:
        """The JSON at `path`, above the API's version; None where there is none, or not soon enough. Raises Stopped."""
        return self.connection.question(self.connection.address.root + path, self.unwanted, body, within_s)


def field(value: Any, *names: str) -> Any:
    """What stands in objects in each other under these names; None where one of them is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def items(value: Any) -> list[Any]:
    """A list; an empty one for anything else."""
    return value if isinstance(value, list) else []
