"""A server with an OpenAI-compatible address: where it is and how to speak to it."""

from dataclasses import dataclass
from enum import StrEnum

from qwenchat.chat.provenance import ThinkingSupport


class Dialect(StrEnum):
    """The program that serves the model, by its name in the config.

    What each does is a file of `engine/remote/servers`, named as the member is. A server that does not say what it is
    is tried in this order.
    """

    AUTO = "auto"
    """Found out by asking the server."""
    OLLAMA = "ollama"
    LLAMA_CPP = "llama.cpp"
    LM_STUDIO = "lmstudio"
    SGLANG = "sglang"
    VLLM = "vllm"
    TRANSFORMERS = "transformers"
    MLX_LM = "mlx-lm"
    KTRANSFORMERS = "ktransformers"
    OPENAI = "openai"
    """None of those above: only what the OpenAI API itself has."""


@dataclass(frozen=True, slots=True)
class Server:
    """A profile of the config, or an address that was typed. It never holds the key itself."""

    address: str
    """As in "http://localhost:8000/v1"."""
    name: str = ""
    """What the user calls it; empty for a typed address."""
    model: str | None = None
    """The model to ask for; None for the first that the server lists."""
    dialect: Dialect = Dialect.AUTO
    key_env: str | None = None
    """The environment variable that has the key."""
    key_file: str | None = None
    """The file that has the key; nobody but its owner may read it."""
    ca_file: str | None = None
    """Certificates to trust beside the usual ones, for a server with a certificate of its own."""
    thinking: ThinkingSupport | None = None
    """Which switch of thinking the model has, where neither server nor name says."""
    context: int | None = None
    """The context window in tokens, where the server does not say."""
    patience_s: float = 300.0
    """How long the server may be silent before a turn fails."""
