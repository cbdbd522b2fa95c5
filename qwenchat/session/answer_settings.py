"""What decides how the model answers: for each setting its value now, and where that comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from qwenchat.chat.errors import ConfigInvalid, NoThought
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.sampling import SAMPLING, SamplingOverrides, greedy_warning
from qwenchat.chat.server_profile import Server
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.chat.thinking_budget import budget_of
from qwenchat.chat.tools import ALL
from qwenchat.chat.typed_settings import number_of, pairs_of, switch_of
from qwenchat.i18n.texts import listed, say
from qwenchat.session.session import Session
from qwenchat.settings.presets import NO_LIMIT, Preset, named
from qwenchat.settings.settings import Settings

NAMES = ("think", "thinking_budget", *SAMPLING, "system")
"""The settings of an answer, in the order they are shown."""
_UNSET = Settings()
"""What counts when nobody says anything."""


class SettingSource(StrEnum):
    """Who set a value. Each goes before those below it."""

    CHAT = "chat"
    """It was changed since the program began."""
    FLAG = "flag"
    """A flag or an environment variable."""
    PRESET = "preset"
    CONFIG = "config"
    """config.toml."""
    MODEL = "model"
    """Nobody; the model's own setting counts."""


@dataclass(frozen=True, slots=True)
class SettingChange:
    """What a preset would make of one setting."""

    name: str
    before: Any
    after: Any


class AnswerSettings:
    """The settings of the next answers. The session holds them; what lies below them is known here."""

    def __init__(
        self,
        session: Session,
        *,
        flags: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
        presets: Sequence[Preset] = (),
        preset: Preset | None = None,
    ) -> None:
        """`session` was begun with `flags` over `preset` over `settings`."""
        self.presets = tuple(presets)
        self.preset = preset
        """The one that is on."""
        self._session = session
        self._flags = flags or {}
        self._settings = settings or Settings()

    @property
    def servers(self) -> Mapping[str, Server]:
        """The servers that config.toml names."""
        return self._settings.servers

    def value(self, name: str) -> Any:
        """What counts for the next message; None leaves it to the model, or sets no limit."""
        match name:
            case "system":
                return self._session.system.in_force
            case "think":
                switched = self._session.model.support is ThinkingSupport.SWITCHED
                return self._session.thinks if switched else self.usual(name)
            case "thinking_budget":
                return self._session.thinking_budget
        return getattr(self._session.overrides, name)

    def usual(self, name: str) -> Any:
        """What counts as long as nothing is changed in this chat."""
        return self._below(name)[0]

    def unset(self, name: str) -> Any:
        """What counts when nobody says anything."""
        return _of(_UNSET, name)

    def source(self, name: str) -> SettingSource:
        """Who set the value; for what is no setting of an answer, who does so usually."""
        usual, source = self._below(name)
        return source if name not in NAMES or self.value(name) == usual else SettingSource.CHAT

    @property
    def label(self) -> str:
        """The preset that is on, and whether anything was changed since; empty without one."""
        if self.preset is None:
            return ""
        changed = any(self.source(name) is SettingSource.CHAT for name in NAMES)
        return say("{preset}, changed", preset=self.preset.name) if changed else self.preset.name

    def set(self, name: str, value: Any) -> str:
        """Change a setting, and say what the user should know about that; raises ConfigInvalid and NoThought."""
        match name:
            case "system":
                if not self._session.system.change(value):
                    return say("It counts from the next conversation on.")
                if self._session.conversation.path:
                    return say("It counts from the next message on.")
            case "think":
                self._think(value)
            case "thinking_budget":
                if value is not None and value < 1:
                    raise ConfigInvalid(say("A thought has at least one token."))
                self._session.thinking_budget = value
            case _:
                changed = replace(self._session.overrides, **{name: value})
                changed.applied(thinking=True)
                self._session.overrides = changed
        concerned = name in ("temperature", "think")
        return greedy_warning(self._session.overrides.temperature, self._session.thinks) if concerned else ""

    def reset(self, name: str) -> str:
        """Back to what is usual; from there, to what counts when nobody says anything."""
        usual = self.usual(name)
        return self.set(name, usual if self.value(name) != usual else self.unset(name))

    def handle(self, typed: str) -> str:
        """Change what was typed, as in `temperature 0.5` or `temperature=0.5 think=off`, and say what there is to say.

        Raises ConfigInvalid, having changed nothing, and NoThought.
        """
        changes = pairs_of(typed)
        if len(changes) == 1 and changes[0][0] in NAMES and "=" not in typed and not changes[0][1]:
            return self.in_words(changes[0][0])
        values = [(name, self.value_of(name, text)) for name, text in changes]
        said = [self.set(name, value) for name, value in values]
        lines = [self.in_words(name) for name, _ in values]
        return "\n".join((*lines, *filter(None, dict.fromkeys(said))))

    def set_system(self, typed: str) -> str:
        """Change the system prompt to what was typed, "off" for none, and say it with what there is to say."""
        note = self.set("system", "" if typed == "off" else typed) if typed else ""
        prompt = safe_line(self._session.system.in_force if not note else self._session.system.text, 1000)
        said = say("The system prompt is “{prompt}”.", prompt=prompt) if prompt else say("There is no system prompt.")
        return "\n".join(filter(None, (said, note)))

    def tools_of(self, typed: str) -> list[str]:
        """The names of tools that were typed, with commas between, none for "off"; raises ConfigInvalid."""
        names = [] if typed == "off" else [name.strip() for name in typed.split(",") if name.strip()]
        there = self._session.tools.available
        for name in names:
            if name not in (*there, ALL) and name.partition("__")[0] not in there:  # one of a server's
                raise ConfigInvalid(
                    say("There is no tool {name}.", name=safe_line(name)),
                    did_you_mean(name, (*there, ALL)) or say("There are: {names}.", names=listed(there) or say("none")),
                )
        return names

    def value_of(self, name: str, typed: str) -> Any:
        """The value that a person typed for a setting; raises ConfigInvalid."""
        if name not in NAMES:
            known = listed(NAMES)
            raise ConfigInvalid(
                say("There is no setting {name}.", name=safe_line(name)),
                did_you_mean(name, NAMES) or say("There are {names}, as in /set temperature 0.5.", names=known),
            )
        if typed.strip().lower() == "default":
            return self.usual(name)
        match name:
            case "system":
                return typed
            case "think":
                return switch_of(typed)
            case "thinking_budget":
                return budget_of(typed)
        value: Any = number_of(name, typed)
        SamplingOverrides(**{name: value}).applied(thinking=True)
        return value

    def own(self, name: str) -> Any:
        """What the model itself would do."""
        if name not in SAMPLING:
            return self.unset(name)
        recommended = self._session.model.info.sampling if self._session.model.info else SamplingOverrides()
        return getattr(recommended.applied(self._session.thinks), name)

    def in_words(self, name: str) -> str:
        """A setting, its value and who set it, on one line."""
        return say("{text} ({note})", text=f"{name} {self.now(name)}", note=self.origin(name))

    def now(self, name: str) -> str:
        """What counts for the next message, for people."""
        if name == "think" and self._session.model.support is ThinkingSupport.NONE:
            return say("never, with this model")
        if name == "think" and self._session.model.support is ThinkingSupport.ALWAYS:
            return say("always, with this model")
        return self.shown(name, self.value(name))

    def shown(self, name: str, value: Any) -> str:
        """A value for people."""
        if value is None:
            value = self.own(name)
        match name, value:
            case _, bool():
                return say("on") if value else say("off")
            case "thinking_budget", None:
                return say("no limit")
            case "seed", None:
                return say("a fresh one each time")
            case "system", _:
                return safe_line(value) or say("none")
            case _, float():
                return f"{value:g}"
        return f"{value:,}"

    def origin(self, name: str) -> str:
        """Who set a value, for people."""
        match self.source(name):
            case SettingSource.CHAT:
                return say("this chat")
            case SettingSource.FLAG:
                return say("command line")
            case SettingSource.PRESET:
                return say("preset {name}", name=self.preset.name if self.preset else "")
            case SettingSource.CONFIG:
                return "config.toml"
            case SettingSource.MODEL:
                return say("model's own") if name in SAMPLING else say("default")

    @property
    def in_brief(self) -> tuple[tuple[str, str], ...]:
        """What will count in an empty conversation, for people: what it is, and how it is now."""
        tools, system = self._session.tools.on, self.value("system")
        rows = (
            (say("thinking"), self.now("think")),
            (say("preset"), self.label),
            (say("system prompt"), safe_line(system, 200)),
            (say("tools"), ", ".join(tools)),
        )
        return tuple((name, value) for name, value in rows if value)

    # Presets

    def would_change(self, preset: Preset) -> tuple[SettingChange, ...]:
        """What choosing `preset` would make of the settings."""
        after = self._after(preset)
        changes = [SettingChange(name, self.value(name), after[name]) for name in NAMES if name in after]
        return tuple(change for change in changes if change.before != change.after)

    def choose(self, name: str) -> str:
        """Turn to a preset, in place of the one that is on, and say what the user should know.

        What was changed in this chat stays, unless one of the two has a say in it. Raises ConfigInvalid.
        """
        preset = named(self.presets, name)
        changes = self.would_change(preset)
        self.preset = preset
        self._session.usual_budget = self.usual("thinking_budget")
        switched = self._session.model.support is ThinkingSupport.SWITCHED
        wanted = (change for change in changes if change.name != "think" or switched)
        said = [self.set(change.name, change.after) for change in wanted]
        return " ".join(filter(None, dict.fromkeys(said)))

    def as_preset(self, name: str) -> Preset:
        """The settings as they are, under a name."""
        own = {each: self.own(each) for each in SAMPLING if self.value(each) is None and _of(self._settings, each)}
        sampling = replace(self._session.overrides, **own)
        system, think, budget = (self.value(each) for each in ("system", "think", "thinking_budget"))
        model = self.preset.model if self.preset else None
        return Preset(name, "", model, system, think, budget or NO_LIMIT, sampling)

    def model_of(self, preset: Preset | None) -> str | None:
        """The model that a preset brings, unless a flag names one."""
        return preset.model if preset is not None and "model" not in self._flags else None

    def add(self, preset: Preset) -> None:
        """Take in a preset that was saved, and turn to it: what it sets goes before flags from here on."""
        others = (other for other in self.presets if other.name.lower() != preset.name.lower())
        self.presets = (*others, preset)
        self.preset = preset
        self._flags = {name: value for name, value in self._flags.items() if name not in preset.values}
        self._session.usual_budget = self.usual("thinking_budget")
        for name in NAMES:
            if self.value(name) != self.usual(name):
                self.set(name, self.usual(name))

    def saved(self, settings: Settings) -> None:
        """From now on `settings` are those of config.toml."""
        self._settings = settings
        self._session.usual_budget = self.usual("thinking_budget")

    def _after(self, preset: Preset) -> dict[str, Any]:
        """What the settings would be in which `preset`, or the one that is on, has a say."""
        before = self.preset.values if self.preset else {}
        untouched = [name for name in before if name in NAMES and self.value(name) == self.usual(name)]
        return {name: self._under(name, preset)[0] for name in (*preset.values, *untouched) if name in NAMES}

    def _below(self, name: str) -> tuple[Any, SettingSource]:
        return self._under(name, self.preset)

    def _under(self, name: str, preset: Preset | None) -> tuple[Any, SettingSource]:
        """A value as it would be with that preset, and who sets it."""
        if name in self._flags:
            return self._flags[name], SettingSource.FLAG
        if preset is not None and name in preset.values:
            return preset.values[name], SettingSource.PRESET
        value = _of(self._settings, name)
        return value, SettingSource.MODEL if value == self.unset(name) else SettingSource.CONFIG

    def _think(self, on: bool) -> None:
        if self._session.model.support is ThinkingSupport.ALWAYS:
            raise NoThought(say("This model always thinks; it has no switch."))
        if self._session.model.support is ThinkingSupport.NONE:
            raise NoThought(say("This model does not think before it answers."))
        if self._session.thinks is not on:
            self._session.toggle_thinking()


def _of(settings: Settings, name: str) -> Any:
    return getattr(settings.sampling if name in SAMPLING else settings, name)
