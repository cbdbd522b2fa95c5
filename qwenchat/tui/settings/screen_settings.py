"""The settings of the screen itself: its colours, how wide text is, whether it moves. They count at once."""

from collections.abc import Callable, Mapping
from typing import Any

from textual.app import App

from qwenchat.i18n.texts import say
from qwenchat.session.answer_settings import AnswerSettings
from qwenchat.settings.parameters import Parameter
from qwenchat.settings.settings import WIDTH, Width
from qwenchat.tui.base.themed_app import ThemedApp
from qwenchat.tui.settings.controls import PlainSettingControl, SettingControl


class ScreenSettings:
    """How the app looks now, and what it is turned to."""

    def __init__(self, app: App[Any], answer_settings: AnswerSettings) -> None:
        self._app = app
        self._answer_settings = answer_settings

    def controls(self) -> Mapping[str, Callable[[Parameter], SettingControl]]:
        """What makes the settings, by the key of the setting."""
        themes = sorted(self._app.available_themes)
        return {
            "theme": lambda it: PlainSettingControl(it, self._answer_settings, self._worn, self._wear, themes),
            "reduced_motion": lambda it: PlainSettingControl(
                it, self._answer_settings, self._is_still, self._hold_still
            ),
            "width": lambda it: PlainSettingControl(it, self._answer_settings, self._text_width, self._widen),
        }

    def _worn(self) -> str:
        return self._app.wanted_theme if isinstance(self._app, ThemedApp) else self._app.theme

    def _wear(self, theme: str) -> str:
        self._app.theme = theme
        return say("NO_COLOR is set, so the screen has no colours.") if self._app.no_color else ""

    def _is_still(self) -> bool:
        return self._app.animation_level == "none"

    def _hold_still(self, on: bool) -> str:
        self._app.animation_level = "none" if on else "full"
        return ""

    def _text_width(self) -> Width:
        return self._app.text_width if isinstance(self._app, ThemedApp) else WIDTH

    def _widen(self, width: Width) -> str:
        if isinstance(self._app, ThemedApp):
            self._app.widen(width)
        return ""
