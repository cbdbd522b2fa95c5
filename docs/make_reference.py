"""Writes the tables of docs that the program itself knows: python docs/make_reference.py."""

from collections.abc import Iterator
from pathlib import Path

from qwenchat.settings.parameters import PARAMETERS, Parameter
from qwenchat.tui.app import QwenChat
from qwenchat.tui.keys.bindings import VIM, bindings_of, key_name

DOCS = Path(__file__).parent


def settings() -> Iterator[str]:
    """The table of the keys outside of tables."""
    yield "| key | flag | variable | default | what it is |"
    yield "|---|---|---|---|---|"
    for setting in PARAMETERS:
        if not setting.is_sampling:
            default = setting.unset or f"`{_toml(setting.default)}`"
            yield f"| `{setting.key}` | {_flag(setting)} | {_variable(setting)} | {default} | {_about(setting)} |"


def sampling() -> Iterator[str]:
    """The table of `[sampling]`."""
    yield "| key | flag | variable | thinking | not thinking | what it is |"
    yield "|---|---|---|---|---|---|"
    for setting in PARAMETERS:
        if setting.is_sampling:
            on, off = (_preset(setting.default_when(thinking=thinking)) for thinking in (True, False))
            yield f"| `{setting.name}` | {_flag(setting)} | {_variable(setting)} | {on} | {off} | {_about(setting)} |"


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
    """A page with its tables made again."""
    page = (DOCS / name).read_text("utf-8")
    for table, lines in TABLES[name].items():
        mark = f"<!-- {table} -->"
        before, _, after = page.partition(mark)
        page = "\n".join((before + mark, *lines(), mark + after.partition(mark)[2]))
    return page


def _flag(setting: Parameter) -> str:
    return f"`{setting.flag.split('/')[0]}`" if setting.flag else ""


def _variable(setting: Parameter) -> str:
    return f"`{setting.variable}`" if setting.variable else ""


def _about(setting: Parameter) -> str:
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
