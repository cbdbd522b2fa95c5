"""The JSON Schema of the export format, made from the dataclasses; `python -m tests.export_schema` writes it anew."""

import json
from pathlib import Path
from typing import Any

import msgspec

from qwenchat.chat.events import Channel
from qwenchat.chat.messages import ReasoningPart, Role, Status, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import Provenance
from qwenchat.library.exchange.native import FORMAT, VERSION

FILE = Path(__file__).parents[2] / "docs" / "export-format.schema.json"
PARTS = {"text": TextPart, "reasoning": ReasoningPart, "tool_call": ToolCallPart, "tool_result": ToolResultPart}


def schema() -> dict[str, Any]:
    """The schema of a whole file."""
    types = (*PARTS.values(), Provenance, Role, Status, Channel)
    _, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    for component in components.values():
        component["description"] = " ".join(component["description"].split())
    for kind, part in PARTS.items():
        properties = {"kind": {"const": kind}, **components[part.__name__]["properties"]}
        components[part.__name__] |= {"properties": properties, "required": list(properties)}
    text, flag, date = (
        {"type": "string"},
        {"type": "boolean"},
        {"type": "number", "description": "Unix time in seconds"},
    )
    identifier = {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"}
    or_none = {"anyOf": [{"type": "null"}, identifier]}
    count = {"type": "integer", "minimum": 0}
    components["Message"] = _all_of(
        id=identifier,
        parent={**or_none, "description": "The message that this one answers; it comes before this one in the list"},
        role={"$ref": "#/$defs/Role"},
        created=date,
        status={"$ref": "#/$defs/Status"},
        note={**text, "description": "Why a reply ended early, for the reader"},
        parts={"type": "array", "items": {"anyOf": [{"$ref": f"#/$defs/{part.__name__}"} for part in PARTS.values()]}},
        provenance={"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Provenance"}]},
        timeline={
            "type": "array",
            "description": "Milliseconds, where the text belongs, and how many characters of it came",
            "items": {"type": "array", "prefixItems": [count, {"$ref": "#/$defs/Channel"}, count], "items": False},
        },
    )
    components["Conversation"] = _all_of(
        id=identifier,
        title=text,
        created=date,
        updated=date,
        pinned=flag,
        archived=flag,
        leaf={**or_none, "description": "The message at the end of the branch that is being read"},
        draft={**text, "description": "What was typed and not sent"},
        messages={"type": "array", "items": {"$ref": "#/$defs/Message"}},
    )
    conversations = {"type": "array", "items": {"$ref": "#/$defs/Conversation"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Conversations of qwenchat",
        **_all_of(format={"const": FORMAT}, version={"const": VERSION}, conversations=conversations),
        "$defs": components,
    }


def _all_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def text() -> str:
    """The schema as it stands in the documentation."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
