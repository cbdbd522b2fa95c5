"""Which keys do what: the bindings of each place, and what the user made of them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.dom import DOMNode

from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.console.commands import COMMANDS
from qwenchat.i18n.texts import say, sentences
from qwenchat.settings.config import MOST_SAID, few
from qwenchat.tui.keys import key_names

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


@dataclass(frozen=True, slots=True)
class KeyScope:
    """A part of the program that has keys of its own."""

    title: str
    """For people."""
    node: type[DOMNode]
    below: tuple[type[DOMNode], ...] = ()
    """Places whose keys count there too, where they go before all others."""
    writing: bool = False
    """Whether one writes there, so that keys with a character are for that."""

    def bindings(self) -> Iterator[tuple[str, Binding]]:
        """The keys that count here, with their bindings."""
        yield from bindings_of(self.node).items()
        for node in self.below:
            yield from ((keys, binding) for keys, binding in bindings_of(node).items() if binding.priority)


def bindings(place: str) -> list[BindingType]:
    """The keys of a place in the table of commands: "chat" or "app"."""
    return [
        Binding(command.keys, command.action or command.id, command.title, priority=command.priority, id=command.name)
        for command in COMMANDS
        if command.place == place and command.keys
    ]


def key_name(keys: str) -> str:
    """A binding's keys for people: "ctrl+j,alt+enter" is "Ctrl+J, Alt+Enter"; empty for none."""
    alternatives = [key.strip() for key in keys.split(",") if key.strip() != UNBOUND]
    spelled = (f"shift+{key}" if len(key) == 1 and key.isupper() else key for key in alternatives)
    return ", ".join("+".join(_NAMES.get(part, part.capitalize()) for part in key.split("+")) for key in spelled)


def key_shown(node: DOMNode, id_: str, default: str) -> str:
    """The first key of an action, for people, as the user has it."""
    keymap: Mapping[str, str] = getattr(node.app, "keymap", {})
    return key_name(keymap.get(id_, default).split(",")[0]) or id_


def fitting(hints: Sequence[str], room: int, gap: str = "  ") -> tuple[str, str]:
    """Hints in a line of so many columns, with the last, the way out; and those that are too many for it."""
    left: list[str] = list(hints)
    others: list[str] = []
    while len(left) > 1 and cell_len(gap.join(left)) > room:
        others.insert(0, left.pop(-2))
    return gap.join(left), gap.join(others)


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
    base: Mapping[str, str], wanted: Mapping[str, str], places: Iterable[KeyScope]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The keys by the ids of actions: those of `base`, over them the `wanted` ones; and what is wrong, in words.

    A wanted one with a wrong id, with a key that is none or that one writes with, or with a key that something else has
    there, is left out. One that few terminals can send counts, and is said.
    """
    there = [_Keys(place) for place in places]
    known = {id_ for place in there for id_ in place.usual}
    spelled = {id_: ",".join(_split(keys)) or UNBOUND for id_, keys in wanted.items()}
    keymap: dict[str, str] = dict(base)
    problems: list[str] = []
    for id_, keys in spelled.items():
        name = safe_line(f"keys.{id_}", 80)
        if id_ not in known:
            unknown = say("{name}: there is no such action. F1 lists them.", name=name)
            problems.append(sentences(unknown, did_you_mean(id_, known) if len(problems) < MOST_SAID else ""))
            continue
        wrong = _wrong(name, id_, wanted[id_], keys, {**keymap, **spelled}, there)
        if wrong:
            problems.append(wrong)
            continue
        keymap[id_] = keys
        problems += _seldom(name, keys)
    return keymap, few(problems)


class _Keys:
    """The keys of a place: those that its actions usually have, by their ids."""

    def __init__(self, place: KeyScope) -> None:
        self.writing = place.writing
        self.usual = {str(binding.id): keys for keys, binding in place.bindings() if binding.id}


def _split(keys: str) -> list[str]:
    """Each of some keys as Textual names it; as it is where it is none."""
    return [UNBOUND if key.strip() == UNBOUND else key_names.normal(key) or key.strip() for key in _apart(keys)]


def _apart(keys: str) -> list[str]:
    """Keys with commas between; a comma that is one itself stands at the end, or after a plus."""
    return [key for key in re.split(r"(?<!\+),", keys) if key.strip()]


def _wrong(name: str, id_: str, written: str, keys: str, keymap: Mapping[str, str], there: Sequence[_Keys]) -> str:
    """Why an action cannot have these keys, in words; empty where it can."""
    if wrong := [key for key in _apart(written) if key.strip() != UNBOUND and not key_names.normal(key)]:
        suggestion = did_you_mean(wrong[0].strip().lower(), key_names.examples())
        return sentences(say("{name}: {key} is no key.", name=name, key=safe_line(wrong[0], 40)), suggestion)
    writing = [place for place in there if place.writing and id_ in place.usual]
    if writing and not any(map(key_names.writes, writing[0].usual[id_].split(","))):
        for key in keys.split(","):
            if key != UNBOUND and key_names.writes(key):
                return say("{name}: {key} is a key that one writes with.", name=name, key=key_name(key))
    if other := _taken(id_, keys, keymap, there):
        return say("{name}: {other} has that key already.", name=name, other=other)
    return ""


def _seldom(name: str, keys: str) -> Iterator[str]:
    """A word on keys of which no terminal without the kitty protocol sends one."""
    wanted = [key for key in keys.split(",") if key != UNBOUND]
    if not wanted or any(map(key_names.is_everywhere, wanted)):
        return
    key, shown_key = wanted[0], key_name(wanted[0])
    if other := key_names.other_key(key):
        yield say("{name}: most terminals send {other} for {key}.", name=name, key=shown_key, other=key_name(other))
    else:
        yield say("{name}: few terminals can send {key}.", name=name, key=shown_key)


def _taken(id_: str, keys: str, keymap: Mapping[str, str], there: Iterable[_Keys]) -> str:
    """The action that has one of these keys in a place where this one counts; empty for none."""
    mine = set(keys.split(",")) - {UNBOUND}
    for place in there:
        if id_ in place.usual:
            for other, usual in place.usual.items():
                if other != id_ and mine & set(keymap.get(other, usual).split(",")):
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
