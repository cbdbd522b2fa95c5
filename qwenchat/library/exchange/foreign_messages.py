"""What the files of other programs have in common: texts, dates and names that may be anything."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qwenchat.chat.messages import Message, Role
from qwenchat.chat.provenance import FinishReason, ModelInfo, Provenance
from qwenchat.chat.sampling import Sampling
from qwenchat.chat.text import safe_line
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange.repair import derived_id
from qwenchat.library.saving import titled

_TITLE = 200
_LATEST = 32_503_680_000.0
"""The year 3000; later dates are none."""
_UNKNOWN = Sampling(temperature=1.0, top_k=0, top_p=1.0)
"""Settings that change nothing, for replies that were made elsewhere."""

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "human": Role.USER,
    "assistant": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}


def text_of(value: Any) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""


def object_of(value: Any) -> Mapping[str, Any]:
    """An object of JSON; empty for anything else."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> Sequence[Any]:
    """A list of JSON; empty for anything else."""
    return value if isinstance(value, list) else ()


def date_of(value: Any, default: float) -> float:
    """Seconds since 1970; `default` for what is no date of this age."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LATEST:
        return default
    return float(value)


def seconds_of(value: Any) -> float:
    """A duration in seconds; 0 for anything else."""
    sane = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST
    return float(value) if sane and math.isfinite(value) else 0.0


def made_by(model: str, *, thought: bool, reason: FinishReason | None) -> Provenance | None:
    """What is known of a reply that was made elsewhere; None when not even the model is."""
    if not model:
        return None
    return Provenance(ModelInfo(safe_line(model, 100), device=""), _UNKNOWN, thought, finish_reason=reason)


def conversation_of(
    kind: str, title: Any, messages: Sequence[Message], leaf: str | None, dates: tuple[float, float]
) -> Conversation:
    """A conversation whose ids are made of what it holds, so that it is known again when it comes again."""
    whole = derived_id(kind, *(part for message in messages for part in (message.id, message.role, _words(message))))
    ids = {message.id: derived_id(whole, message.id) for message in messages}
    asked = next((message.text for message in messages if message.role is Role.USER and message.text.strip()), "")
    created, updated = dates
    return Conversation(
        whole,
        safe_line(text_of(title), _TITLE) or titled("", asked),
        created,
        max(created, updated),
        tuple(
            replace(message, id=ids[message.id], parent=ids[message.parent] if message.parent else None)
            for message in messages
        ),
        ids.get(leaf or "", ids[messages[-1].id] if messages else None),
        "",
    )


def _words(message: Message) -> str:
    return repr(message.parts)
