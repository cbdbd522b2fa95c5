"""The settings as the user turns them: one setting each, which knows its values, its steps and what they do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.chat.typed_settings import switch_of
from qwenchat.i18n.texts import listed, say
from qwenchat.session.answer_settings import NAMES, AnswerSettings, SettingSource
from qwenchat.settings.config import checked
from qwenchat.settings.parameters import PARAMETERS, Parameter


class SettingControl(Protocol):
    """One setting in the list. What changes it says what the user should know, and raises QwenchatError."""

    setting: Parameter

    @property
    def value(self) -> Any:
        """What it is set to."""

    @property
    def shown(self) -> str:
        """That, for people."""

    @property
    def origin(self) -> str:
        """Who set it, for people."""

    @property
    def changed(self) -> bool:
        """Whether it is other than usual, so that it can be saved."""

    def step(self, by: int) -> str:
        """The next value, or the one before."""

    def put(self, typed: str) -> str:
        """The value that was typed."""

    def reset(self) -> str:
        """Back to what is usual; from there, to what counts when nobody says anything."""


def about(setting: Parameter) -> str:
    """What a setting does and what it may be, for people."""
    what = setting.about[:1].upper() + setting.about[1:]
    known = setting.range_in_words if setting.kind in ("integer", "number", "choice") else ""
    return say("{what} ({known}).", what=what, known=known) if known else say("{what}.", what=what)


class AnswerSettingControl:
    """A setting of the next answers; what it is turned to counts at once."""

    def __init__(self, setting: Parameter, answer_settings: AnswerSettings) -> None:
        self.setting = setting
        self._name = setting.name
        self._answer_settings = answer_settings

    @property
    def value(self) -> Any:
        """See `SettingControl`; None is the model's own, or no limit."""
        return self._answer_settings.value(self._name)

    @property
    def shown(self) -> str:
        """See `SettingControl`."""
        return self._answer_settings.now(self._name)

    @property
    def origin(self) -> str:
        """See `SettingControl`."""
        return self._answer_settings.origin(self._name)

    @property
    def changed(self) -> bool:
        """See `SettingControl`."""
        return self._answer_settings.source(self._name) is SettingSource.CHAT

    def step(self, by: int) -> str:
        """See `SettingControl`."""
        return self._answer_settings.set(self._name, self._beside(by))

    def put(self, typed: str) -> str:
        """See `SettingControl`."""
        return self._answer_settings.set(self._name, self._answer_settings.value_of(self._name, typed))

    def reset(self) -> str:
        """See `SettingControl`."""
        return self._answer_settings.reset(self._name)

    def _beside(self, by: int) -> Any:
        value = self.value if self.value is not None else self._answer_settings.own(self._name)
        match self.setting:
            case Parameter(kind="switch"):
                return not value
            case Parameter(stops=stops) if stops:
                return _in_steps(stops, value, by)
            case Parameter(kind="text"):
                return value
            case Parameter() if value is None:
                return self.setting.example
        if self.setting.step == "double":
            return max(1, value * 2 if by > 0 else value // 2)
        stepped = value + by * self.setting.step
        return round(stepped, 4) if isinstance(value, float) else int(stepped)


class PlainSettingControl:
    """A setting that lies in a place of its own; `turn` makes a value count."""

    def __init__(
        self, setting: Parameter, answer_settings: AnswerSettings, read: Callable[[], Any], turn: Callable[[Any], str],
        choices: Sequence[Any] = (),
    ) -> None:  # fmt: skip
        """`choices` are its values, where the setting does not name them itself."""
        self.setting = setting
        self._name = setting.name
        self._answer_settings = answer_settings
        self._read = read
        self._turn = turn
        self._choices = (False, True) if setting.kind == "switch" else tuple(choices or setting.choices)
        self._stops = self._choices or setting.stops

    @property
    def value(self) -> Any:
        """See `SettingControl`."""
        return self._read()

    @property
    def shown(self) -> str:
        """See `SettingControl`."""
        value = self.value
        if isinstance(value, bool):
            return say("on") if value else say("off")
        if value is None:
            return self.setting.unset
        return f"{value:,}" if isinstance(value, int) else safe_line(str(value))

    @property
    def origin(self) -> str:
        """See `SettingControl`."""
        return say("not saved") if self.changed else self._answer_settings.origin(self._name)

    @property
    def changed(self) -> bool:
        """See `SettingControl`."""
        return bool(self.value != self._answer_settings.usual(self._name))

    def step(self, by: int) -> str:
        """See `SettingControl`."""
        if self._stops:
            return self._turn(_in_steps(self._stops, self.value, by))
        step = self.setting.step
        if not step or step == "double":
            return say("Enter types a value.")
        return self._turn(int(max(self.setting.least or 0, (self.value or 0) + by * step)))

    def put(self, typed: str) -> str:
        """See `SettingControl`."""
        typed = typed.strip()
        if typed.lower() in ("", "default"):
            return self._turn(self._answer_settings.usual(self._name))
        return self._turn(self._value_of(typed))

    def reset(self) -> str:
        """See `SettingControl`."""
        return self._turn(
            self._answer_settings.usual(self._name) if self.changed else self._answer_settings.unset(self._name)
        )

    def _value_of(self, typed: str) -> Any:
        if self.setting.kind == "switch":
            return switch_of(typed)
        if self._choices:
            found = next((choice for choice in self._choices if str(choice).lower() == typed.lower()), None)
            if found is None:
                known = listed(str(choice) for choice in self._choices if choice is not None)
                raise ConfigInvalid(
                    say("{text} is none of {choices}.", text=safe_line(typed), choices=known),
                    did_you_mean(typed, (str(choice) for choice in self._choices if choice is not None)),
                )
            return found
        if self.setting.kind == "text":
            return typed
        if typed.lower() in self.setting.words:
            return typed.lower()
        digits = typed.replace(",", "")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 10):
            raise ConfigInvalid(say("{text} is no number.", text=safe_line(typed)))
        return checked(self.setting.key, int(digits))


class LoadSettings:
    """How the model is to be loaded, until it is."""

    def __init__(self, loaded: LoadModel) -> None:
        self.loaded = loaded
        self.wanted = loaded

    def control(self, setting: Parameter, answer_settings: AnswerSettings) -> SettingControl:
        """One of model, device, quantization and context."""
        field = {"model": "name", "context": "context_window"}.get(setting.key, setting.key)

        def turn(value: Any) -> str:
            self.wanted = replace(self.wanted, **{field: value})
            return say("L loads the model anew with this.") if self.wanted != self.loaded else ""

        return PlainSettingControl(setting, answer_settings, lambda: getattr(self.wanted, field), turn)


class StartSettings:
    """What counts from the next start of the program on, once it is saved."""

    def __init__(self, answer_settings: AnswerSettings) -> None:
        self._answer_settings = answer_settings
        self._turned: dict[str, Any] = {}

    def control(self, setting: Parameter) -> SettingControl:
        """One of these settings."""

        def turn(value: Any) -> str:
            self._turned[setting.key] = value
            return say("S saves it; it counts from the next start on.")

        def read() -> Any:
            return self._turned.get(setting.key, self._answer_settings.usual(setting.key))

        presets = (None, *(preset.name for preset in self._answer_settings.presets))
        return PlainSettingControl(
            setting, self._answer_settings, read, turn, presets if setting.key == "preset" else ()
        )


def groups(
    answer_settings: AnswerSettings, load: LoadSettings, worn: Mapping[str, Callable[[Parameter], SettingControl]]
) -> tuple[tuple[str, Sequence[SettingControl]], ...]:
    """All settings under their headings; `worn` makes those of the screen."""
    start = StartSettings(answer_settings)
    answers: list[SettingControl] = []
    model: list[SettingControl] = []
    screen: list[SettingControl] = []
    later: list[SettingControl] = []
    for setting in PARAMETERS:
        if setting.name in NAMES:
            answers.append(AnswerSettingControl(setting, answer_settings))
        elif setting.key in ("model", "device", "quantization", "context"):
            # The name of a model on a server is nothing that can be loaded here.
            if setting.key != "model" or load.loaded.server is None:
                model.append(load.control(setting, answer_settings))
        elif setting.key in worn:
            screen.append(worn[setting.key](setting))
        else:
            later.append(start.control(setting))
    return (
        (say("Answers, from the next message on"), answers),
        (say("The model, once it is loaded anew"), model),
        (say("The screen"), screen),
        (say("From the next start on"), later),
    )


def changes(controls: Sequence[SettingControl]) -> dict[str, Any]:
    """What is changed, by its key in config.toml; None for a key that is to be taken away."""
    return {control.setting.key: control.value for control in controls if control.changed}


def _in_steps(values: Sequence[Any], value: Any, by: int) -> Any:
    """The value after or before one of `values`, round and round; from a number between them, the next one."""
    if value in values:
        return values[(values.index(value) + by) % len(values)]
    numbers = [each for each in values if isinstance(each, int) and isinstance(value, int)]
    beyond = [each for each in numbers if (each - value) * by > 0]
    return (min(beyond) if by > 0 else max(beyond)) if beyond else values[0]
