"""Ollama. Source: `docs/api.md` and `docs/openai.md` of Ollama."""

from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.engine.remote.model_names import by_name
from qwenchat.engine.remote.offer import ServedModel, number
from qwenchat.engine.remote.probe import Probe, field, items
from qwenchat.engine.remote.request_format import RequestFormat, ThinkingControl
from qwenchat.engine.remote.servers.kind import Abilities, ServerKind
from qwenchat.i18n.texts import say

LEAST_WINDOW = 4096
"""The context that it gives a model when nobody says otherwise; what is beyond it is cut without a word."""


class Ollama(ServerKind):
    """Its address for OpenAI's clients knows `reasoning_effort`, and no more than the OpenAI API."""

    title = "Ollama"
    port = 11434
    owner = "library"
    request = RequestFormat(ThinkingControl.EFFORT)
    loads_on_question = True

    def detect(self, probe: Probe) -> bool:
        """See `ServerKind.detect`."""
        return isinstance(probe.page("/api/version"), dict)

    def context_window(self, probe: Probe, offer: ServedModel) -> int:
        """What the running model has, which is loaded for that; else what its parameters say, else the least."""
        if not (window := _running(probe, offer)):
            load = {"model": offer.name, "stream": False}  # without a prompt that is all it does
            probe.page("/api/generate", load, probe.server.patience_s)
            window = _running(probe, offer)
        if window:
            return window
        about = probe.page("/api/show", {"model": offer.name})
        for line in str(field(about, "parameters") or "").splitlines():
            name, _, value = line.strip().partition(" ")
            if name == "num_ctx" and value.strip().isdigit():
                return int(value)
        return LEAST_WINDOW

    def abilities(self, probe: Probe, offer: ServedModel) -> Abilities:
        """See `ServerKind.abilities`."""
        can = items(field(probe.page("/api/show", {"model": offer.name}), "capabilities"))
        if not can:
            return super().abilities(probe, offer)
        named = by_name(offer.name)
        thinks = ThinkingSupport.SWITCHED if named in (None, ThinkingSupport.NONE) else named
        return Abilities(thinks if "thinking" in can else ThinkingSupport.NONE, "tools" in can)

    def notice(self, window: int) -> str:
        """See `ServerKind.notice`."""
        if window > LEAST_WINDOW:
            return ""
        return say(
            "Ollama gives this model a context of {window:,} tokens and cuts what is longer;"
            " OLLAMA_CONTEXT_LENGTH=32768 in its environment gives it more.",
            window=window,
        )


def _running(probe: Probe, offer: ServedModel) -> int:
    """The context of a model that runs; 0 if it does not."""
    rows = items(field(probe.page("/api/ps"), "models"))
    return next((number(field(row, "context_length")) for row in rows if field(row, "model") == offer.name), 0)
