"""`transformers serve`. Source: `docs/source/en/serving.md` of transformers, and its `serve.py`."""

from qwenchat.engine.remote.probe import Probe, field
from qwenchat.engine.remote.request_format import RequestFormat, ThinkingControl
from qwenchat.engine.remote.servers.kind import ServerKind


class Transformers(ServerKind):
    """Takes what the OpenAI API has, without the penalties of presence and frequency."""

    title = "transformers serve"
    port = 8000
    request = RequestFormat(ThinkingControl.TEMPLATE, presence=False)

    def detect(self, probe: Probe) -> bool:
        """See `ServerKind.detect`."""
        paths = field(probe.page("/openapi.json"), "paths")
        return any(field(paths, path) is not None for path in ("/load_model", "/v1/systemone"))
