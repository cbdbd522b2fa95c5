"""Asks a server which program it is, how long its context window is, and what its model can do."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.server_profile import Dialect
from qwenchat.engine.remote.connection import Connection
from qwenchat.engine.remote.listing import Offer, Unwanted, number

_SIGNS = (
    ("/api/version", Dialect.OLLAMA),
    ("/props", Dialect.LLAMA_CPP),
    ("/api/v0/models", Dialect.LM_STUDIO),
    ("/get_model_info", Dialect.SGLANG),
    ("/version", Dialect.VLLM),
)
"""Where only one kind of server has something."""
OLLAMA_WINDOW = 4096
"""The context that Ollama gives a model when nobody says otherwise; what is beyond it is cut without a word."""
_THINKING: tuple[tuple[str, ThinkingSupport], ...] = (
    (r"qwen-?3.*(?:instruct|coder)|qwen-?2|qwen-?1|smollm2|tinyllama|gemma-?[123]\b|llama-?[23]|phi-?[23]\b|gpt-[34]",
     ThinkingSupport.NONE),
    (r"qwen-?3.*thinking|qwq|deepseek-r1|r1-distill|gpt-oss|(?:^|[/-])o[134]\b", ThinkingSupport.ALWAYS),
    (r"qwen-?3", ThinkingSupport.SWITCHED),
    (r"instruct", ThinkingSupport.NONE),
)  # fmt: skip
"""What names say of models; the first that fits counts."""
_SOFT_SWITCH = re.compile(r"qwen-?3(?![.\d]|-next|-vl|-omni)(?!.*2507)", re.IGNORECASE)
"""Names of models that know `/think` and `/no_think`."""


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


def window_of(connection: Connection, offer: Offer, dialect: Dialect, unwanted: Unwanted) -> int:
    """The context window in tokens; 0 when the server does not say and the profile neither."""
    if connection.server.context is not None:
        return connection.server.context
    root = connection.address.root
    match dialect:
        case Dialect.LLAMA_CPP:
            return number(_get(_get(_props(connection, offer, unwanted), "default_generation_settings"), "n_ctx"))
        case Dialect.OLLAMA:
            return _ollama_window(connection, offer, unwanted)
        case Dialect.LM_STUDIO:
            about = connection.question(f"{root}/api/v0/models/{quote(offer.name)}", unwanted)
            # A model that is not loaded gets the context that it is loaded with, which may be far below its most.
            not_yet = _get(about, "state") == "not-loaded"
            most = 0 if not_yet else number(_get(about, "max_context_length"))
            return number(_get(about, "loaded_context_length")) or most
        case _:
            return offer.context_window or (_config_window(offer.name) if connection.address.here else 0)


def _props(connection: Connection, offer: Offer, unwanted: Unwanted) -> Any:
    """What llama.cpp's server says of the model; a router has to be asked for it by name."""
    page = f"{connection.address.root}/props"
    props = connection.question(page, unwanted)
    if _get(props, "role") == "router" or not number(_get(_get(props, "default_generation_settings"), "n_ctx")):
        named = connection.question(f"{page}?model={quote(offer.name, safe='')}", unwanted)
        return named if isinstance(named, dict) else props
    return props


def _config_window(name: str) -> int:
    """The context in the `config.json` of a model in a folder of this machine."""
    try:
        config = json.loads((Path(name) / "config.json").read_bytes()[:1_000_000])
    except (OSError, ValueError):
        return 0
    return number(_get(config, "max_position_embeddings"))


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
    return next((number(_get(row, "context_length")) for row in rows if _get(row, "model") == offer.name), 0)


def abilities_of(
    connection: Connection, offer: Offer, dialect: Dialect, unwanted: Unwanted
) -> tuple[ThinkingSupport | None, bool]:
    """Which switches of thinking the model has, as the profile, its template, its capabilities or its name say, None
    where nothing does; and whether it can call tools: most servers do not tell, and refuse a turn with tools if not."""
    root, profile = connection.address.root, connection.server.thinking
    if dialect is Dialect.LLAMA_CPP:
        template = str(_get(_props(connection, offer, unwanted), "chat_template") or "")
        if template:
            return profile or by_template(template), True
    if dialect is Dialect.OLLAMA:
        can = _list(_get(connection.question(f"{root}/api/show", unwanted, {"model": offer.name}), "capabilities"))
        if can:
            named = by_name(offer.name)
            thinks = ThinkingSupport.SWITCHED if named in (None, ThinkingSupport.NONE) else named
            return profile or (thinks if "thinking" in can else ThinkingSupport.NONE), "tools" in can
    known = profile or by_name(offer.name) or by_name(offer.root)
    if known is None and dialect is Dialect.SGLANG:
        path = _get(connection.question(f"{root}/get_model_info", unwanted), "model_path")
        known = by_name(path if isinstance(path, str) else "")
    return known, True


def by_name(name: str) -> ThinkingSupport | None:
    """Which switch a model has, as its name says; None where that says nothing."""
    return next((support for pattern, support in _THINKING if re.search(pattern, name, re.IGNORECASE)), None)


def has_soft_switch(offer: Offer) -> bool:
    """Whether the model knows `/no_think` in a message."""
    return bool(_SOFT_SWITCH.search(offer.name) or _SOFT_SWITCH.search(offer.root))


def by_template(template: str) -> ThinkingSupport:
    """Which switch a model has, as its chat template says."""
    if "enable_thinking" in template:
        return ThinkingSupport.SWITCHED
    return ThinkingSupport.ALWAYS if "<think>" in template else ThinkingSupport.NONE


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
