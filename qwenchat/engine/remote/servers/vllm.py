"""vLLM. Source: docs.vllm.ai, "OpenAI-Compatible Server", read and run as 0.32."""

from qwenchat.engine.remote.probe import Probe
from qwenchat.engine.remote.request_format import OverWindow, RequestFormat, ThinkingControl
from qwenchat.engine.remote.servers.kind import ServerKind


class VLLM(ServerKind):
    """Takes all sampling parameters of the model card, and shortens what is more than the rest of the context."""

    title = "vLLM"
    port = 8000
    owner = "vllm"
    request = RequestFormat(
        ThinkingControl.TEMPLATE,
        "top_k",
        "min_p",
        "repetition_penalty",
        budget="thinking_token_budget",
        over_window=OverWindow.CAPPED,
        continues={"continue_final_message": True, "add_generation_prompt": False},
    )

    def detect(self, probe: Probe) -> bool:
        """See `ServerKind.detect`."""
        return isinstance(probe.page("/version"), dict)
