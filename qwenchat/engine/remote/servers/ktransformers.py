"""KTransformers' former server; today it runs inside of SGLang. Source: `doc/en/api/server` of KTransformers."""

from qwenchat.engine.remote.request_format import RequestFormat, ThinkingControl
from qwenchat.engine.remote.servers.kind import ServerKind


class KTransformers(ServerKind):
    """Takes all sampling parameters; nothing gives it away, so that it is named in the profile."""

    title = "KTransformers"
    request = RequestFormat(ThinkingControl.TEMPLATE, "top_k", "min_p", "repetition_penalty")
