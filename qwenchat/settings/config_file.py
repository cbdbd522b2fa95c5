"""Writes config.toml: what is changed changes, and what the user wrote around it stays."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomlkit
from filelock import FileLock
from tomlkit.items import Table

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say
from qwenchat.settings.config import checked
from qwenchat.settings.parameters import PARAMETERS, Parameter
from qwenchat.system.private_files import MODE, make_private_folder, replace_whole
from qwenchat.system.toml_file import read_toml


def write(file: Path, changes: Mapping[str, Any]) -> None:
    """Set the dotted keys of `changes`, or remove those that are None, in one step.

    Comments and order stay. Raises ConfigInvalid for a value that cannot be used, and for a file that is no TOML or
    cannot be written; then nothing is changed.
    """
    for key, value in changes.items():
        if value is not None:
            checked(key, value)
    try:
        target = file.resolve()
        make_private_folder(target.parent)
        with FileLock(target.with_name(f".{target.name}.lock"), mode=MODE):
            document = _read(target)
            for key, value in changes.items():
                _set(target, document, _path(key), value)
            replace_whole(target, tomlkit.dumps(document))
    except (OSError, RuntimeError) as error:  # a link that leads to itself is a RuntimeError
        said = say(
            "{file} cannot be changed: {error}.", file=safe_line(str(file), 400), error=safe_line(str(error), 200)
        )
        raise ConfigInvalid(said, say("It is as it was.")) from error


def create(file: Path) -> bool:
    """Make a commented file that sets nothing, unless there is one; says whether it did. Raises OSError."""
    if file.exists():
        return False
    make_private_folder(file.parent)
    replace_whole(file.resolve(), template())
    return True


def template() -> str:
    """A file in which every setting is explained and commented out."""
    lines = [f"# {say('Settings of qwenchat. A line counts once its # is gone.')}", ""]
    table = ""
    for setting in PARAMETERS:
        prefix, _, name = setting.key.rpartition(".")
        if prefix != table:
            table = prefix
            lines += [f"[{table}]", ""]
        lines += [f"# {_about(setting)}", f"#{name} = {tomlkit.item(_example(setting)).as_string()}", ""]
    return "\n".join((*lines, *_tables()))


def _about(setting: Parameter) -> str:
    known = setting.range_in_words
    pieces = [say("{text} ({note})", text=setting.about, note=known) if known else setting.about]
    if setting.unset:
        pieces.append(say("Default: {default}", default=setting.unset))
    return " ".join(pieces)


def _example(setting: Parameter) -> Any:
    return setting.example if setting.example is not None else setting.default


def _tables() -> tuple[str, ...]:
    return (
        f"# {say('Keys of your own, by the names that F1 shows; several with commas between, none for no key.')}",
        "[keys]",
        '#"chat.search" = "ctrl+f,f3"',
        "",
        f"# {say('Servers with an OpenAI-compatible address; the key is read from the environment or a file.')}",
        "#[servers.box]",
        '#address = "http://192.168.1.7:8000/v1"',
        '#model = "Qwen/Qwen3-0.6B"',
        '#key_env = "BOX_KEY"',
        "",
        f"# {say('Tools that the model may call: those that are asked about each time, and those that always run.')}",
        "#[tools]",
        '#on = ["read_file", "search_files"]',
        '#always = ["date_and_time", "calculator"]',
        '#folders = ["~/notes"]',
        "",
        f"# {say('Servers of tools that speak MCP: a command to be started, or an address.')}",
        "#[mcp.time]",
        '#command = "uvx"',
        '#args = ["mcp-server-time"]',
        "",
    )


def _read(file: Path) -> tomlkit.TOMLDocument:
    try:
        text, _ = read_toml(file)
        return tomlkit.parse(text)
    except FileNotFoundError:
        return tomlkit.document()
    except (ValueError, RecursionError) as error:
        name = safe_line(str(file), 400)
        raise ConfigInvalid(
            say("{file} cannot be read as TOML: {error}.", file=name, error=safe_line(str(error), 200)),
            say("Correct it first; nothing was written."),
        ) from error


def _path(key: str) -> list[str]:
    """The tables on the way to a key; ids of actions, below `keys`, have dots of their own."""
    table, _, name = key.partition(".")
    return [table, name] if table == "keys" else key.split(".")


def _set(file: Path, document: Any, path: list[str], value: Any) -> None:
    """Set or remove one key, making the tables on the way as they are needed."""
    for name in path[:-1]:
        if name not in document:
            if value is None:
                return
            document[name] = tomlkit.table()
        document = document[name]
        if not isinstance(document, Table | Mapping):
            wrong = say("{file}: {key} is no table.", file=safe_line(str(file), 400), key=safe_line(name))
            raise ConfigInvalid(wrong, say("Correct it first; nothing was written."))
    if value is None:
        with suppress(KeyError):
            del document[path[-1]]
    else:
        document[path[-1]] = value
