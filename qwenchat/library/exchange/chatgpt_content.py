"""What ChatGPT's messages say: texts, code, calls of tools and their results, pictures named in their place."""

import json
import re
from collections.abc import Mapping
from typing import Any

from qwenchat.chat.messages import Part, Role, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.text import safe_line
from qwenchat.library.exchange.fence import fenced
from qwenchat.library.exchange.foreign_messages import list_of, object_of, text_of
from qwenchat.library.exchange.repair import derived_id

_TEXTS = ("text", "result", "content", "summary")
"""Where kinds of content that have no parts keep their text."""
_CITATION = re.compile("\ue200[^\ue200\ue201]*\ue201")
"""Marks that ChatGPT's own page replaces by links."""


def thoughts_of(given: Any) -> list[str]:
    """The texts of a thought: a list of summaries with their contents, or a text."""
    if isinstance(given, str):
        return [text_of(given)]
    texts = []
    for entry in map(object_of, list_of(given)):
        summary, content = text_of(entry.get("summary")), text_of(entry.get("content"))
        texts.append("\n\n".join(text for text in (f"**{summary}**" if summary else "", content) if text))
    return texts


def parts_of(id_: str, role: Role, message: Mapping[str, Any], call: str) -> tuple[Part, ...]:
    """What there is to read of a message; a call of a tool and its result become what they are here."""
    content = object_of(message.get("content"))
    kind, recipient = text_of(content.get("content_type")), text_of(message.get("recipient")) or "all"
    text = _text(content, object_of(message.get("metadata")))
    if not text.strip():
        return ()
    if role is Role.TOOL:
        name = text_of(object_of(message.get("author")).get("name"))
        return (ToolResultPart(call, name, text, failed=kind == "system_error"),)
    if role is Role.ASSISTANT and recipient != "all":
        return (ToolCallPart(derived_id(id_), recipient, _arguments(text)),)
    return (TextPart(fenced(text, text_of(content.get("language"))) if kind == "code" else text),)


def _text(content: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """What can be read of a message; what is no text is named in brackets."""
    pieces = [_piece(part) for part in list_of(content.get("parts"))]
    if not pieces:
        pieces = [next((text for name in _TEXTS if (text := _piece(text_of(content.get(name))))), "")]
    if not any(pieces) and any("audio" in str(object_of(p).get("content_type")) for p in list_of(content.get("parts"))):
        pieces = ["[audio]"]
    for attachment in map(object_of, list_of(metadata.get("attachments"))):
        if "[image]" not in pieces or not text_of(attachment.get("mime_type")).startswith("image/"):
            pieces.append(f"[file: {safe_line(text_of(attachment.get('name')), 100) or 'without a name'}]")
    return "\n\n".join(piece for piece in pieces if piece)


def _piece(part: Any) -> str:
    if isinstance(part, str):
        return _CITATION.sub("", text_of(part))
    kind = text_of(object_of(part).get("content_type"))
    text = text_of(object_of(part).get("text"))
    if text or "audio" in kind:
        return text
    return f"[{safe_line(kind, 100).removesuffix('_asset_pointer') or 'something that is no text'}]" if part else ""


def _arguments(text: str) -> str:
    """The arguments of a call as a JSON object: code is the argument `code`."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    return text if isinstance(given, dict) else json.dumps({"code": text}, ensure_ascii=False)
