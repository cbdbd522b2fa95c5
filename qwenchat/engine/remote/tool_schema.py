"""Schemas of tools for servers that refuse keywords of JSON Schema."""

from collections.abc import Mapping
from typing import Any

_KEPT = ("type", "description", "enum")
_DEEPEST = 20
_KINDS = ("string", "integer", "number", "boolean", "array", "object")


def simplified(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool, as the API has it, whose schema says no more than names, types, descriptions, choices and what is needed.

    What a model then gives too much or too little is refused where the tool runs, which has the whole schema.
    """
    function = tool["function"]
    schema = {**function["parameters"], "type": "object"}
    parameters = _plain(schema, schema)
    return {**tool, "function": {**function, "parameters": {"properties": {}, **parameters}}}


def _plain(schema: Any, whole: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """`schema`, a part of `whole`. A reference is followed once; those in there become objects without more."""
    if isinstance(schema, Mapping) and isinstance(place := schema.get("$ref"), str):
        schema, whole = {"type": "object", **_referred(place, whole)}, {}
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return {"type": "string"}
    kept = {name: schema[name] for name in _KEPT if name in schema}
    if kept.get("type") not in _KINDS:
        kept["type"] = _kind(schema)
    if kept["type"] == "array":
        kept["items"] = _plain(schema.get("items"), whole, depth + 1)
    if kept["type"] == "object" and isinstance(properties := schema.get("properties"), Mapping):
        kept["properties"] = {name: _plain(inner, whole, depth + 1) for name, inner in properties.items()}
        required = schema.get("required")
        if needed := [name for name in required if name in properties] if isinstance(required, list) else []:
            kept["required"] = needed
    return kept


def _referred(place: str, whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """What stands at a place such as "#/$defs/Point"; nothing where there is none."""
    found: Any = whole
    for name in place.removeprefix("#/").split("/"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _kind(schema: Mapping[str, Any]) -> str:
    """The first type that a schema allows."""
    several = schema.get("type")
    found = list(several) if isinstance(several, list) else []
    for name in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(name)
        if isinstance(choices, list):
            found += [choice.get("type") for choice in choices if isinstance(choice, Mapping)]
    return next((name for name in found if name in _KINDS), "object" if "properties" in schema else "string")
