"""Colour themes: the shipped ones and the user's own, read from TOML files."""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from textual.app import App
from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import listed, say, sentences
from qwenchat.settings.config import few
from qwenchat.system.paths import shipped_themes
from qwenchat.system.toml_file import read_toml

DEFAULT, TERMINAL = "qwenchat-dark", "terminal"
OTHERS = frozenset(
    {"catppuccin-latte", "catppuccin-mocha", "gruvbox", "nord", "rose-pine", "solarized-light", "tokyo-night"}
)
"""Textual's own themes that the picker offers beside ours."""

_COLORS = frozenset(
    {"primary", "secondary", "accent", "foreground", "background", "surface", "panel", "boost", "success", "warning"}
    | {"error"}
)
_TEXT_STYLES = frozenset({"none", "bold", "dim", "italic", "underline", "reverse", "strike"})
_NAME = re.compile(r"\w[\w .-]{0,59}")


def choose(app: App[Any], name: str, folders: Iterable[Path]) -> tuple[str, ...]:
    """Offer the themes in an app, take the one called `name`, and say what is wrong with them in words."""
    found, problems = read_themes(folders)
    for theme in found:
        app.register_theme(theme)
    if name in app.available_themes:
        app.theme = name
    else:
        app.theme = DEFAULT if DEFAULT in app.available_themes else "textual-dark"
        there = say(
            "There is no theme {name}; {theme} is used. Ctrl+P, Theme lists those there are.",
            name=safe_line(name), theme=app.theme,
        )  # fmt: skip
        problems += (sentences(there, did_you_mean(name, app.available_themes)),)
    for other in app.available_themes.keys() - {theme.name for theme in found} - OTHERS - {app.theme}:
        app.unregister_theme(other)
    return problems


def variables_of(theme: Theme) -> dict[str, str]:
    """The variables that the program has beside Textual's, where `theme` does not give them: text that stands back,
    and what lies behind the chosen row of a list."""
    colors = theme.to_color_system().generate()
    if theme.ansi:
        return {"quiet": "ansi_default", "chosen": theme.primary}
    # Mixed already, since text drops the share of a colour that it takes from a variable.
    quiet = Color.parse(colors["background"]).blend(Color.parse(colors["foreground"]), 0.78)
    return {"quiet": quiet.hex, "chosen": f"{theme.primary} {18 if theme.dark else 15}%"}


class ThemeReloader:
    """Notices that a theme's file was saved, and takes what is in it now."""

    def __init__(self, app: App[Any], folders: Iterable[Path]) -> None:
        self._app, self._folders = app, tuple(folders)
        self._seen = self._times()

    def look(self) -> tuple[str, ...]:
        """Take what was changed since the last look, and say what is wrong with it; a broken theme stays as it was."""
        times = self._times()
        changed = [file for file, saved in times.items() if self._seen.get(file) != saved]
        self._seen = times
        problems = []
        for file in changed:
            try:
                self._app.register_theme(read_theme(file))
            except ConfigInvalid as error:
                problems.append(say("{error} It stays as it was.", error=error))
            else:
                if file.stem == self._app.theme:
                    self._app.refresh_css(animate=False)
        return tuple(problems)

    def _times(self) -> dict[Path, int]:
        times: dict[Path, int] = {}
        for folder in self._folders:
            with suppress(OSError):
                times |= {file: file.stat().st_mtime_ns for file in folder.glob("*.toml")}
        return times


def read_themes(folders: Iterable[Path]) -> tuple[list[Theme], tuple[str, ...]]:
    """The themes in `folders` and the shipped ones, and what is wrong with the rest in words.

    Of two with the same name the first wins, so that a user's theme goes before a shipped one.
    """
    themes: dict[str, Theme] = {}
    problems: list[str] = []
    shipped = shipped_themes()
    for folder in (*(folder for folder in folders if folder != shipped), shipped):
        try:
            files = sorted(folder.glob("*.toml"))
        except OSError as error:
            problems.append(say("The themes in {folder} cannot be read: {why}.", folder=folder, why=error.strerror))
            continue
        for file in files:
            if file.stem in themes:
                continue
            try:
                themes[file.stem] = read_theme(file)
            except ConfigInvalid as error:
                problems.append(say("{error} This theme is left out.", error=error))
    return list(themes.values()), few(problems)


def read_theme(file: Path) -> Theme:
    """The theme in `file`, named like it. Raises ConfigInvalid, which says the file and the key."""
    if not _NAME.fullmatch(file.stem):
        raise _wrong(file, say("the name may hold letters, digits, spaces, dots and dashes."))
    try:
        _, table = read_toml(file)
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(file, say("it cannot be read: {error}.", error=error)) from error
    for key in table.keys() - {"dark", "ansi", "colors", "variables"}:
        raise _wrong(file, say("there is no key {key}; a theme has dark, ansi, [colors] and [variables].", key=key))
    dark, ansi = _switch(file, table, "dark", True), _switch(file, table, "ansi", False)
    colors = _strings(file, table, "colors")
    for key, color in colors.items():
        if key not in _COLORS:
            known = listed(sorted(_COLORS))
            raise _wrong(file, say("there is no colour colors.{key}; there are {known}.", key=key, known=known))
        if not _is_color(color, ansi=ansi):
            raise _wrong(
                file, say('colors.{key} is not a colour: {color!r}. Write it as "#a394ff".', key=key, color=color)
            )
    if "primary" not in colors:
        raise _wrong(file, say("colors.primary is missing."))
    variables = _strings(file, table, "variables")
    for key, value in variables.items():
        if key.endswith("-style"):
            if not value or not set(value.split()) <= _TEXT_STYLES:
                raise _wrong(
                    file,
                    say(
                        'variables.{key} is not a text style: {value!r}. Write it as "bold underline".',
                        key=key, value=value,
                    ),
                )  # fmt: skip
        elif not _is_color(value, ansi=ansi):
            raise _wrong(
                file,
                say('variables.{key} is not a colour: {value!r}. Write it as "#a394ff 50%".', key=key, value=value),
            )
    if ansi:  # Textual's own style sheets refer to these
        variables = BUILTIN_THEMES["ansi-dark" if dark else "ansi-light"].variables | variables
    return Theme(name=file.stem, dark=dark, ansi=ansi, variables=variables, **colors)  # type: ignore[arg-type]


def _switch(file: Path, table: dict[str, Any], name: str, default: bool) -> bool:
    value = table.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(file, say("{name} is true or false, not {value!r}.", name=name, value=value))
    return value


def _strings(file: Path, table: dict[str, Any], name: str) -> dict[str, str]:
    values = table.get(name, {})
    if not isinstance(values, dict):
        raise _wrong(file, say("{name} is a table, written [{name}].", name=name))
    for key, value in values.items():
        if not isinstance(value, str):
            raise _wrong(file, say("{name}.{key} is a text in quotes, not {value!r}.", name=name, key=key, value=value))
    return values


def _is_color(text: str, *, ansi: bool) -> bool:
    """Whether `text` is a colour of its own, perhaps with a share as in "red 50%"; or one of the terminal's."""
    color = re.sub(r" (?:\d{1,2}|100)%$", "", text)
    try:
        return (ansi or Color.parse(color).ansi is None) and not color.startswith("auto")
    except ColorParseError:
        return False


def _wrong(file: Path, what: str) -> ConfigInvalid:
    return ConfigInvalid(safe_line(f"{file}: {what}", 400))
