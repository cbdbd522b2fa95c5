"""Reads config.toml: what it says, key by key, and what is wrong with it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from enum import EnumType
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import SAMPLING, SamplingOverrides
from qwenchat.chat.server_profile import Server
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.chat.tools import ALL, BUILT_IN, McpServer, ToolSettings
from qwenchat.i18n import texts
from qwenchat.i18n.texts import count, listed, say, sentences
from qwenchat.settings.parameters import BY_NAME
from qwenchat.settings.settings import Settings
from qwenchat.system.toml_file import read_toml

MOST_SAID = 20
"""Problems of one kind that are said one by one."""


class ConfigProblems:
    """What is wrong with one file, in words that say where; of many only the first are said."""

    def __init__(self, file: Path, text: str) -> None:
        self._file, self._lines = file, lines_of(text)
        self._said: list[str] = []
        self._more = 0

    @property
    def found(self) -> tuple[str, ...]:
        """A sentence for each of the first, and one for the others."""
        return few(self._said, self._more)

    def add(self, key: str, what: str) -> None:
        """Something is wrong with a dotted key."""
        if len(self._said) < MOST_SAID:
            self._said.append(say("{where}: {problem}", where=self.where(key), problem=what))
        else:
            self._more += 1

    def unknown(self, key: str, name: str, known: Iterable[str]) -> None:
        """There is no setting of that name; it may be one of the `known` that was meant."""
        if len(self._said) < MOST_SAID:
            said = say("there is no setting {key}. It is ignored.", key=safe_line(key))
            self.add(key, sentences(said, did_you_mean(name, known)))
        else:
            self._more += 1

    def where(self, key: str) -> str:
        """The file, and the line of a key where it is known."""
        file, line = safe_line(str(self._file), 400), self._lines.get(key)
        return say("{file}, line {line}", file=file, line=line) if line else file


def read(file: Path) -> tuple[Settings, tuple[str, ...]]:
    """The settings in `file`, and what is wrong with it in words; a key that cannot be used has its default."""
    try:
        text, table = read_toml(file)
    except FileNotFoundError:
        return Settings(), ()
    except (OSError, ValueError, RecursionError) as error:
        said = say("{file} cannot be read: {error}. The defaults are used.", file=file, error=error)
        return Settings(), (safe_line(said, 1000),)
    problems = ConfigProblems(file, text)
    return Settings(**_values(Settings, table, "", problems)), problems.found


def few(problems: Sequence[str], more: int = 0) -> tuple[str, ...]:
    """The first of many problems, and a sentence that counts the others, with `more` that are not among these."""
    more += max(len(problems) - MOST_SAID, 0)
    if not more:
        return tuple(problems)
    others = count("There is {number:,} other problem.", "There are {number:,} other problems.", more)
    return (*problems[:MOST_SAID], others)


def language(file: Path, environment: Mapping[str, str]) -> str:
    """The language that is wanted: by QWENCHAT_LANGUAGE, by `file`, or by the system; its problems are for `read`."""
    wanted = environment.get("QWENCHAT_LANGUAGE", "")
    if not wanted:
        with suppress(OSError, ValueError, RecursionError):
            wanted = read_toml(file)[1].get("language", "auto")
    return wanted if wanted in texts.LANGUAGES else texts.language_of(environment)


# Nothing is gone through twice, so that a line of any length takes the time of its length.
_HEADER = re.compile(r"\s*+\[([^\[\]]++)\]")
_KEY = re.compile(r"\s*+((?:\"[^\"]*+\"|'[^']*+'|[\w.-]++)(?:\s*+\.\s*+[\w-]++)*+)\s*+=")


def lines_of(text: str) -> dict[str, int]:
    """The line of each dotted key in TOML, counted from 1; good for the way people write it."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _plain(header[1]) + "."
            found.setdefault(table[:-1], number)
        elif key := _KEY.match(line):
            found.setdefault(table + _plain(key[1]), number)
    return found


def _plain(key: str) -> str:
    return ".".join(part.strip() for part in key.strip().replace('"', "").replace("'", "").split("."))


def checked(key: str, value: Any) -> Any:
    """`value` as the setting with that dotted key holds it. Raises ConfigInvalid."""
    prefix, _, name = key.rpartition(".")
    cls = {"": Settings, "sampling": SamplingOverrides, "tools": ToolSettings}.get(prefix)
    if key.startswith("keys."):
        return _converted(value, str)
    if cls is None or name not in {field.name for field in fields(cls)}:
        raise ConfigInvalid(say("There is no setting {key}.", key=safe_line(key)))
    converted = _converted(value, get_type_hints(cls)[name])
    if cls is SamplingOverrides:
        SamplingOverrides(**{name: converted}).applied(thinking=True)
    elif key in BY_NAME and (least := BY_NAME[key].least) and isinstance(converted, int) and converted < least:
        raise ConfigInvalid(say("It is {value}.", value=converted), say("It must be at least {least}.", least=least))
    return converted


def _converted(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ConfigInvalid(_in_words(str(error), kind)) from error


def _in_words(error: str, kind: Any) -> str:
    """What msgspec says of a value of the wrong kind, for people."""
    choices = [str(choice) for choice in get_args(kind) if isinstance(choice, str)]
    if choices:
        return say("it should be one of {choices}", choices=listed(choices))
    words = [word for part in get_args(kind) for word in get_args(part) if isinstance(word, str)]
    if words:
        return say("it should be a whole number or {words}", words=listed(words))
    if choice := re.fullmatch(r"Invalid enum value .* - at `\$\.(\w+)`", error, re.DOTALL):
        hint = get_type_hints(kind)[choice[1]]
        allowed = next(part for part in (hint, *get_args(hint)) if isinstance(part, EnumType))
        return f"{choice[1]}: {say('it should be one of {choices}', choices=listed(map(str, allowed)))}"
    found = re.fullmatch(r"Expected `([^`]+)`, got `([^`]+)`(?: - at `\$\.?([^`]*)`)?", error)
    if found is None:
        return error
    names = {
        "int": say("a whole number"), "float": say("a number"), "str": say("text in quotes"),
        "bool": say("true or false"), "array": say("a list"), "object": say("a table"),
    }  # fmt: skip
    wanted, given = (names.get(name.partition(" | ")[0], name) for name in found.group(1, 2))
    wrong = say("it should be {wanted} and is {given}", wanted=wanted, given=given)
    return f"{found[3]}: {wrong}" if found[3] else wrong


def _values(cls: type, table: dict[str, Any], prefix: str, problems: ConfigProblems) -> dict[str, Any]:
    """Those of `table`'s keys that are fields of `cls`, have their type and lie in their range."""
    names = {field.name for field in fields(cls)}
    values: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        if name not in names:
            problems.unknown(key, name, _KEYS)
        elif name == "sampling" and isinstance(value, dict):
            values[name] = SamplingOverrides(**_values(SamplingOverrides, value, "sampling.", problems))
        elif name == "tools" and isinstance(value, dict):
            values[name] = ToolSettings(**_values(ToolSettings, value, "tools.", problems))
        elif name in _TABLES and isinstance(value, dict):
            made = {item: _entry(name, item, value[item], problems) for item in value}
            values[name] = {item: entry for item, entry in made.items() if entry is not None}
        else:
            try:
                values[name] = checked(key, value)
            except ConfigInvalid as error:
                problems.add(key, _unusable(key, error))
    return values


def refused_in(file: Path) -> frozenset[str]:
    """The dotted keys of `file` whose values cannot be used, those of tables of the user's own left out."""
    refused: set[str] = set()
    with suppress(OSError, ValueError, RecursionError):
        _, table = read_toml(file)
        sampling = table.pop("sampling", {})
        if isinstance(sampling, dict):
            table |= {f"sampling.{name}": value for name, value in sampling.items()}
        for key, value in table.items():
            try:
                checked(key, value)
            except ConfigInvalid:
                refused.add(key)
    return frozenset(refused)


def _entry(table: str, name: str, value: Any, problems: ConfigProblems) -> Any:
    """One entry of a table with names of the user's own; None for one that cannot be used."""
    key = f"{table}.{name}"
    try:
        if table == "keys":
            return _converted(value, str)
        kind = _TABLES[table]
        if table == "servers" and isinstance(value, dict) and "key" in value:
            raise ConfigInvalid(say("a key does not belong here"), say("Name where it is: key_env or key_file."))
        if isinstance(value, dict):
            for unknown in value.keys() - {field.name for field in fields(kind)} - {"key"}:
                problems.unknown(f"{key}.{unknown}", unknown, [field.name for field in fields(kind)])
        entry = replace(_converted(value, kind), name=name)
        if isinstance(entry, McpServer):
            _check_server(entry)
        return entry
    except ConfigInvalid as error:
        problems.add(key, _unusable(key, error))
        return None


def _check_server(server: McpServer) -> None:
    """Refuse what cannot be started, and names by which the tools of two servers could be taken for each other."""
    if bool(server.command) is bool(server.url):
        raise ConfigInvalid(say("It has to have a command or a url."))
    if not re.fullmatch(r"[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*", server.name):
        raise ConfigInvalid(say("The name may have letters, digits, - and single _."))
    if server.name in (*BUILT_IN, ALL):
        raise ConfigInvalid(say("A tool of qwenchat has that name."), say("Choose another."))


_KEYS = (
    *(field.name for field in fields(Settings)),
    *(f"sampling.{name}" for name in SAMPLING),
    *(f"tools.{field.name}" for field in fields(ToolSettings)),
)
_TABLES: Mapping[str, Any] = {"keys": str, "servers": Server, "mcp": McpServer}
"""The tables whose entries have names of the user's own, and what these are."""


def _unusable(key: str, error: ConfigInvalid) -> str:
    reason = safe_line(str(error).rstrip("."), 400)
    return say("{key} cannot be used: {reason}. The default is used.", key=safe_line(key), reason=reason)
