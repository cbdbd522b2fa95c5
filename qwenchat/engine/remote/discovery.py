"""Servers on this machine, found at the ports where they usually listen."""

import socket
from collections.abc import Container, Mapping
from contextlib import closing
from dataclasses import dataclass

from qwenchat.chat.server_profile import Server
from qwenchat.engine.base import Stopped
from qwenchat.engine.remote.connection import ServerConnection, Unwanted
from qwenchat.engine.remote.listing import listing_for
from qwenchat.engine.remote.offer import ModelListing, ServedModel, listed_in
from qwenchat.engine.remote.servers.registry import by_owner, usual_ports
from qwenchat.i18n.texts import say

PORTS: Mapping[int, str] = usual_ports()
"""The port and the program that usually listens there."""
CONNECT_S = 0.2


@dataclass(frozen=True, slots=True)
class DiscoveredServer:
    """A server that answers on this machine."""

    kind: str
    """Which program it says it is, or that usually listens at that port."""
    host: str
    models: tuple[ServedModel, ...]

    @property
    def address(self) -> str:
        """As it can be given to --server."""
        return f"http://{self.host}"


def nearby(
    ports: Mapping[int, str] = PORTS, *, without: Container[int] = (), unwanted: Unwanted = lambda: False
) -> tuple[DiscoveredServer, ...]:
    """The servers that answer now with a list of models; nothing else is asked of them. Raises nothing.

    It gives up once it is `unwanted`.
    """
    found = []
    for port, kind in ports.items():
        host = f"localhost:{port}"
        if port not in without and _listens(port) and (models := _listed(Server(host), unwanted)) is not None:
            # All of these say in their list what they are: what does not is another that listens there.
            owner = by_owner(models.owner)
            kind = owner.title if owner else kind if not models.offers else say("a server")
            found.append(DiscoveredServer(kind, host, models.offers))
    return tuple(found)


def _listed(server: Server, unwanted: Unwanted) -> ModelListing | None:
    """What listens there: its models and what it says it is, asked once and briefly; None for no such server."""
    connection = ServerConnection(server)
    try:
        answer = connection.question(f"{connection.address.base}/models", unwanted)
    except Stopped:
        return None
    finally:
        connection.close()
    listing = listed_in(answer)
    return listing if listing.readable else None


def served(server: Server, unwanted: Unwanted = lambda: False) -> tuple[ServedModel, ...]:
    """The models of a server; the one that its profile names if it lists none. Raises as `listing_of` does."""
    connection = ServerConnection(server)
    try:
        found = listing_for(connection, server.model, unwanted).offers
    finally:
        connection.close()
    return found or ((ServedModel(server.model),) if server.model is not None else ())


def _listens(port: int) -> bool:
    with closing(socket.socket()) as tried:
        tried.settimeout(CONNECT_S)
        return tried.connect_ex(("127.0.0.1", port)) == 0
