"""Asks a server which program it is, which models it has, and how long its context window is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.errors import ModelNotFound, ServerFaulty
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.server_profile import Dialect
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.engine.base import Stopped
from qwenchat.engine.remote.connection import Connection
from qwenchat.i18n.texts import say

Unwanted = Callable[[], bool]
_OWNERS = {
    "vllm": Dialect.VLLM,
    "sglang": Dialect.SGLANG,
    "llamacpp": Dialect.LLAMA_CPP,
    "library": Dialect.OLLAMA,
    "organization_owner": Dialect.LM_STUDIO,
}
"""What servers say of themselves in `owned_by` of their models."""
_SIGNS = (
    ("/api/version", Dialect.OLLAMA),
    ("/props", Dialect.LLAMA_CPP),
    ("/api/v0/models", Dialect.LM_STUDIO),
    ("/get_model_info", Dialect.SGLANG),
    ("/version", Dialect.VLLM),
)
"""Where only one kind of server has something."""
LIST_S = 10.0
"""How long a server may take to list its models."""
OLLAMA_WINDOW = 4096
"""The context that Ollama gives a model when nobody says otherwise; what is beyond it is cut without a word."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One model of a server."""

    name: str
    context_window: int = 0
    """Tokens; 0 when the server does not say."""

    @property
    def title(self) -> str:
        """Its name for people: servers call a model in a folder or a file by its path."""
        is_path = self.name.endswith(".gguf") or self.name.startswith("/")
        return self.name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if is_path else self.name


def offers(connection: Connection, named: bool, unwanted: Unwanted) -> tuple[tuple[Offer, ...], Dialect]:
    """The models that the server lists, and what it says it is. Raises what the connection does, and Stopped.

    A server that cannot list its models may have the one that is `named` all the same.
    """

    async def listed() -> Any:
        options: Any = {"timeout": LIST_S}
        return await connection.client.get("/models", cast_to=object, options=options)

    try:
        answer = connection.received(connection.waiting.until_done(listed(), unwanted))
    except Stopped:
        raise
    except Exception as error:
        failure = connection.typed(error)
        if named and isinstance(failure, ServerFaulty):  # `transformers serve` fails here without a cache of the Hub
            return (), Dialect.AUTO
        raise failure from error
    if not isinstance(answer, dict) or "data" not in answer:
        raise connection.typed(TypeError())
    return listed_in(answer)


def listed_in(answer: Any) -> tuple[tuple[Offer, ...], Dialect]:
    """The models in a server's list, and what that says the server is."""
    rows = [row for row in _list(_get(answer, "data")) if isinstance(_get(row, "id"), str)]
    owner = str(_get(rows[0], "owned_by")) if rows else ""
    found = tuple(Offer(row["id"], _number(_get(row, "max_model_len"))) for row in rows)
    return found, _OWNERS.get(owner, Dialect.AUTO)


def dialect_of(connection: Connection, said: Dialect, unwanted: Unwanted) -> Dialect:
    """Which program the server is: as the profile says, as it says itself, or as what it has gives away."""
    if connection.server.dialect is not Dialect.AUTO:
        return connection.server.dialect
    if said is not Dialect.AUTO:
        return said
    root = connection.address.root
    for path, dialect in _SIGNS:
        if isinstance(connection.question(root + path, unwanted), dict):
            return dialect
    paths = _get(connection.question(f"{root}/openapi.json", unwanted), "paths")
    if paths is not None:
        return Dialect.TRANSFORMERS if _get(paths, "/load_model") or _get(paths, "/v1/systemone") else Dialect.OPENAI
    healthy = connection.question(f"{root}/health", unwanted) == {"status": "ok"}
    return Dialect.MLX_LM if healthy else Dialect.OPENAI


def chosen(offered: tuple[Offer, ...], asked: str | None, host: str) -> Offer:
    """The model that was asked for, by name or the beginning of one, or the first. Raises ModelNotFound."""
    if not offered and asked is None:
        raise ModelNotFound(say("{host} offers no model.", host=host), say("Load one there, or name one: --model."))
    if asked is None:
        return offered[0]
    for fits in (lambda name: name == asked, lambda name: name.split(":")[0] == asked, lambda name: asked in name):
        if found := [offer for offer in offered if fits(offer.name)]:
            return found[0]
    if not offered:  # a server that lists nothing may have it all the same
        return Offer(asked)
    raise ModelNotFound(
        say("{host} has no model {model}.", host=host, model=safe_line(asked)),
        safe_line(did_you_mean(asked, [offer.name for offer in offered], most=3), 400)
        or say("It has {models}.", models=safe_line(", ".join(offer.name for offer in offered), 400)),
    )


def window_of(connection: Connection, offer: Offer, dialect: Dialect, unwanted: Unwanted) -> int:
    """The context window in tokens; 0 when the server does not say and the profile neither."""
    if connection.server.context is not None:
        return connection.server.context
    root = connection.address.root
    match dialect:
        case Dialect.LLAMA_CPP:
            settings = _get(connection.question(f"{root}/props", unwanted), "default_generation_settings")
            return _number(_get(settings, "n_ctx"))
        case Dialect.OLLAMA:
            return _ollama_window(connection, offer, unwanted)
        case Dialect.LM_STUDIO:
            about = connection.question(f"{root}/api/v0/models/{offer.name}", unwanted)
            return _number(_get(about, "loaded_context_length")) or _number(_get(about, "max_context_length"))
        case _:
            return offer.context_window


def _ollama_window(connection: Connection, offer: Offer, unwanted: Unwanted) -> int:
    """What the running model has, which is loaded for that; else what its parameters say, else Ollama's least."""
    root = connection.address.root
    if not (window := _ollama_running(connection, offer, unwanted)):
        load = {"model": offer.name, "stream": False}  # without a prompt that is all it does
        connection.question(f"{root}/api/generate", unwanted, load, connection.server.patience_s)
        window = _ollama_running(connection, offer, unwanted)
    if window:
        return window
    about = connection.question(f"{root}/api/show", unwanted, {"model": offer.name})
    for line in str(_get(about, "parameters") or "").splitlines():
        name, _, value = line.strip().partition(" ")
        if name == "num_ctx" and value.strip().isdigit():
            return int(value)
    return OLLAMA_WINDOW


def _ollama_running(connection: Connection, offer: Offer, unwanted: Unwanted) -> int:
    """The context of a model that runs; 0 if it does not."""
    rows = _list(_get(connection.question(f"{connection.address.root}/api/ps", unwanted), "models"))
    return next((_number(_get(row, "context_length")) for row in rows if _get(row, "model") == offer.name), 0)


def abilities_of(
    connection: Connection, offer: Offer, dialect: Dialect, unwanted: Unwanted
) -> tuple[ThinkingSupport, bool]:
    """Which switches of thinking the model has, as its template, its capabilities or its name say, and whether it can
    call tools: most servers do not tell, and refuse a turn with tools if it cannot."""
    root = connection.address.root
    if dialect is Dialect.LLAMA_CPP:
        template = str(_get(connection.question(f"{root}/props", unwanted), "chat_template") or "")
        if template:
            return _by_template(template), True
    if dialect is Dialect.OLLAMA:
        can = _list(_get(connection.question(f"{root}/api/show", unwanted, {"model": offer.name}), "capabilities"))
        if can:
            thinking = _by_name(offer.name) if "thinking" in can else ThinkingSupport.NONE
            return thinking, "tools" in can
    return _by_name(offer.name), True


def _by_name(name: str) -> ThinkingSupport:
    name = name.lower()
    if "qwen3" not in name or "instruct" in name or "coder" in name:
        return ThinkingSupport.NONE
    return ThinkingSupport.ALWAYS if "thinking" in name else ThinkingSupport.SWITCHED


def _by_template(template: str) -> ThinkingSupport:
    if "enable_thinking" in template:
        return ThinkingSupport.SWITCHED
    return ThinkingSupport.ALWAYS if "<think>" in template else ThinkingSupport.NONE


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
