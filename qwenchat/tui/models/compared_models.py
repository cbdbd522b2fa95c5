"""What can be asked side by side: models on this machine, and servers, by the names that people type."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.server_profile import Server
from qwenchat.chat.text import safe_line
from qwenchat.chat.typed_settings import words_of
from qwenchat.engine.local import embedded
from qwenchat.engine.local.catalog import find
from qwenchat.engine.resolve import resolve_model
from qwenchat.i18n.texts import say
from qwenchat.session.session import Session
from qwenchat.system.paths import Paths
from qwenchat.tui.models.servers import ServerListing


class ComparedModels:
    """Tells commands from names; the model that is loaded keeps the command that loaded it."""

    def __init__(self, session: Session, usual: LoadModel, servers: Mapping[str, Server]) -> None:
        """`usual` says how models are loaded here, `servers` are those of config.toml."""
        self._session = session
        self._usual = usual
        self.servers = servers

    def named(self, typed: str) -> tuple[LoadModel, ...]:
        """The commands for names with spaces between; with only one of them, the model that is loaded comes first.

        Raises ConfigInvalid for a quotation mark that is not closed and for one model alone, and ModelNotFound for what
        can be no model.
        """
        from qwenchat.engine.local.locate import require_name  # noqa: PLC0415  (imports the Hub)

        found = tuple(dict.fromkeys(map(self.command, words_of(typed))))
        current = self._session.model.command
        for command in found:
            if command.server is None and command.name is not None and command != current:
                require_name(command.name)
        if len(found) == 1 and current is not None and current not in found:
            return current, *found
        if len(found) == 1:
            raise ConfigInvalid(say("Each model answers once."), say("Name another beside it."))
        return found

    def command(self, name: str) -> LoadModel:
        """How to load what is called so, as `resolve_model` has it."""
        return self._known(resolve_model(name, self._asked, self.servers))

    def here(self, paths: Paths) -> Iterator[LoadModel]:
        """The models that are on this machine; takes a while."""
        from qwenchat.engine.local import offers  # noqa: PLC0415  (imports the Hub)

        found = (offer.name for offer in offers.known(paths) if offer.here)
        return (self._known(replace(self._asked, name=name, server=None)) for name in found)

    def served(self, listing: ServerListing) -> Iterator[LoadModel]:
        """The models of a server; as long as it has named none, the server itself, with whatever it has."""
        names: list[str | None] = [offer.name for offer in listing.offers]
        for name in names or [None]:
            yield self._known(replace(self._asked, name=name, server=listing.server))

    @property
    def _asked(self) -> LoadModel:
        return self._session.model.command or self._usual

    def _known(self, command: LoadModel) -> LoadModel:
        """The command that loaded the model, if it is that."""
        loaded = self._session.model.command
        return loaded if loaded is not None and self._is_loaded(command, loaded) else command

    def _is_loaded(self, command: LoadModel, loaded: LoadModel) -> bool:
        model = self._session.model.info
        if command.server != loaded.server:
            return False
        return command.name == loaded.name or (model is not None and model.name in (command.name, _full(command.name)))


def title_of(command: LoadModel, model: ModelInfo | None = None) -> str:
    """What a model is called on one line: by itself once it is loaded, else as it was asked for."""
    server = command.server
    asked = command.name or (server.model if server else None)
    if model is None and asked is None:
        return safe_line(server.name or server.address) if server else say("the usual model")
    name = model.name if model is not None else str(asked)
    return safe_line(name if "/" not in name or model is not None else Path(name).name)


def place_of(command: LoadModel, model: ModelInfo | None = None) -> str:
    """Where it runs: a server, or a device of this machine."""
    if model is not None:
        return safe_line(model.place)
    return safe_line(command.server.name or command.server.address) if command.server else say("this machine")


def _full(name: str | None) -> str | None:
    """The name that a model goes by once it is loaded, for a short one."""

    if name == "smollm2":
        return embedded.NAME
    known = find(name) if name is not None else None
    return known.hub_name if known is not None else name
