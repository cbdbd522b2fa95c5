"""The servers that the user named, and those that run on this machine, with what each says it has."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.server_profile import Server
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.remote.address import address_of

if TYPE_CHECKING:
    from qwenchat.engine.remote.offer import ServedModel

LOOK_AGAIN_S = 3.0
"""Between two looks at the ports of this machine."""


@dataclass(frozen=True, slots=True)
class ServerListing:
    """A server and what it said."""

    server: Server
    label: str
    """The user's name for it, or its host."""
    host: str = ""
    kind: str = ""
    """The program that usually listens there, for one that was found on this machine."""
    private: bool = True
    """Whether nobody on the way can read what is sent there."""
    offers: "tuple[ServedModel, ...]" = ()
    problem: str = ""
    """Why there is nothing, in words."""
    asked: bool = True
    """Whether it has answered, or could not."""


class ServerListings:
    """Asks servers what they have, beside the interface; `changed` is called when there is something new.

    Those that were not named by the user are only offered: nothing but the list of their models is asked of them.
    """

    def __init__(self, named: Iterable[Server], changed: Callable[[], object]) -> None:
        self._changed = changed
        self._stop = StopSignal()
        self._named = {server.name or server.address: _unasked(server) for server in named}
        self._found: tuple[ServerListing, ...] = ()

    @property
    def listings(self) -> tuple[ServerListing, ...]:
        """What is known so far, the named servers first."""
        return (*self._named.values(), *self._found)

    async def ask(self) -> None:
        """Ask the named servers, all at once, and look for others until `stop`."""
        await asyncio.gather(*(self._ask(key) for key in self._named), self._look())

    def stop(self) -> None:
        """Give up what has not answered."""
        self._stop.set()

    async def _ask(self, key: str) -> None:
        asked = await asyncio.to_thread(_answer_of, self._named[key], self._stop.is_set)
        if not self._stop.is_set():
            self._named[key] = asked
            self._changed()

    async def _look(self) -> None:
        while not self._stop.is_set():
            found = await asyncio.to_thread(_nearby, tuple(self._named.values()), self._stop.is_set)
            if found != self._found and not self._stop.is_set():
                self._found = found
                self._changed()
            await asyncio.sleep(LOOK_AGAIN_S)


def _unasked(server: Server) -> ServerListing:
    return ServerListing(server, server.name or server.address, asked=False)


def _answer_of(listing: ServerListing, unwanted: Callable[[], bool]) -> ServerListing:
    """What a server has; runs in a thread of its own, since it waits."""
    from qwenchat.engine.remote.discovery import served  # noqa: PLC0415  (imports openai)

    server = listing.server
    try:
        address = address_of(server.address)
        listing = replace(listing, label=server.name or address.host, host=address.host, private=address.private)
        return replace(listing, asked=True, offers=served(server, unwanted))
    except QwenchatError as error:
        return replace(listing, asked=True, problem=str(error))
    except Stopped:
        return listing


def _nearby(named: tuple[ServerListing, ...], unwanted: Callable[[], bool]) -> tuple[ServerListing, ...]:
    """The servers of this machine that have no name yet."""
    from qwenchat.engine.remote.discovery import nearby  # noqa: PLC0415  (imports openai)

    known = {port for listing in named if (port := _port_here(listing.server.address)) is not None}
    found = nearby(without=known, unwanted=unwanted)
    return tuple(ServerListing(Server(one.address), one.host, one.host, one.kind, offers=one.models) for one in found)


def _port_here(typed: str) -> int | None:
    """The port of an address on this machine."""
    try:
        address = address_of(typed)
    except QwenchatError:
        return None
    return address.port if address.here else None
