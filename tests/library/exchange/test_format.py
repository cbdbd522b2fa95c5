"""The export format is described as it is."""

import json
import re
from typing import Any

from hypothesis import given, settings

from qwenchat.library.exchange import native
from tests.support.conversation_strategy import conversations
from tests.support.examples import examples
from tests.support.export_schema import FILE, schema, text


def test_the_schema_in_the_documentation_is_that_of_the_dataclasses() -> None:
    assert FILE.read_text("utf-8") == text(), "`python -m tests.support.export_schema` writes it anew"


def test_the_documentation_names_every_key() -> None:
    named = set(re.findall(r"`(\w+)`", FILE.with_suffix("").with_suffix(".md").read_text("utf-8")))
    defined = schema()
    objects = [defined, *defined["$defs"].values()]
    left_to_the_schema = (
        defined["$defs"]["Sampling"]["properties"].keys() | defined["$defs"]["SamplingOverrides"]["properties"].keys()
    )
    keys = {key for entry in objects for key in entry.get("properties", {})} - left_to_the_schema
    assert keys <= named


KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def misfits(value: Any, by: dict[str, Any], defs: dict[str, Any], at: str = "$") -> list[str]:
    """Where a value is not what a schema says; knows the words that ours uses."""
    if "$ref" in by:
        return misfits(value, defs[by["$ref"].rpartition("/")[2]], defs, at)
    if "anyOf" in by:
        tried = [misfits(value, entry, defs, at) for entry in by["anyOf"]]
        return [] if [] in tried else [f"{at}: none of {len(tried)}", *min(tried, key=len)]
    if "const" in by or "enum" in by:
        return [] if value in by.get("enum", [by.get("const")]) else [f"{at}: {value!r}"]
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
        "null": type(None),
    }
    if not isinstance(value, kinds[by["type"]]) or isinstance(value, bool) != (by["type"] == "boolean"):
        return [f"{at}: {value!r} is no {by['type']}"]
    found: list[str] = []
    if isinstance(value, dict):
        found += [f"{at}: {name} is not described" for name in value.keys() - by["properties"].keys()]
        found += [f"{at}: {name} is missing" for name in set(by.get("required", ())) - value.keys()]
        inner = [(name, value[name], entry) for name, entry in by["properties"].items() if name in value]
    elif isinstance(value, list):
        entries = by.get("prefixItems") or [by["items"]] * len(value)
        inner = [(str(number), *pair) for number, pair in enumerate(zip(value, entries, strict=True))]
    else:
        inner = []
        if "pattern" in by and not re.search(by["pattern"], value):
            found.append(f"{at}: {value!r}")
        if "minimum" in by and value < by["minimum"]:
            found.append(f"{at}: {value!r}")
    return found + [misfit for name, held, entry in inner for misfit in misfits(held, entry, defs, f"{at}.{name}")]


@settings(max_examples=examples(60))
@given(conversations())
def test_what_is_exported_is_as_the_schema_says(whole: Any) -> None:
    defined = json.loads(FILE.read_text("utf-8"))
    written = json.loads("".join(native.written([whole])))
    assert misfits(written, defined, defined["$defs"]) == []
    written["conversations"][0]["messages"].append({"role": "user"})
    assert misfits(written, defined, defined["$defs"]) != []
