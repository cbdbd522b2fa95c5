"""What is typed after /set turns every setting of the settings screen, and says how it stands."""

import pytest

from qwenchat.system.paths import Paths
from qwenchat.tui.screens.search import SearchScreen
from qwenchat.tui.settings.screen import SettingsScreen
from tests.support.chat_driver import chat


async def test_the_theme_is_set_by_its_name_and_counts_at_once():
    async with chat() as it:
        await it.send("/set theme nord")
        await it.sees("theme nord (not saved)")
        assert it.app.theme == "nord"
        await it.send("/theme gruvbox")
        await it.until(lambda: it.app.theme == "gruvbox", "the theme")
        await it.send("/set theme")
        await it.sees("theme gruvbox (not saved)")
        await it.send("/theme nosuch")
        await it.sees("nosuch is none of")
        assert it.draft == "/theme nosuch"


async def test_what_concerns_the_model_loads_it_anew():
    async with chat() as it:
        await it.send("/set context 4,096")
        await it.sees("context 4,096 (not saved)")
        await it.until(lambda: len(it.engine.loads) == 2, "the model loaded anew")
        assert it.engine.loads[-1].context_window == 4096
        await it.send("/set context=lots")
        await it.sees("lots is no number.")
        assert len(it.engine.loads) == 2


async def test_what_counts_from_the_next_start_on_is_saved_at_once():
    async with chat() as it:
        await it.send("/set keymap vim")
        await it.sees("keymap vim (config.toml)", "It counts from the next start on")
        assert 'keymap = "vim"' in Paths.of_user().config_file.read_text("utf-8")


async def test_settings_of_answers_and_of_the_screen_go_together_and_an_unknown_one_changes_nothing():
    async with chat() as it:
        await it.send("/set top_k=7 reduced-motion=on")
        await it.sees("top_k 7 (this chat)", "reduced_motion on (not saved)")
        await it.send("/set top_k=9 [red]heat=1")
        await it.sees("There is no setting [red]heat.", "theme, ")
        assert it.session.overrides.top_k == 7


@pytest.mark.parametrize(("typed", "sees"), [("/settings", SettingsScreen), ("/search lake", SearchScreen)])
async def test_screens_open_by_commands(typed, sees):
    async with chat() as it:
        await it.ask("By the lake")
        await it.send(typed)
        await it.until(lambda: isinstance(it.app.screen, sees), "the screen")
        if sees is SearchScreen:
            await it.sees("1 hit", "By the lake")


async def test_the_theme_command_alone_lets_one_choose():
    async with chat() as it:
        await it.send("/theme")
        await it.sees("✓ qwenchat-dark")
        await it.press("escape")
        await it.send("/models")
        await it.sees("To download")
