"""A tree of messages from nodes that may be damaged: parents missing, ids used twice, cycles, gaps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from qwenchat.chat.messages import Message
from qwenchat.i18n.texts import say
from qwenchat.library.exchange.parsed import ConversationProblems, value_shown


@dataclass(frozen=True, slots=True)
class RepairNode:
    """A place in the tree; without a message it only leads from its parent to its children."""

    id: str
    parent: str | None
    message: Message | None
    where: str = ""
    """Its position in the file, for the list of what is wrong."""


@dataclass(frozen=True, slots=True)
class RepairTree:
    """Messages, each after the one it answers."""

    messages: tuple[Message, ...]
    places: dict[str, str | None]
    """For each node, the message that stands there or nearest above."""


def derived_id(*of: str) -> str:
    """An id of 16 hexadecimal digits that is the same whenever it is made of the same."""
    digest = sha256()
    for text in of:
        data = text.encode("utf-8", errors="surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def tree_of(nodes: Sequence[RepairNode], problems: ConversationProblems) -> RepairTree:
    """The messages of `nodes`, each below its nearest ancestor that has one; in the order given where that can be.

    What has to be repaired is added to `problems`.
    """
    known: dict[str, RepairNode] = {}
    for node in nodes:
        if node.id in known:
            problems.add(say("{where}: its id {id} is used before", where=node.where, id=value_shown(node.id)))
            node = replace(node, id=_free(node, known))
            if node.message is not None:
                node = replace(node, message=replace(node.message, id=node.id))
        known[node.id] = node
    parents = {node.id: _parent(node, known, problems) for node in known.values()}
    places = _places(known, parents, problems)
    above = {node.id: places.get(parents[node.id] or "") for node in known.values() if node.message is not None}
    messages = []
    for id_ in _in_order(above, known, problems):
        node = known[id_]
        if node.message is not None:
            message, parent = node.message, above[id_]
            messages.append(message if message.parent == parent else replace(message, parent=parent))
    return RepairTree(tuple(messages), places)


def _free(node: RepairNode, known: dict[str, RepairNode]) -> str:
    number = 2
    while (id_ := derived_id(node.id, str(number))) in known:
        number += 1
    return id_


def _parent(node: RepairNode, known: dict[str, RepairNode], problems: ConversationProblems) -> str | None:
    if node.parent is None or node.parent in known:
        return node.parent
    problems.add(say("{where}: what it answers, {id}, is missing", where=node.where, id=value_shown(node.parent)))
    return None


def _places(
    known: dict[str, RepairNode], parents: dict[str, str | None], problems: ConversationProblems
) -> dict[str, str | None]:
    places: dict[str, str | None] = {id_: id_ for id_, node in known.items() if node.message is not None}
    for start in known:
        passed: dict[str, None] = {}
        at: str | None = start
        while at is not None and at not in places and at not in passed:
            passed[at] = None
            at = parents[at]
        if at in passed:
            problems.add(say("{where}: it answers itself, by way of others", where=known[at or start].where))
        end = None if at is None or at in passed else places[at]
        places |= dict.fromkeys(passed, end)
    return places


def _in_order(above: dict[str, str | None], known: dict[str, RepairNode], problems: ConversationProblems) -> list[str]:
    """Every message after the one above it; what goes round in a circle is cut above the first of it in the file."""
    done: dict[str, None] = {}
    for start in list(above):
        chain: dict[str, None] = {}
        at: str | None = start
        while at is not None and at not in done:
            if at in chain:
                problems.add(say("{where}: it answers itself, by way of others", where=known[at].where))
                above[at], at, chain = None, start, {}
                continue
            chain[at] = None
            at = above[at]
        done |= dict.fromkeys(reversed(chain))
    return list(done)
