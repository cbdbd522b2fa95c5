"""llama.cpp's server, also as a router of several models. Source: `tools/server/README.md` of llama.cpp."""

from typing import Any
from urllib.parse import quote

from qwenchat.engine.remote.model_names import by_template
from qwenchat.engine.remote.offer import ServedModel, number
from qwenchat.engine.remote.probe import Probe, field
from qwenchat.engine.remote.request_format import RequestFormat, ThinkingControl
from qwenchat.engine.remote.servers.kind import Abilities, ServerKind


class LlamaCpp(ServerKind):
    """Tells its context and its chat template, and has its own name for the repetition penalty."""

    title = "llama.cpp"
    port = 8080
    owner = "llamacpp"
    request = RequestFormat(ThinkingControl.TEMPLATE, "top_k", "min_p", "repeat_penalty", continues={})

    def detect(self, probe: Probe) -> bool:
        """See `ServerKind.detect`."""
        return isinstance(probe.page("/props"), dict)

    def context_window(self, probe: Probe, offer: ServedModel) -> int:
        """See `ServerKind.context_window`."""
        return _window(_props(probe, offer))

    def abilities(self, probe: Probe, offer: ServedModel) -> Abilities:
        """See `ServerKind.abilities`."""
        template = str(field(_props(probe, offer), "chat_template") or "")
        return Abilities(by_template(template)) if template else super().abilities(probe, offer)


def _props(probe: Probe, offer: ServedModel) -> Any:
    """What it says of the model; a router has to be asked for it by name."""
    props = probe.page("/props")
    if field(props, "role") == "router" or not _window(props):
        named = probe.page(f"/props?model={quote(offer.name, safe='')}")
        return named if isinstance(named, dict) else props
    return props


def _window(props: Any) -> int:
    return number(field(props, "default_generation_settings", "n_ctx"))
