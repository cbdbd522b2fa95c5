"""What all kinds of servers have in common."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.engine.remote.model_names import by_name
from qwenchat.engine.remote.offer import ServedModel, number
from qwenchat.engine.remote.probe import Probe, field
from qwenchat.engine.remote.request_format import RequestFormat


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a model can do, as far as its server or its name says."""

    thinking: ThinkingSupport | None = None
    """Which switch of thinking it has; None where nothing says."""
    tools: bool = True
    """Whether it can call tools: most servers do not say, and refuse a turn with tools if not."""


class ServerKind:
    """A program that serves models. A kind of its own overrides what it does in another way than the OpenAI API."""

    title: ClassVar[str] = ""
    """Its name for people."""
    port: ClassVar[int] = 0
    """Where it usually listens; 0 for no place of its own."""
    owner: ClassVar[str] = ""
    """What it says of itself in `owned_by` of its models; empty where it says nothing of use."""
    request: ClassVar[RequestFormat] = RequestFormat()
    """What it understands in a request."""
    keeps_seed: ClassVar[bool] = True
    """Whether it gives the same text for the same seed, as far as was seen."""
    loads_on_question: ClassVar[bool] = False
    """Whether `context_window` makes it load the model, which takes a while."""

    def detect(self, probe: Probe) -> bool:
        """Whether the server is of this kind, as something gives away that only this kind has."""
        return False

    def context_window(self, probe: Probe, offer: ServedModel) -> int:
        """The context window in tokens, which the profile does not say; 0 where the server does not either."""
        here = probe.connection.address.here
        return offer.context_window or (_config_window(offer.name) if here else 0)

    def abilities(self, probe: Probe, offer: ServedModel) -> Abilities:
        """What the model can do; what the profile says of its thinking counts more."""
        return Abilities(by_name(offer.name) or by_name(offer.root))

    def notice(self, window: int) -> str:
        """What the reader should know once the model is loaded with that context; empty for nothing."""
        return ""


def _config_window(name: str) -> int:
    """The context in the `config.json` of a model in a folder of this machine."""
    try:
        config: Any = json.loads((Path(name) / "config.json").read_bytes()[:1_000_000])
    except (OSError, ValueError):
        return 0
    return number(field(config, "max_position_embeddings"))
