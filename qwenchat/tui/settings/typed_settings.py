"""Any setting, turned by what is typed after /set."""

from pathlib import Path

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.chat.typed_settings import pairs_of
from qwenchat.i18n.texts import listed, say
from qwenchat.session.answer_settings import NAMES, AnswerSettings
from qwenchat.settings import config, config_file
from qwenchat.tui.settings.controls import LoadSettings, SettingControl, changes, groups
from qwenchat.tui.settings.screen_settings import ScreenSettings


class TypedSettings:
    """The settings of the screen for them, by their names."""

    def __init__(self, answer_settings: AnswerSettings, load: LoadModel, file: Path, looks: ScreenSettings) -> None:
        """`load` is how the model is loaded, `file` the user's config.toml."""
        self._answer_settings = answer_settings
        self._load = LoadSettings(load)
        self._file = file
        *now, (_, later) = groups(answer_settings, self._load, looks.controls())
        self._now = {control.setting.name: control for _, controls in now for control in controls}
        self._later = {control.setting.name: control for control in later}

    @property
    def load(self) -> LoadModel:
        """How the model is to be loaded."""
        return self._load.wanted

    def handle(self, typed: str) -> str:
        """Turn what was typed, and say what there is to say; raises QwenchatError."""
        pairs = pairs_of(typed)
        if all(name in NAMES for name, _ in pairs):
            return self._answer_settings.handle(typed)
        controls = self._now | self._later
        for name, _ in pairs:
            if name not in controls:
                raise ConfigInvalid(
                    say("There is no setting {name}.", name=safe_line(name)),
                    did_you_mean(name, controls)
                    or say("There are {names}, as in /set temperature 0.5.", names=listed(controls)),
                )
        lines = [line for name, text in pairs for line in self._turn(name, controls[name], text)]
        return "\n".join(filter(None, lines))

    def _turn(self, name: str, control: SettingControl, text: str) -> tuple[str, ...]:
        """Turn one, if a value is typed. What counts from the next start on is saved, since else it is lost."""
        before = self._load.wanted
        said = control.put(text) if text else ""
        if name in self._later:
            said = self._save(control) if control.changed else ""
        elif self._load.wanted != before:
            said = ""
        return say("{text} ({note})", text=f"{name} {control.shown}", note=control.origin), said

    def _save(self, control: SettingControl) -> str:
        changed = changes([control])
        config_file.write(self._file, changed)
        self._answer_settings.saved(config.read(self._file)[0])
        return say("It counts from the next start on, and is saved in {file}.", file=self._file)
