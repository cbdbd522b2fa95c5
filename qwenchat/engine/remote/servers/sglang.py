"""SGLang. Source: docs.sglang.ai, "OpenAI APIs", and its `http_server.py`."""

from dataclasses import replace

from qwenchat.engine.remote.model_names import by_name
from qwenchat.engine.remote.offer import ServedModel
from qwenchat.engine.remote.probe import Probe, field
from qwenchat.engine.remote.request_format import OverWindow, RequestFormat, ThinkingControl
from qwenchat.engine.remote.servers.kind import Abilities, ServerKind


class SGLang(ServerKind):
    """Takes all sampling parameters of the model card, and refuses a reply beyond the context."""

    title = "SGLang"
    port = 30000
    owner = "sglang"
    keeps_seed = False
    request = RequestFormat(
        ThinkingControl.TEMPLATE,
        "top_k",
        "min_p",
        "repetition_penalty",
        over_window=OverWindow.LEFT_OUT,
        continues={"continue_final_message": True},
    )

    def detect(self, probe: Probe) -> bool:
        """See `ServerKind.detect`."""
        return isinstance(probe.page("/get_model_info"), dict)

    def abilities(self, probe: Probe, offer: ServedModel) -> Abilities:
        """See `ServerKind.abilities`."""
        can = super().abilities(probe, offer)
        if can.thinking is not None or probe.server.thinking is not None:
            return can
        path = field(probe.page("/get_model_info"), "model_path")  # what stands behind a name of the server's own
        return replace(can, thinking=by_name(path if isinstance(path, str) else ""))
