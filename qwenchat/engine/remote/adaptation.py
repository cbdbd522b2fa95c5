"""What one server turned out not to take of a request, and the same request without that."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from qwenchat.engine.remote.refusal import Refusal
from qwenchat.engine.remote.tool_schema import simplified

_RENAMED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_NEEDED = frozenset({"model", "messages", "continue_final_message", "add_generation_prompt"})
"""Without these it would be another question."""
_PLAIN = _NEEDED | {"stream", "temperature", "top_p", "max_tokens", "max_completion_tokens", "tools"}
"""What every server with this API should take."""
_UNSAID = frozenset({"stream", "stream_options"})
"""Parameters that nobody set and that change nothing which could be seen."""


class SystemPlace(IntEnum):
    """Where a server takes a system prompt; each is stricter than the one before."""

    ANYWHERE = 0
    FIRST = 1
    IN_MESSAGE = 2
    """Nowhere: it stands in the first message of the user's."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How a request is changed for one model of one server. It grows while a request is refused, and is then kept."""

    left_out: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    system: SystemPlace = SystemPlace.ANYWHERE
    most_tokens: int | None = None
    """The largest `max_tokens` that is taken for any request."""
    room: int | None = None
    """The largest `max_tokens` for this request alone."""
    thoughts: bool = True
    """Whether earlier thoughts may go along."""
    simple_tools: bool = False
    """Whether schemas of tools say no more than every server understands."""
    guesses: int = 0
    """How often a refusal was answered that named nothing."""

    def applied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body as this server takes it."""
        changed = {name: value for name, value in body.items() if name not in self.left_out}
        limits = [limit for limit in (self.most_tokens, self.room) if limit is not None]
        if limits and "max_tokens" in changed:
            changed["max_tokens"] = min(changed["max_tokens"], *limits)
        changed = {self.renamed.get(name, name): value for name, value in changed.items()}
        if self.simple_tools and "tools" in changed:
            changed["tools"] = [simplified(tool) for tool in changed["tools"]]
        messages = folded(changed["messages"], self.system)
        if not self.thoughts:
            messages = [_without(message, "reasoning_content") for message in messages]
        return {**changed, "messages": messages, "stream": "stream" not in self.left_out}

    def after(self, refusal: Refusal, sent: Mapping[str, Any]) -> "Adaptation | None":
        """What to try next, after `sent` was refused; None where nothing is left to try."""
        if refusal.system_place and self.system < SystemPlace.IN_MESSAGE and any(map(_is_system, sent["messages"])):
            return replace(self, system=SystemPlace(max(refusal.system_place, self.system + 1)))
        if "reasoning_content" in refusal.words and self.thoughts and "reasoning_content" in str(sent["messages"]):
            return replace(self, thoughts=False)
        asked = next((sent[name] for name in _RENAMED if name in sent), None)
        if isinstance(asked, int) and (limit := refusal.most_tokens(asked)) is not None:
            per_request = refusal.about_context
            return replace(self, room=limit) if per_request else replace(self, most_tokens=limit)
        named = refusal.names(sent.keys() - _NEEDED)
        if "tools" in named and refusal.about_schema and not self.simple_tools:
            return replace(self, simple_tools=True)
        if "stream" in named:
            named |= {"stream_options"}
        if named:
            return self._without(named, refusal)
        return self._guessed(sent) if refusal.says_nothing else None

    def _without(self, named: frozenset[str], refusal: Refusal) -> "Adaptation":
        original = {new: old for old, new in self.renamed.items()}
        names = frozenset(original.get(name, name) for name in named)
        renamed = dict(self.renamed)
        for name in names & _RENAMED.keys():
            other = _RENAMED[name]
            if name not in renamed and (refusal.suggests(other) or not refusal.about_value):
                renamed[name] = other
                names -= {name}
        return replace(self, left_out=self.left_out | names, renamed=renamed)

    def _guessed(self, sent: Mapping[str, Any]) -> "Adaptation | None":
        """Ask for less: first without what only some servers know, then with nothing that could be left out."""
        for guess, kept in enumerate((_PLAIN, _NEEDED | {"stream"})):
            extra = sent.keys() - kept
            if guess >= self.guesses and extra:
                original = {new: old for old, new in self.renamed.items()}
                names = frozenset(original.get(name, name) for name in extra)
                return replace(self, left_out=self.left_out | names, guesses=guess + 1)
        return None

    def news(self, before: "Adaptation") -> frozenset[str]:
        """What is left out since then and a user may miss."""
        return self.left_out - before.left_out - _UNSAID

    def kept(self) -> "Adaptation":
        """What holds for later requests too."""
        return replace(self, room=None)


def folded(messages: list[dict[str, Any]], place: SystemPlace) -> list[dict[str, Any]]:
    """The messages with all system prompts in one place, the later ones below the first; no two of a user's in a row.

    Templates that want roles to alternate refuse two messages of one side, as a reply leaves them that broke off.
    """
    if place is not SystemPlace.ANYWHERE:
        system = "\n\n".join(message["content"] for message in messages if _is_system(message))
        messages = [message for message in messages if not _is_system(message)]
        if system and place is SystemPlace.FIRST:
            messages = [{"role": "system", "content": system}, *messages]
        elif system:
            at = next((at for at, message in enumerate(messages) if message["role"] == "user"), None)
            if at is None:
                return [{"role": "user", "content": system}, *messages]
            first = {**messages[at], "content": f"{system}\n\n{messages[at]['content']}"}
            messages = [*messages[:at], first, *messages[at + 1 :]]
    joined: list[dict[str, Any]] = []
    for message in messages:
        if joined and message["role"] == joined[-1]["role"] == "user":
            joined[-1] = {**joined[-1], "content": f"{joined[-1]['content']}\n\n{message['content']}"}
        else:
            joined.append(message)
    return joined


def _is_system(message: Mapping[str, Any]) -> bool:
    return bool(message["role"] == "system")


def _without(message: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != name}
