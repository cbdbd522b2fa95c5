"""What servers of tools send, as raw JSON: each tool is judged by itself, and whatever a call gives becomes text."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from qwenchat.chat.text import safe
from qwenchat.chat.tools import ToolSpec
from qwenchat.i18n.texts import say

LONGEST_NAME = 1_000
LONGEST_DESCRIPTION = 1_000
LONGEST_SCHEMA = 20_000
DEEPEST = 40


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What a call gave."""

    text: str
    failed: bool


def spec_of(tool: Mapping[str, Any]) -> ToolSpec:
    """A tool under its own name; raises ValueError, saying why, for one that cannot be offered."""
    name, schema = tool.get("name"), tool.get("inputSchema")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(say("it has no name"))
    schema = {} if schema is None else schema
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise ValueError(say("the schema of its arguments is not that of an object"))
    schema = {key: value for key, value in schema.items() if value is not None or key not in ("properties", "required")}
    _check(schema)
    try:
        text = json.dumps({"type": "object", **schema}, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(say("the schema of its arguments has a number that is none")) from error
    if len(text) > LONGEST_SCHEMA:
        raise ValueError(say("the schema of its arguments is too long"))
    about = next((said for key in ("description", "title") if isinstance(said := tool.get(key), str) and said), "")
    return ToolSpec(name, safe(about[:LONGEST_DESCRIPTION]), text)


def name_of(tool: Any) -> str:
    """What to call a tool in words, whatever it is."""
    name = tool.get("name") if isinstance(tool, dict) else None
    return name if isinstance(name, str) else say("a tool without a name")


def given_by(result: Mapping[str, Any]) -> CallOutcome | None:
    """What a call gave, as text; None for what is no result of a call."""
    content, structured = result.get("content"), result.get("structuredContent")
    if content is None and structured is None:
        return None
    content = content if isinstance(content, list) else [] if content is None else [content]
    pieces = [_piece(block) for block in content]
    if structured is not None and not _said(pieces, structured):
        pieces.append(json.dumps(structured, ensure_ascii=False))
    failed = result.get("isError") is True
    nothing = say("The tool failed and does not say why.") if failed else say("The tool gave nothing.")
    return CallOutcome("\n".join(filter(None, pieces)) or nothing, failed)


def _check(schema: dict[str, Any]) -> None:
    """Raises ValueError for a schema that the one who resolves it could get lost in, or that is none."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not all(isinstance(about, dict | bool) for about in properties.values()):
        raise ValueError(say("the schema of its arguments does not name them"))
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise ValueError(say("the schema of its arguments does not name them"))
    for depth, value in _nested(schema):
        if depth > DEEPEST:
            raise ValueError(say("the schema of its arguments is nested too deeply"))
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            _check_reference(schema, value["$ref"])


def _check_reference(schema: dict[str, Any], reference: str) -> None:
    seen: set[str] = set()
    while reference not in seen:
        seen.add(reference)
        target = _target(schema, reference)
        if target is None:
            raise ValueError(say("the schema of its arguments refers to {place}, which is not there", place=reference))
        onward = target.get("$ref") if isinstance(target, dict) else None
        if not isinstance(onward, str):
            return
        reference = onward
    raise ValueError(say("the schema of its arguments refers to itself"))


def _target(schema: dict[str, Any], reference: str) -> Any:
    """What a reference within a schema points at; None for nothing, and for what is elsewhere."""
    if not reference.startswith("#"):
        return None
    if reference[1:] and not reference.startswith("#/"):
        there = (value for _, value in _nested(schema) if isinstance(value, dict))
        return next((value for value in there if value.get("$anchor") == reference[1:]), None)
    target: Any = schema
    for step in reference.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(target, dict):
            target = target.get(key)
        elif isinstance(target, list) and key.isdecimal() and len(key) < 6 and int(key) < len(target):
            target = target[int(key)]
        else:
            return None
    return target


def _nested(schema: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    """Every value of a schema with how deep it lies, as deep as is allowed and one deeper."""
    left: list[tuple[int, Any]] = [(0, schema)]
    while left:
        depth, value = left.pop()
        yield depth, value
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left.extend((depth + 1, each) for each in inner)


def _piece(block: Any) -> str:
    """One block of a result as text."""
    if not isinstance(block, dict):
        return block if isinstance(block, str) else ""
    match block.get("type"):
        case "text":
            text = block.get("text")
            return text if isinstance(text, str) else "" if text is None else json.dumps(text, ensure_ascii=False)
        case "resource_link":
            return _linked(block)
        case "resource" if isinstance(resource := block.get("resource"), dict):
            if isinstance(text := resource.get("text"), str):
                return "\n".join(filter(None, (_string(resource, "uri"), text)))
            return _unseen(_string(resource, "uri") or "resource", resource, "blob")
        case kind:
            return _string(block, "text") or _unseen(kind if isinstance(kind, str) else "block", block, "data")


def _linked(block: dict[str, Any]) -> str:
    """A resource that is only named: the title or name, where it is, and what it is said to be."""
    name = _string(block, "title") or _string(block, "name")
    kind = _string(block, "mimeType")
    head = " ".join(filter(None, (name, f"<{_string(block, 'uri')}>", f"({kind})" if kind else "")))
    return ": ".join(filter(None, (head, _string(block, "description"))))


def _unseen(name: str, block: dict[str, Any], data: str) -> str:
    """What stands for data that is no text."""
    size = len(_string(block, data)) * 3 // 4
    about = ", ".join(filter(None, (name, _string(block, "mimeType"))))
    return say("[{kind}, {number:,} bytes, which cannot be shown]", kind=about, number=size)


def _said(pieces: list[str], structured: Any) -> bool:
    """Whether texts are the same data: servers add those for older programs, and wrap what is no object."""
    if isinstance(structured, dict) and structured.keys() == {"result"}:
        inner = structured["result"]
        items = inner if isinstance(inner, list) and len(inner) == len(pieces) else None
        if items is not None and all(_is(piece, item) for piece, item in zip(pieces, items, strict=True)):
            return True
        if any(_is(piece, inner) for piece in pieces):
            return True
    return any(_is(piece, structured) for piece in pieces)


def _is(text: str, value: Any) -> bool:
    if text == value:
        return True
    try:
        return bool(json.loads(text) == value)
    except (ValueError, RecursionError):
        return False


def _string(block: Mapping[str, Any], key: str) -> str:
    value = block.get(key)
    return value if isinstance(value, str) else ""
