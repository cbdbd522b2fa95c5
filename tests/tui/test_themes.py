"""Themes come from TOML files; one that cannot be used is left out and named, and never stops the program."""

import re
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.color import Color

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.system.paths import shipped_themes
from qwenchat.tui.base.themes import OTHERS, read_theme, read_themes
from tests.support.chat_driver import Chat, chat
from tests.support.examples import examples
from tests.support.fake_engine import Script
from tests.support.views import VIEWS, looks_of, still

__all__ = ["still"]

GOOD = 'dark = false\n[colors]\nprimary = "#102030"\nbackground = "white"\n[variables]\nborder = "#ff0000 50%"\n'


def _write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    file = folder / f"{name}.toml"
    file.write_text(text, "utf-8")
    return file


def test_a_theme_is_named_like_its_file(tmp_path):
    theme = read_theme(_write(tmp_path, "my own", GOOD))
    assert (theme.name, theme.dark, theme.primary, theme.background) == ("my own", False, "#102030", "white")
    assert theme.variables == {"border": "#ff0000 50%"}


def test_the_shipped_themes_are_sound():
    themes, problems = read_themes([])
    assert problems == ()
    assert {theme.name for theme in themes} >= {
        "qwenchat-dark", "qwenchat-light", "high-contrast", "high-contrast-light", "color-blind", "terminal",
    }  # fmt: skip


THEMES = sorted(file.stem for file in shipped_themes().glob("*.toml") if file.stem != "terminal")
COLOURFUL = [
    view
    for view in VIEWS
    if view.name not in ("welcome", "chat", "streaming", "editing", "versions", "notices", "replay")
]
"""The views that have colours which no other has."""
MARKS = re.compile(r"[\w%]")
"""What a text has and a line or a frame has not."""


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("view", COLOURFUL, ids=str)
async def test_every_text_can_be_read_in_every_shipped_theme(view):
    """WCAG AA in all, AAA in those of high contrast, but for comments in code, which stand back."""
    async with aclosing(looks_of(view, ((theme, (100, 34)) for theme in THEMES))) as looks:
        async for theme, it in looks:
            for text, color, ground in _texts(it):
                least = 7 if "contrast" in theme and not text.startswith("#") else 4.5
                assert _contrast(color, ground) >= least, (theme, text, color.hex, ground.hex)


def _texts(it: Chat) -> Iterator[tuple[str, Color, Color]]:
    """Each piece of text of the topmost screen with its colour and the colour behind it."""
    screen = it.app.screen
    shown = [screen] if screen is it.app._chat else [widget for widget in screen.children if widget.display]
    for y, strip in enumerate(screen._compositor.render_strips()):
        x = 0
        for text, style, _ in strip:
            if MARKS.search(text) and any(widget.region.contains(x, y) for widget in shown):
                assert style and style.color and style.bgcolor
                color, ground = (Color.from_rich_color(one) for one in (style.color, style.bgcolor))
                color, ground = (ground, color) if style.reverse else (color, ground)
                yield text.strip(), ground.blend(color, 0.5) if style.dim else color, ground
            x += cell_len(text)


def _contrast(one: Color, other: Color) -> float:
    """WCAG 2 contrast ratio."""

    def luminance(color: Color) -> float:
        channels = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized]
        return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_theme_of_the_user_goes_before_a_shipped_one_of_the_same_name(tmp_path):
    _write(tmp_path, "qwenchat-dark", GOOD)
    for folders in ([tmp_path], [shipped_themes(), tmp_path], [tmp_path, shipped_themes()]):
        themes, _ = read_themes(folders)
        assert [theme.primary for theme in themes if theme.name == "qwenchat-dark"] == ["#102030"]


def test_a_broken_theme_of_the_user_leaves_the_shipped_one_in_its_place(tmp_path):
    _write(tmp_path, "qwenchat-dark", "dark = 3")
    themes, problems = read_themes([tmp_path])
    assert [theme.primary for theme in themes if theme.name == "qwenchat-dark"] == ["#a394ff"]
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("dark = 3\n[colors]\nprimary='#fff'", "dark"),
        ("colors = 3", "colors"),
        ("[colors]\nprimary = 3", "colors.primary"),
        ("[colors]\nprimary = 'no colour'", "colors.primary"),
        ("[colors]\nprimary = 'auto'", "colors.primary"),
        ("[colors]\nprimary = '#fff'\nprimry = '#fff'", "colors.primry"),
        ("dark = true", "colors.primary is missing"),
        ("[colors]\nprimary = '#fff'\n[variables]\nborder = 'x; color: red'", "variables.border"),
        ("[colors]\nprimary = '#fff'\n[variables]\nlink-style = 'blinking'", "variables.link-style"),
        ("[colours]\nprimary = '#fff'", "colours"),
        ("[colors", "cannot be read"),
        ("\udcff", "cannot be read"),
    ],
)
def test_a_broken_theme_is_named_with_file_and_key(tmp_path, text, key):
    file = tmp_path / "mine.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigInvalid) as raised:
        read_theme(file)
    assert str(file) in str(raised.value)
    assert key in str(raised.value)


@settings(max_examples=examples(200))
@given(st.binary(max_size=200))
def test_no_file_breaks_the_reading_of_the_others(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("themes")
    (folder / "noise.toml").write_bytes(data)
    themes, problems = read_themes([folder])
    assert {theme.name for theme in themes} >= {
        "qwenchat-dark", "qwenchat-light", "high-contrast", "high-contrast-light", "color-blind", "terminal",
    }  # fmt: skip
    assert len(problems) == 1


def test_a_folder_that_is_not_there_is_no_problem(tmp_path):
    assert read_themes([tmp_path / "nowhere"])[1] == ()


async def test_the_theme_that_was_asked_for_is_used(tmp_path):
    _write(tmp_path, "mine", GOOD)
    async with chat(theme="mine", theme_folders=[tmp_path]) as it:
        assert it.app.theme == "mine"
        assert it.app.screen.styles.background.hex == "#FFFFFF"
        await it.ask("Go")
        await it.sees("Paris")


async def test_a_theme_that_is_not_there_is_said_and_the_default_used():
    async with chat(theme="nosuch") as it:
        await it.sees("There is no theme nosuch; qwenchat-dark is used.")
        assert it.app.theme == "qwenchat-dark"


async def test_a_broken_theme_is_said_on_the_screen(tmp_path):
    _write(tmp_path, "mine", "[colors]\nprimary = 3")
    async with chat(theme="mine", theme_folders=[tmp_path], size=(160, 40)) as it:
        await it.sees("mine.toml: colors.primary is a text in quotes, not 3.", "There is no theme mine")


async def test_every_theme_that_is_offered_can_be_chosen():
    async with chat(Script("A `word`.\n\n```python\nx = 1\n```", thought="Let me see")) as it:
        await it.ask("Go")
        assert set(it.app.available_themes) == {file.stem for file in shipped_themes().glob("*.toml")} | OTHERS
        for name in it.app.available_themes:
            it.app.theme = name
            await it.pilot.pause()
            await it.sees("x = 1")


async def test_the_palette_lists_the_themes_and_changes_them(tmp_path):
    _write(tmp_path, "mine", GOOD)
    async with chat(theme_folders=[tmp_path]) as it:
        await it.press("ctrl+p", *"theme")
        await it.sees("Change the colours")
        await it.press("enter")
        await it.sees("qwenchat-light", "mine", "gruvbox")
        await it.press(*"mine")
        await it.press("enter")
        await it.until(lambda: it.app.theme == "mine", "the theme")


async def test_a_theme_that_is_saved_counts_at_once_and_a_broken_one_stays_as_it_was(tmp_path):
    file = _write(tmp_path, "mine", GOOD)
    async with chat(theme="mine", theme_folders=[tmp_path]) as it:
        assert it.app.get_css_variables()["primary"] == "#102030"
        file.write_text(GOOD.replace("#102030", "#304050"), "utf-8")
        await it.until(lambda: it.app.get_css_variables()["primary"] == "#304050", "the new colour")
        file.write_text(GOOD.replace("#102030", "nonsense"), "utf-8")
        for text in ("colors.primary is not a colour", "It stays as it was."):
            await it.until(lambda text=text: text in " ".join(re.sub("[▌▎┃]", " ", it.screen).split()), text)
        assert it.app.get_css_variables()["primary"] == "#304050"
        _write(tmp_path, "other", GOOD)
        await it.until(lambda: "other" in it.app.available_themes, "the new theme")
