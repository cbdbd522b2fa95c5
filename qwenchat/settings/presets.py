"""Presets: named ways for the model to answer. Some come with the program, others are files of the user's."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import msgspec

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import SAMPLING, SamplingOverrides
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import listed, say
from qwenchat.settings.config import few
from qwenchat.system.private_files import make_private_folder, replace_whole
from qwenchat.system.toml_file import read_toml

NAME = re.compile(r"\w[\w .-]{0,39}")
"""What a preset may be called, which is also what its file is called."""
NO_LIMIT: Literal["off"] = "off"
"""How a preset says that thoughts have no limit."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What is to be other than usual; None leaves a setting as it is."""

    name: str
    description: str = ""
    model: str | None = None
    system: str | None = None
    think: bool | None = None
    thinking_budget: int | Literal["off"] | None = None
    sampling: SamplingOverrides = SamplingOverrides()

    @property
    def values(self) -> Mapping[str, Any]:
        """What it sets, by the names that the settings have; a budget of None is no limit."""
        plain = {name: getattr(self, name) for name in ("model", "system", "think", "thinking_budget")}
        set_ = {name: value for name, value in (*plain.items(), *_items(self.sampling)) if value is not None}
        return set_ | ({"thinking_budget": None} if self.thinking_budget == NO_LIMIT else {})


def built_in() -> tuple[Preset, ...]:
    """The presets that come with the program."""
    return (
        Preset("Balanced", say("the model's own settings; it thinks as long as it likes"),
               think=True, thinking_budget=NO_LIMIT),
        Preset("Precise", say("thinks, and keeps to the likeliest words"),
               think=True, sampling=SamplingOverrides(temperature=0.4, top_p=0.9, top_k=20)),
        Preset("Creative", say("answers at once, with less likely words"),
               think=False, sampling=SamplingOverrides(temperature=1.0, top_p=0.95, min_p=0.05, presence_penalty=0.5)),
        Preset("Coder", say("thinks, then writes complete programs"), system=_CODER,
               think=True, sampling=SamplingOverrides(temperature=0.6, top_p=0.95, top_k=20)),
        Preset("Translator", say("translates what you write, and says nothing else"), system=_TRANSLATOR,
               think=False, sampling=SamplingOverrides(temperature=0.3, top_p=0.8)),
        Preset("Brief", say("answers at once, in as few words as it takes"), system=_BRIEF, think=False),
    )  # fmt: skip


# Models are spoken to in English, which they follow best.
_CODER = (
    "You are an experienced programmer. Write correct, complete, readable code in fenced blocks that name the "
    "language. Say in one or two sentences what it does and what it takes for granted. Ask when a question can be read "
    "in two ways."
)
_TRANSLATOR = (
    "You are a translator. Translate every message into the language that the user named last; if none was named, into "
    "English. Keep tone, names, numbers and layout. Reply with the translation alone."
)
_BRIEF = "Answer in as few words as the question allows. No introduction, no repetition, no closing remark."


def read(folder: Path) -> tuple[tuple[Preset, ...], tuple[str, ...]]:
    """The built-in presets and those in `folder`, which go before them, and in words what is wrong with any."""
    found = {preset.name.lower(): preset for preset in built_in()}
    problems = []
    try:
        files = sorted(folder.glob("*.toml"))
    except OSError as error:
        return tuple(found.values()), (say("{folder} cannot be read: {error}.", folder=folder, error=error),)
    for file in files:
        try:
            found[file.stem.lower()] = read_file(file)
        except ConfigInvalid as error:
            problems.append(say("{error} This preset is left out.", error=error))
    return tuple(found.values()), few(problems)


def named(presets: Sequence[Preset], name: str) -> Preset:
    """The preset of that name in any case; raises ConfigInvalid."""
    preset = next((preset for preset in presets if preset.name.lower() == name.strip().lower()), None)
    if preset is None:
        known = listed(preset.name for preset in presets)
        raise ConfigInvalid(
            say("There is no preset {name}.", name=safe_line(name)),
            did_you_mean(name, [preset.name for preset in presets]) or say("There are {names}.", names=known),
        )
    return preset


def read_file(file: Path) -> Preset:
    """The preset in `file`, called like it. Raises ConfigInvalid, which says the file and the key."""
    if not NAME.fullmatch(file.stem):
        raise _wrong(file, say("the name may hold letters, digits, spaces, dots and dashes"))
    try:
        _, table = read_toml(file)
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(file, say("it cannot be read: {error}", error=error)) from error
    known = {field.name for field in fields(Preset)} - {"name"}
    sampling = table.get("sampling", {})
    wrong = [*(table.keys() - known), *(f"sampling.{name}" for name in _keys(sampling) - {*SAMPLING})]
    if wrong:
        first = min(wrong)
        suggestion = did_you_mean(first, [*known, *(f"sampling.{name}" for name in SAMPLING)])
        raise _wrong(file, say("there is no setting {name}", name=safe_line(first)), suggestion)
    try:
        preset = msgspec.convert({**table, "name": file.stem}, Preset)
        check(preset)
    except (msgspec.ValidationError, ConfigInvalid, OverflowError) as error:
        raise _wrong(file, str(error).rstrip(".。")) from error
    return preset


def check(preset: Preset) -> None:
    """Raise ConfigInvalid for a value that is out of range."""
    preset.sampling.applied(thinking=True)
    if isinstance(preset.thinking_budget, int) and preset.thinking_budget < 1:
        raise ConfigInvalid(say("thinking_budget is {value}.", value=preset.thinking_budget), say("It is at least 1."))


def write(preset: Preset, folder: Path) -> Path:
    """Write a preset into its file, in place of one of that name. Raises ConfigInvalid when it cannot be."""

    if not NAME.fullmatch(preset.name):
        raise ConfigInvalid(
            say("A preset cannot be called {name}.", name=safe_line(preset.name) or '""'),
            say("The name may hold letters, digits, spaces, dots and dashes."),
        )
    import tomlkit  # noqa: PLC0415  (only to write)

    table = {name: getattr(preset, name) for name in ("description", "model", "system", "think", "thinking_budget")}
    written: dict[str, Any] = {name: value for name, value in table.items() if value not in (None, "")}
    if preset.system == "":
        written["system"] = ""
    if sampling := {name: value for name, value in _items(preset.sampling) if value is not None}:
        written["sampling"] = sampling
    file = folder / f"{preset.name}.toml"
    try:
        make_private_folder(folder)
        replace_whole(file, tomlkit.dumps(written))
    except OSError as error:
        raise ConfigInvalid(say("{file} cannot be written: {error}.", file=file, error=error)) from error
    return file


def _items(sampling: SamplingOverrides) -> list[tuple[str, Any]]:
    return [(name, getattr(sampling, name)) for name in SAMPLING]


def _keys(table: object) -> set[str]:
    return set(table) if isinstance(table, dict) else set()


def _wrong(file: Path, what: str, remedy: str = "") -> ConfigInvalid:
    return ConfigInvalid(safe_line(say("{file}: {what}.", file=file, what=what), 400), remedy)
