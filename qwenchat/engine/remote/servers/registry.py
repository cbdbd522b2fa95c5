"""All kinds of servers, and which of them a server is."""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

from qwenchat.chat.server_profile import Dialect
from qwenchat.engine.remote.probe import Probe
from qwenchat.engine.remote.servers.kind import ServerKind


def _kind_in(module: ModuleType) -> ServerKind:
    """The one kind that a module defines."""
    (kind,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServerKind) and value.__module__ == module.__name__
    )
    return kind()


KINDS: Mapping[Dialect, ServerKind] = {
    dialect: _kind_in(import_module(f"qwenchat.engine.remote.servers.{dialect.name.lower()}"))
    for dialect in Dialect
    if dialect is not Dialect.AUTO
}
"""The kind of each name that the config has for one; a server is asked in this order which it is."""


def kind_of(probe: Probe, owner: str) -> ServerKind:
    """Which kind the server is: as the profile says, as its list says, or as what it has gives away."""
    if probe.server.dialect is not Dialect.AUTO:
        return KINDS[probe.server.dialect]
    return by_owner(owner) or next((kind for kind in KINDS.values() if kind.detect(probe)), KINDS[Dialect.OPENAI])


def by_owner(owner: str) -> ServerKind | None:
    """The kind that says that of itself in its list of models."""
    return next((kind for kind in KINDS.values() if kind.owner and kind.owner == owner), None)


def usual_ports() -> Mapping[int, str]:
    """Where kinds of servers usually listen, with the title of the first that does."""
    ports: dict[int, str] = {}
    for kind in KINDS.values():
        if kind.port:
            ports.setdefault(kind.port, kind.title)
    return ports
