"""The words in which a server reports an error, wherever it puts them."""

from typing import Any

_SPEAKING = (
    "message", "msg", "detail", "error", "description", "reason", "errors", "title", "error_description", "metadata",
    "raw",
)  # fmt: skip
_REPEATING = frozenset({"input", "request", "body", "ctx", "messages", "prompt", "data", "type", "code", "url"})
"""What repeats the request, or says nothing to a person."""
_DEEPEST = 6


def words_of(body: Any, depth: int = 0) -> str:
    """A server's own words, if it has any that are not a page of HTML; without what it repeats of the request."""
    match body:
        case str():
            return "" if "<" in body[:200] and ">" in body[:2000] and depth == 0 else body
        case dict() if depth < _DEEPEST:
            found = [words_of(body[name], depth + 1) for name in _SPEAKING if name in body]
            if depth and not any(found):  # what is wrong, by the name of the field
                others = {name: words_of(body[name], depth + 1) for name in body if name not in _REPEATING}
                found = [f"{name}: {words}" for name, words in others.items() if words]
            spoken = dict.fromkeys(words for words in found if words)
            place = body.get("loc")
            where = ".".join(str(part) for part in place) if isinstance(place, list) else ""
            return ": ".join(filter(None, (where, *spoken)))
        case list() if depth < _DEEPEST:
            return "; ".join(filter(None, (words_of(part, depth + 1) for part in body[:10])))
    return ""
