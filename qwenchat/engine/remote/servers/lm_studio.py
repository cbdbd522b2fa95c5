"""LM Studio. Source: lmstudio.ai/docs, "OpenAI Compatibility" and "REST API"."""

from urllib.parse import quote

from qwenchat.engine.remote.offer import ServedModel, number
from qwenchat.engine.remote.probe import Probe, field
from qwenchat.engine.remote.request_format import RequestFormat, ThinkingControl
from qwenchat.engine.remote.servers.kind import ServerKind


class LMStudio(ServerKind):
    """Leaves thinking to Qwen's soft switch."""

    title = "LM Studio"
    port = 1234
    owner = "organization_owner"
    request = RequestFormat(ThinkingControl.SOFT, "top_k", None, "repeat_penalty")

    def detect(self, probe: Probe) -> bool:
        """See `ServerKind.detect`."""
        return isinstance(probe.page("/api/v0/models"), dict)

    def context_window(self, probe: Probe, offer: ServedModel) -> int:
        """See `ServerKind.context_window`."""
        about = probe.page(f"/api/v0/models/{quote(offer.name)}")
        # A model that is not loaded gets the context that it is loaded with, which may be far below its most.
        not_yet = field(about, "state") == "not-loaded"
        most = 0 if not_yet else number(field(about, "max_context_length"))
        return number(field(about, "loaded_context_length")) or most
