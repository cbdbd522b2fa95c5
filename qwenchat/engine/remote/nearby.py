"""Servers on this machine, found at the ports where they usually listen."""

import socket
from contextlib import closing
from dataclasses import dataclass

from qwenchat.chat.server import Server
from qwenchat.engine.remote.connection import Connection
from qwenchat.engine.remote.probe import Offer, listed_in, offers

PORTS = {11434: "Ollama", 1234: "LM Studio", 8000: "vLLM", 8080: "llama.cpp", 30000: "SGLang"}
"""The port and the program that usually listens there."""
CONNECT_S = 0.2


@dataclass(frozen=True, slots=True)
class Nearby:
    """A server that answers on this machine."""

    kind: str
    """Which program usually listens at that port."""
    address: str
    models: tuple[Offer, ...]


def nearby(ports: dict[int, str] = PORTS) -> tuple[Nearby, ...]:
    """The servers that answer now with a list of models; nothing else is asked of them."""
    found = []
    for port, kind in ports.items():
        address = f"http://localhost:{port}"
        if _listens(port) and (models := _listed(Server(address))) is not None:
            found.append(Nearby(kind, address, models))
    return tuple(found)


def _listed(server: Server) -> tuple[Offer, ...] | None:
    """The models of what listens there, asked once and briefly; None for what is no such server."""
    connection = Connection(server)
    try:
        answer = connection.question(f"{connection.address.base}/models", lambda: False)
    finally:
        connection.close()
    return listed_in(answer)[0] if isinstance(answer, dict) and "data" in answer else None


def served(server: Server) -> tuple[Offer, ...]:
    """The models of a server. Raises ServerError and ConfigInvalid."""
    connection = Connection(server)
    try:
        return offers(connection, False, lambda: False)[0]
    finally:
        connection.close()


def _listens(port: int) -> bool:
    with closing(socket.socket()) as tried:
        tried.settimeout(CONNECT_S)
        return tried.connect_ex(("127.0.0.1", port)) == 0
