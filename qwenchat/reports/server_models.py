"""Models on servers, as rows for the shell."""

from collections.abc import Iterator, Sequence

from qwenchat.chat.server_profile import Server
from qwenchat.chat.text import safe_line
from qwenchat.console.table import aligned
from qwenchat.engine.remote.discovery import nearby, served
from qwenchat.engine.remote.listing import Offer
from qwenchat.i18n.texts import say


def models_of(server: Server) -> str:
    """What a server has. Raises ServerError and ConfigInvalid."""
    found = served(server)
    return aligned(_rows(found)) if found else say("It has no model.")


def servers_here() -> str:
    """The servers on this machine with their models; empty when none answers."""
    lines = []
    for server in nearby():
        names = safe_line(", ".join(offer.name for offer in server.models[:5]), 200) or "-"
        lines.append(f"{server.kind}: {names}\n  qwenchat --server {server.address}")
    return "\n".join((say("Servers on this machine:"), *lines)) if lines else ""


def _rows(offers: Sequence[Offer]) -> Iterator[tuple[str, ...]]:
    told = any(offer.context_window for offer in offers)
    yield say("MODEL"), say("CONTEXT") if told else ""
    for offer in offers:
        yield safe_line(offer.name, 100), f"{offer.context_window:,}" if offer.context_window else ""
