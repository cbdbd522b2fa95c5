"""MLX-LM's server. Source: `mlx_lm/SERVER.md` and `server.py`, run as 0.32."""

from qwenchat.engine.remote.probe import Probe, field
from qwenchat.engine.remote.request_format import RequestFormat, ThinkingControl
from qwenchat.engine.remote.servers.kind import ServerKind


class MLXLM(ServerKind):
    """Takes all sampling parameters, and knows no limit of its context: that of the model's folder is kept to."""

    title = "MLX-LM"
    port = 8080
    request = RequestFormat(ThinkingControl.TEMPLATE, "top_k", "min_p", "repetition_penalty")

    def detect(self, probe: Probe) -> bool:
        """See `ServerKind.detect`."""
        healthy = probe.page("/health") == {"status": "ok"}
        return healthy and field(probe.page("/openapi.json"), "paths") is None  # others describe themselves there
