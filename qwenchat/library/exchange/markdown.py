"""Conversations as Markdown, to be read: the branch that is open, thoughts folded, and how each reply was made."""

import re
from collections.abc import Iterator

from qwenchat.chat.dates import local_time
from qwenchat.chat.messages import Message, Part, ReasoningPart, Role, Status, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import Provenance
from qwenchat.chat.text import safe, safe_line
from qwenchat.chat.tree import MessageTree
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange.fence import contained, fenced

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&])")
_SPEAKERS = {Role.SYSTEM: "System", Role.USER: "You", Role.ASSISTANT: "Assistant", Role.TOOL: "Tool"}


def tree_in(conversation: Conversation) -> MessageTree:
    """The tree of what is not hidden, at the branch that is being read."""
    return MessageTree(conversation.messages, conversation.leaf, conversation.hidden)


def written(conversation: Conversation, *, thoughts: bool) -> str:
    """The branch that is being read, as a document."""
    tree = tree_in(conversation)
    path = tree.path()
    shown = [message for message in path if message.parts or message.role is Role.ASSISTANT]
    blocks = [f"# {_inline(safe_line(conversation.title) or 'Conversation')}"]
    others = len(tree) - len(tree.hidden) - len(path)
    counted = f"{len(shown)} {'message' if len(shown) == 1 else 'messages'}"
    if others:
        counted += f", {others} more in other versions that are not shown"
    blocks.append(f"*{_when(conversation.created)} · {counted}*")
    for message in shown:
        versions = tree.siblings(message.id)
        number = f"version {versions.index(message.id) + 1} of {len(versions)}" if len(versions) > 1 else ""
        blocks += _message(message, number, thoughts)
    return "\n\n".join(blocks) + "\n"


def _message(message: Message, version: str, thoughts: bool) -> Iterator[str]:
    made = message.provenance
    name = made.model.name.rpartition("/")[2] if made else ""
    yield f"## {_inline(safe_line(name)) or _SPEAKERS[message.role]}"
    for part in message.parts:
        if thoughts or not isinstance(part, ReasoningPart):
            yield from _part(part)
    about = [version, _ending(message), *(_making(made) if made else ())]
    about = [] if about == ["", "", name] else about
    if any(about):
        yield f"*{' · '.join(_inline(entry) for entry in about if entry)}*"


def _part(part: Part) -> Iterator[str]:
    match part:
        case TextPart(text):
            yield contained(safe(text).strip("\n"))
        case ReasoningPart(text, tokens, seconds, closed):
            about = f"Thought for {seconds:.1f} s" if seconds else "Thought"
            about += f", {tokens:,} tokens" if tokens else ""
            yield _folded(about + ("" if closed else ", not to the end"), contained(safe(text).strip("\n")))
        case ToolCallPart(_, name, arguments):
            yield f"Call of **{_inline(safe_line(name))}**"
            yield fenced(safe(arguments), "json")
        case ToolResultPart(_, name, text, failed):
            what = "Error" if failed else "Result"
            yield _folded(f"{what} of {_html(safe_line(name) or 'a tool')}", fenced(safe(text)))


def _folded(summary: str, inside: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{inside}\n\n</details>"


def _ending(message: Message) -> str:
    if message.status is Status.COMPLETE:
        return ""
    return safe_line(message.note) or str(message.status)


def _making(made: Provenance) -> Iterator[str]:
    model, usage, sampling = made.model, made.usage, made.sampling
    yield safe_line(model.name)
    if run := safe_line(" on ".join(word for word in (model.quantization, model.server or model.device) if word)):
        yield run
    if tokens := usage.thinking_tokens + usage.answer_tokens:
        yield f"{'' if made.counted else 'about '}{tokens:,} tokens" + (
            f" at {made.timing.tokens_per_s:.1f} a second" if made.timing.tokens_per_s else ""
        )
    if sampling.seed is not None or model.server:  # else it is a reply of another program, and nothing is known
        values = {"temperature": f"{sampling.temperature:g}", "top_k": sampling.top_k, "top_p": f"{sampling.top_p:g}"}
        sent = [f"{name.replace('_', '-')} {value}" for name, value in values.items() if name not in made.omitted]
        if sent:
            yield ", ".join(sent)
    if sampling.seed is not None:
        yield f"seed {sampling.seed}"


def _when(time: float) -> str:
    return local_time(time).strftime("%Y-%m-%d %H:%M")


def _inline(text: str) -> str:
    """A text that is shown as it is, whatever it spells in Markdown."""
    return _SPECIAL.sub(r"\\\1", text)


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
