"""The models in a server's list, whichever shape that has."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
_ROOTS = ("root", "base_model", "hugging_face_id", "canonical_slug", "model_path", "parent")
"""Where lists say what is behind a name of the server's own."""
_WINDOWS = ("max_model_len", "context_length", "context_window", "max_context_length", "context_size", "n_ctx")
_WITHIN = ("meta", "limits", "top_provider", "metadata", "info")
_ENDPOINTS = re.compile("chat|completion|messages|responses|generate", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model of a server."""

    name: str
    context_window: int = 0
    """Tokens; 0 when the server does not say."""
    root: str = ""
    """What it is, where the server gives it another name."""
    chats: bool = True
    """Whether one can chat with it, as far as its kind and name say."""
    loaded: bool | None = None
    """Whether it can answer at once; None when the server does not say."""

    @property
    def title(self) -> str:
        """Its name for people: servers call a model in a folder or a file by its path."""
        is_path = self.name.endswith(".gguf") or self.name.startswith("/")
        return self.name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if is_path else self.name


@dataclass(frozen=True, slots=True)
class ModelListing:
    """What a server says of its models."""

    offers: tuple[ServedModel, ...] = ()
    owner: str = ""
    """What the list says the server is: `owned_by` of its first model."""
    readable: bool = True
    """Whether it was a list at all."""
    complete: bool = True
    """Whether there is no more of it."""


def listed_in(answer: Any) -> ModelListing:
    """The models in a server's list, and what that says the server is."""
    rows = _rows(answer)
    if rows is None:
        return ModelListing(readable=False)
    offers = tuple(offer for row in rows if (offer := _offer(row)) is not None)
    owners = (str(row.get("owned_by")) for row in rows if isinstance(row, dict))
    more = isinstance(answer, dict) and bool(answer.get("has_more") or answer.get("next"))
    return ModelListing(offers, next(owners, ""), complete=not more)


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


def _offer(row: Any) -> ServedModel | None:
    if isinstance(row, str):
        row = {"id": row}
    if not isinstance(row, dict):
        return None
    names: Iterator[str] = (str(row[key]) for key in _NAMES if isinstance(row.get(key), str | int) and row[key] != "")
    name = next(names, "")
    if not name:
        return None
    root = next((text for key in _ROOTS if isinstance(text := row.get(key), str) and text and text != name), "")
    status = row.get("status")
    state = str(status.get("value") if isinstance(status, dict) else row.get("state", ""))
    return ServedModel(
        name,
        _window(row),
        root,
        _chats(name, row),
        state == "loaded" if state in ("loaded", "not-loaded", "unloaded", "loading", "sleeping") else None,
    )


def _window(row: dict[str, Any]) -> int:
    """The context that a row has; 0 for none."""
    places = (row, *(row[key] for key in _WITHIN if isinstance(row.get(key), dict)))
    return next((n for place in places for key in _WINDOWS if (n := _digits(place.get(key)))), 0)


def _digits(value: Any) -> int:
    return number(int(value)) if isinstance(value, str) and value.isdecimal() and len(value) < 12 else number(value)


def _chats(name: str, row: dict[str, Any]) -> bool:
    """Whether one can chat with a model, as far as its name and what is said of it say."""
    said = ("type", "task", "mode", "pipeline_tag", "capabilities", "architecture", "object")
    kinds = " ".join(str(row.get(key, "")) for key in said)
    if _NO_CHAT.search(name) or _NO_CHAT.search(kinds) or _NO_CHAT_KIND.search(kinds) or row.get("active") is False:
        return False
    endpoints = row.get("supported_endpoints") or row.get("supported_endpoint_types") or row.get("endpoints")
    return not (isinstance(endpoints, list) and endpoints) or bool(_ENDPOINTS.search(str(endpoints)))


def number(value: Any) -> int:
    """A whole number above 0, and 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
