"""The models that a server lists, in whichever shape, and the one of them that is meant."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.errors import ModelNotFound
from qwenchat.chat.server_profile import Dialect
from qwenchat.chat.text import safe_line
from qwenchat.engine.base import Stopped
from qwenchat.engine.remote.connection import Connection
from qwenchat.i18n.texts import listed, say

Unwanted = Callable[[], bool]
LIST_S = 10.0
"""How long a server may take to list its models."""
AGAIN_S = 1.0
"""Between two questions while it loads one."""
_OWNERS = {
    "vllm": Dialect.VLLM,
    "sglang": Dialect.SGLANG,
    "llamacpp": Dialect.LLAMA_CPP,
    "library": Dialect.OLLAMA,
    "organization_owner": Dialect.LM_STUDIO,
}
"""What servers say of themselves in `owned_by` of their models."""
_NO_CHAT = re.compile(
    r"embed|rerank|whisper|\btts\b|text-to-speech|transcri|moderation|dall-?e|stable-diffusion|\bclip\b|"
    r"(?:^|[/_-])(?:bge|e5|gte|jina|nomic|all-minilm|mxbai)[-_]|reward",
    re.IGNORECASE,
)
"""Names of models that no one can chat with."""
_NO_CHAT_KIND = re.compile(
    r"^ *(?:image|audio|video|speech|ocr)\b|'(?:completion_)?chat(?:_completions?)?': False"
    r"|'output_modalities': \['(?!text)\w+'\]|text-to-image|sentence-similarity|feature-extraction",
    re.IGNORECASE,
)
"""What lists say of such models."""
_ROWS = ("data", "models", "model_list", "result", "results", "response", "items", "list")
_NAMES = ("id", "model", "name", "key", "slug", "model_name", "modelName", "model_id")
_ENDPOINTS = re.compile("chat|completion|messages|responses|generate", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Offer:
    """One model of a server."""

    name: str
    context_window: int = 0
    """Tokens; 0 when the server does not say."""
    root: str = ""
    """What it is, where the server gives it another name."""
    chats: bool = True
    """Whether one can chat with it, as far as its kind and name tell."""
    loaded: bool | None = None
    """Whether it can answer at once; None when the server does not say."""

    @property
    def title(self) -> str:
        """Its name for people: servers call a model in a folder or a file by its path."""
        is_path = self.name.endswith(".gguf") or self.name.startswith("/")
        return self.name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if is_path else self.name


@dataclass(frozen=True, slots=True)
class Listing:
    """What a server says of its models."""

    offers: tuple[Offer, ...] = ()
    dialect: Dialect = Dialect.AUTO
    """What the list says the server is."""
    readable: bool = True
    """Whether it was a list at all."""
    complete: bool = True
    """Whether there is no more of it."""


def listing_of(connection: Connection, unwanted: Unwanted, waits: Callable[[], object] = lambda: None) -> Listing:
    """The models that the server lists; a server that loads one is asked again, and `waits` is called.

    Raises what the connection does, and Stopped.
    """
    began = time.monotonic()
    while True:
        try:
            return listed_in(connection.received(connection.waiting.until_done(_asked(connection), unwanted)))
        except Stopped:
            raise
        except Exception as error:
            loading = getattr(error, "status_code", None) == 503
            if not loading or time.monotonic() - began > connection.server.patience_s:
                raise connection.typed(error) from error
        waits()
        connection.waiting.until_done(asyncio.sleep(AGAIN_S), unwanted)


async def _asked(connection: Connection) -> Any:
    options: Any = {"timeout": LIST_S}
    try:
        answer = await connection.client.get("/models", cast_to=object, options=options)
    except ValueError:  # no JSON: MLX-LM answers with nothing where the cache of the Hub is empty
        return None
    return _read(answer) if isinstance(answer, str) else answer


def _read(page: str) -> Any:
    """What a page says that is not marked as JSON: an object, or one to a line. Raises TypeError for anything else."""
    if not (page := page.removeprefix("\ufeff").strip()):
        return None
    for pieces in ([page], [line for line in page.split("\n") if line.strip()]):
        try:
            values = [json.loads(piece) for piece in pieces]
        except (ValueError, RecursionError):
            continue
        return values[0] if len(values) == 1 else values
    raise TypeError


def listed_in(answer: Any) -> Listing:
    """The models in a server's list, and what that says the server is."""
    rows = _rows(answer)
    if rows is None:
        return Listing(readable=False)
    offers = tuple(offer for row in rows if (offer := _offer(row)) is not None)
    owners = (str(row.get("owned_by")) for row in rows if isinstance(row, dict))
    more = isinstance(answer, dict) and bool(answer.get("has_more") or answer.get("next"))
    return Listing(offers, _OWNERS.get(next(owners, ""), Dialect.AUTO), complete=not more)


def listing_for(
    connection: Connection, asked: str | None, unwanted: Unwanted, waits: Callable[[], object] = lambda: None
) -> Listing:
    """The same; a server that cannot list its models may have the one that was asked for. Raises as `listing_of`."""
    try:
        listing = listing_of(connection, unwanted, waits)
    except Stopped:
        raise
    except Exception as error:
        if not _may_chat(error) or (asked is None and not isinstance(error, ModelNotFound)):
            raise
        listing = Listing(readable=False)
    if not listing.readable and asked is None:
        raise ModelNotFound(
            say("There is no list of models at {url}.", url=f"{connection.address.base}/models"),
            say("Name one: --model, or model in [servers.NAME]."),
        )
    return listing


def _may_chat(error: Exception) -> bool:
    """Whether a server that fails like this may chat all the same: some keys may chat and not list."""
    cause = getattr(error, "__cause__", None)
    status = getattr(cause, "status_code", None)
    if isinstance(status, int):
        return status not in (401, 407) and not 300 <= status < 400
    return isinstance(cause, TypeError)  # a page of something else


def chosen(listing: Listing, asked: str | None, host: str) -> Offer:
    """The model that was asked for, by name or the beginning of one, or the first. Raises ModelNotFound."""
    offered = listing.offers
    if asked is None:
        if not offered:
            raise ModelNotFound(say("{host} offers no model.", host=host), say("Load one there, or name one: --model."))
        able = [offer for offer in offered if offer.chats] or list(offered)
        return next((offer for offer in able if offer.loaded), able[0])
    for fits in (lambda name: name == asked, lambda name: name.split(":")[0] == asked, lambda name: asked in name):
        if found := [offer for offer in offered if fits(offer.name)]:
            return found[0]
    if not offered or not listing.complete:  # a server that does not list it may have it all the same
        return Offer(asked)
    raise ModelNotFound(
        say("{host} has no model {model}.", host=host, model=safe_line(asked)),
        say("It has {models}.", models=safe_line(listed(offer.name for offer in offered), 400)),
    )


def _rows(answer: Any) -> list[Any] | None:
    if isinstance(answer, list):
        return answer
    if not isinstance(answer, dict):
        return None
    for name in _ROWS:
        if isinstance(found := answer.get(name), list):
            return found
        if isinstance(found, dict) and (inner := _rows(found)) is not None:
            return inner
        if isinstance(found, dict) and found:
            return [{"id": key, **(row if isinstance(row, dict) else {})} for key, row in found.items()]
    return [answer] if isinstance(answer.get("id"), str) else None


def _offer(row: Any) -> Offer | None:
    if isinstance(row, str):
        row = {"id": row}
    if not isinstance(row, dict):
        return None
    names: Iterator[str] = (str(row[key]) for key in _NAMES if isinstance(row.get(key), str | int) and row[key] != "")
    name = next(names, "")
    if not name:
        return None
    root = row.get("root")
    status = row.get("status")
    state = str(status.get("value") if isinstance(status, dict) else row.get("state", ""))
    return Offer(
        name,
        next((n for key in ("max_model_len", "context_length", "context_window") if (n := number(row.get(key)))), 0),
        root if isinstance(root, str) else "",
        _chats(name, row),
        state == "loaded" if state in ("loaded", "not-loaded", "unloaded", "loading", "sleeping") else None,
    )


def _chats(name: str, row: dict[str, Any]) -> bool:
    """Whether one can chat with a model, as far as its name and what is said of it tell."""
    said = ("type", "task", "mode", "pipeline_tag", "capabilities", "architecture", "object")
    kinds = " ".join(str(row.get(key, "")) for key in said)
    if _NO_CHAT.search(name) or _NO_CHAT.search(kinds) or _NO_CHAT_KIND.search(kinds) or row.get("active") is False:
        return False
    endpoints = row.get("supported_endpoints") or row.get("supported_endpoint_types") or row.get("endpoints")
    return not (isinstance(endpoints, list) and endpoints) or bool(_ENDPOINTS.search(str(endpoints)))


def number(value: Any) -> int:
    """A whole number above 0, and 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
