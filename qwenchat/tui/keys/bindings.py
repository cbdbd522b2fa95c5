"""Which keys do what: the bindings of each place, and what the user made of them."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import KEY_NAME_REPLACEMENTS, Keys

from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say, sentences

UNBOUND = "none"
"""The key of an action that shall have none: no terminal sends it."""
VIM: Mapping[str, str] = {
    "list.up": "up,k",
    "list.down": "down,j",
    "list.first": "home,g",
    "list.last": "end,G",
    "list.page_up": "pageup,ctrl+u",
    "list.page_down": "pagedown,ctrl+d",
    "message.before": "up,ctrl+up,alt+up,k",
    "message.after": "down,ctrl+down,alt+down,j",
    "message.version_before": "left,h",
    "message.version_after": "right,l",
    "message.code": "b",
    "message.write": "escape,a",
    "message.lens": "t",
    "lens.before": "left,h",
    "lens.next": "right,l",
    "lens.above": "up,k",
    "lens.below": "down,j",
    "lens.page_up": "pageup,ctrl+u",
    "lens.page_down": "pagedown,ctrl+d",
    "lens.first": "home,g",
    "lens.last": "end,G",
    "replay.before": "left,h",
    "replay.next": "right,l",
    "replay.faster": "up,plus,k",
    "replay.slower": "down,minus,j",
}
"""The keys of vim, wherever lists and messages take the keys."""
_NAMES = {
    "escape": "Esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "underscore": "_",
    "delete": "Del",
    "slash": "/",
    "plus": "+",
    "minus": "-",
}
_KNOWN = frozenset(key.value for key in Keys) | frozenset(KEY_NAME_REPLACEMENTS.values()) | frozenset({"space"})
_MODIFIED = re.compile(r"(?:ctrl|alt|shift|super|hyper|meta)\+")


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the program that has keys of its own."""

    title: str
    """For people."""
    node: type[DOMNode]
    below: tuple[type[DOMNode], ...] = ()
    """Places whose keys count there too, where they go before all others."""

    def bindings(self) -> Iterator[tuple[str, Binding]]:
        """The keys that count here, with their bindings."""
        yield from bindings_of(self.node).items()
        for node in self.below:
            yield from ((keys, binding) for keys, binding in bindings_of(node).items() if binding.priority)


def key_name(keys: str) -> str:
    """A binding's keys for people: "ctrl+j,alt+enter" is "Ctrl+J, Alt+Enter"; empty for none."""
    alternatives = [key.strip() for key in keys.split(",") if key.strip() != UNBOUND]
    spelled = (f"shift+{key}" if len(key) == 1 and key.isupper() else key for key in alternatives)
    return ", ".join("+".join(_NAMES.get(part, part.capitalize()) for part in key.split("+")) for key in spelled)


def shown(node: DOMNode, id_: str, default: str) -> str:
    """The first key of an action, for people, as the user has it."""
    keymap: Mapping[str, str] = getattr(node.app, "keymap", {})
    return key_name(keymap.get(id_, default).split(",")[0]) or id_


def fitting(hints: Sequence[str], room: int, gap: str = "  ") -> str:
    """Hints in a line of so many columns; where they are too many, later ones go, but the last, the way out, stays."""
    left = list(hints)
    while len(left) > 1 and cell_len(gap.join(left)) > room:
        del left[-2]
    return gap.join(left)


def bindings_of(cls: type[DOMNode]) -> dict[str, Binding]:
    """Keys to binding, of the class and those of ours that it inherits from, as one row for each action."""
    return _rows(base for base in cls.__mro__ if base.__module__.startswith("qwenchat."))


def inherited_bindings_of(cls: type[DOMNode], taken: Iterable[type[DOMNode]]) -> dict[str, Binding]:
    """Keys to binding that the class has from Textual, without those that mean something of ours in `taken`."""
    ours = {key for place in taken for keys in bindings_of(place) for key in keys.split(",")}
    rows = _rows(base for base in cls.__mro__ if not base.__module__.startswith("qwenchat."))
    left = {",".join(key for key in keys.split(",") if key not in ours): binding for keys, binding in rows.items()}
    return {keys: binding for keys, binding in left.items() if keys}


def keymap_of(
    base: Mapping[str, str], wanted: Mapping[str, str], places: Iterable[Place]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The keys by the ids of actions: those of `base`, over them the `wanted` ones; and what is wrong, in words.

    A wanted one with a wrong id, with a key that is none, or with a key that something else has there, is left out.
    """
    places = tuple(places)
    known = {binding.id for place in places for binding in bindings_of(place.node).values()}
    keymap, problems = dict(base), []
    for id_, keys in wanted.items():
        name = safe_line(f"keys.{id_}", 80)
        spelled = ",".join(key.strip() for key in keys.split(",") if key.strip()) or UNBOUND
        if id_ not in known:
            unknown = say("{name}: there is no such action. F1 lists them.", name=name)
            problems.append(sentences(unknown, did_you_mean(id_, [known_id for known_id in known if known_id])))
        elif wrong := [key for key in spelled.split(",") if key != UNBOUND and not _is_key(key)]:
            problems.append(say("{name}: {key} is no key.", name=name, key=safe_line(wrong[0], 40)))
        elif other := _taken(id_, spelled, {**keymap, **wanted}, places):
            problems.append(say("{name}: {other} has that key already.", name=name, other=other))
        else:
            keymap[id_] = spelled
    return keymap, tuple(problems)


def _is_key(key: str) -> bool:
    """Whether a key has that name: a character, a function, or a sign by its name in Unicode."""
    name = _MODIFIED.sub("", key)
    if len(name) == 1 or name in _KNOWN or key in _KNOWN:
        return True
    try:
        return bool(unicodedata.lookup(name.replace("_", " ")))
    except KeyError:
        return False


def _taken(id_: str, keys: str, keymap: Mapping[str, str], places: Iterable[Place]) -> str:
    """The action that has one of these keys in a place where this one counts; empty for none."""
    mine = set(keys.split(",")) - {UNBOUND}
    for place in places:
        there = {str(binding.id): keymap.get(str(binding.id), default) for default, binding in place.bindings()}
        for other, others in there.items():
            if id_ in there and other != id_ and mine & set(others.split(",")):
                return other
    return ""


def _rows(classes: Iterable[type]) -> dict[str, Binding]:
    rows: dict[str, Binding] = {}
    for base in classes:
        for binding in Binding.make_bindings(vars(base).get("BINDINGS", ())):
            rows.setdefault(binding.key, binding)
    merged: dict[str, Binding] = {}
    for key, binding in rows.items():
        same = next((k for k, b in merged.items() if b.action == binding.action), None)
        merged[key if same is None else f"{same},{key}"] = binding if same is None else merged.pop(same)
    return {key: binding for key, binding in merged.items() if binding.description}
