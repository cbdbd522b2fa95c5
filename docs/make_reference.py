"""Writes the tables of docs that the program itself knows: python docs/make_reference.py."""

from collections.abc import Iterator
from pathlib import Path

import click

from qwenchat.chat.sampling import NON_THINKING, THINKING
from qwenchat.cli.main import cli
from qwenchat.settings.schema import Setting, schema
from qwenchat.tui.app import QwenChat
from qwenchat.tui.keys.bindings import VIM, bindings_of, key_name

DOCS = Path(__file__).parent
OPTIONS = {str(option.name): option for option in cli.params if isinstance(option, click.Option)}
VARIABLES = {"language": "QWENCHAT_LANGUAGE"}
"""Of settings that have no flag."""


def settings() -> Iterator[str]:
    """The table of the keys outside of tables."""
    yield "| key | flag | variable | default | what it is |"
    yield "|---|---|---|---|---|"
    for setting in schema():
        if "." not in setting.key:
            default = setting.unset or f"`{_toml(setting.default)}`"
            yield f"| `{setting.key}` | {_flag(setting)} | {_variable(setting)} | {default} | {_about(setting)} |"


def sampling() -> Iterator[str]:
    """The table of `[sampling]`."""
    yield "| key | flag | variable | thinking | not thinking | what it is |"
    yield "|---|---|---|---|---|---|"
    for setting in schema():
        prefix, _, name = setting.key.rpartition(".")
        if prefix == "sampling":
            on, off = (_preset(getattr(preset, name)) for preset in (THINKING, NON_THINKING))
            yield f"| `{name}` | {_flag(setting)} | {_variable(setting)} | {on} | {off} | {_about(setting)} |"


def actions() -> Iterator[str]:
    """The table of what can have another key."""
    yield "| name | keys | what it does |"
    yield "|---|---|---|"
    groups, elsewhere = QwenChat.places()
    seen = set()
    for place in (*groups, *elsewhere):
        for keys, binding in bindings_of(place.node).items():
            if binding.id not in seen:
                seen.add(binding.id)
                vim = f", with `vim` {key_name(VIM[binding.id])}" if binding.id in VIM else ""
                yield f"| `{binding.id}` | {key_name(keys)}{vim} | {binding.description} |"


TABLES = {"configuration.md": {"settings": settings, "sampling": sampling}, "keys.md": {"actions": actions}}


def written(name: str) -> str:
    """A page with its tables made anew."""
    page = (DOCS / name).read_text("utf-8")
    for table, lines in TABLES[name].items():
        mark = f"<!-- {table} -->"
        before, _, after = page.partition(mark)
        page = "\n".join((before + mark, *lines(), mark + after.partition(mark)[2]))
    return page


def _flag(setting: Setting) -> str:
    option = OPTIONS.get(setting.key.rpartition(".")[2])
    return f"`{option.opts[0]}`" if option else ""


def _variable(setting: Setting) -> str:
    name = setting.key.rpartition(".")[2]
    variable = OPTIONS[name].envvar if name in OPTIONS else VARIABLES.get(name)
    return f"`{variable}`" if variable else ""


def _about(setting: Setting) -> str:
    if setting.choices:
        return f"{setting.about}: {', '.join(f'`{choice}`' for choice in setting.choices)}"
    limits = setting.range_in_words
    return f"{setting.about} ({limits})" if limits and setting.kind != "switch" else setting.about


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _preset(value: float | None) -> str:
    return "a fresh one each turn" if value is None else f"{value:g}"


if __name__ == "__main__":
    for name in TABLES:
        (DOCS / name).write_text(written(name), "utf-8")
