"""Commands about how the model answers: thinking, sampling, system prompt, presets, tools, and which model it is."""

from collections.abc import Mapping

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.text import safe_line
from qwenchat.chat.thinking_budget import budget_in_words, budget_of
from qwenchat.chat.typed_settings import pairs_of, switch_of
from qwenchat.console.commands import Handler
from qwenchat.console.notice import notify
from qwenchat.console.word_wrap import print_wrapped
from qwenchat.engine.resolve import resolve_model
from qwenchat.i18n.texts import listed, say
from qwenchat.plain.answering import Answering
from qwenchat.session.answer_settings import NAMES, AnswerSettings, SettingSource
from qwenchat.session.session import Session
from qwenchat.settings.config import read
from qwenchat.settings.config_file import write
from qwenchat.settings.parameters import BY_NAME, PARAMETERS
from qwenchat.system.paths import Paths


class SettingCommands:
    """Handles them; `load` is what was loaded at the start."""

    def __init__(
        self, session: Session, answering: Answering, answer_settings: AnswerSettings, load: LoadModel
    ) -> None:
        self._session = session
        self._answering = answering
        self._answer_settings = answer_settings
        self._load = load
        self.commands: Mapping[str, Handler] = {
            "model": self._model,
            "models": self._models,
            "think": lambda rest: self._think(switch_of(rest or "on")),
            "no_think": lambda _: self._think(False),
            "thoughts": self._read_thoughts,
            "budget": self._budget,
            "set": self._set,
            "save": self._save,
            "system": self._system,
            "preset": self._preset,
            "tools": self._tools,
        }

    def load_named(self, typed: str) -> bool:
        """Load the model that is meant, wait for it, and say whether it is there."""
        command = self._session.model.command or self._load
        return self._answering.load(resolve_model(typed, command, self._answer_settings.servers))

    def _model(self, rest: str) -> None:
        if rest:
            self.load_named(rest)
            return
        from qwenchat.engine.local.inventory import models_here  # noqa: PLC0415  (imports the Hub)

        model = self._session.model.info
        if model is not None:
            notify(say("{name} answers ({place}).", name=model.name, place=model.place))
        else:
            notify(say("No model is ready."))
        here = listed(local.name for local in models_here(Paths.of_user()))
        notify(say("Here are: {models}.", models=here or say("none")))
        if servers := listed(self._answer_settings.servers):
            notify(say("Servers: {servers}.", servers=servers))
        notify(say("/model NAME loads one; /models lists all that can be had."))

    def _models(self, rest: str) -> None:
        from qwenchat.reports.models import table  # noqa: PLC0415  (imports the Hub)

        print(table(Paths.of_user()), flush=True)

    def _think(self, on: bool) -> None:
        if self._session.model.support is not ThinkingSupport.SWITCHED:
            notify(say("This model always thinks.") if self._session.thinks else say("This model cannot think."))
            return
        if self._session.thinks is not on:
            self._session.toggle_thinking()
        notify(say("Thinking is on.") if on else say("Thinking is off."))

    def _read_thoughts(self, rest: str) -> None:
        if rest:
            self._answering.thoughts = switch_of(rest)
        notify(say("Thoughts are read out.") if self._answering.thoughts else say("Thoughts are not read out."))

    def _budget(self, rest: str) -> None:
        if rest:
            self._session.thinking_budget = budget_of(rest)
        notify(budget_in_words(self._session.thinking_budget))

    def _set(self, rest: str) -> None:
        if rest:
            self._refuse_others(rest)
            notify(self._answer_settings.handle(rest))
        else:
            print_wrapped("\n".join(map(self._answer_settings.in_words, NAMES)))

    def _refuse_others(self, typed: str) -> None:
        """Raises ConfigInvalid for a setting that there is, but that is none of an answer."""
        others = {parameter.key for parameter in PARAMETERS} - {*NAMES}
        for name, _ in pairs_of(typed):
            if name in others:
                raise ConfigInvalid(
                    say("{name} cannot be changed while this chat runs.", name=name),
                    say("`qwenchat config edit` changes it for the next start, /model NAME loads another model."),
                )

    def _save(self, rest: str) -> None:
        changed = [name for name in NAMES if self._answer_settings.source(name) is SettingSource.CHAT]
        if not changed:
            notify(say("Nothing was changed that could be saved."))
            return
        file = Paths.of_user().config_file
        keys = {name: BY_NAME[name].key for name in changed}
        write(file, {keys[name]: self._answer_settings.value(name) for name in changed})
        self._answer_settings.saved(read(file)[0])
        notify(say("Saved {names} in {file}", names=listed(keys.values()), file=file))

    def _system(self, rest: str) -> None:
        notify(self._answer_settings.set_system(rest))

    def _preset(self, rest: str) -> None:
        if not rest:
            for preset in self._answer_settings.presets:
                name, about = safe_line(preset.name), safe_line(preset.description)
                on = say(", on") if preset is self._answer_settings.preset else ""
                print_wrapped(say("{written}: {meaning}", written=f"{name}{on}", meaning=about))
            if not self._answer_settings.presets:
                notify(say("There is no preset."))
            return
        note = self._answer_settings.choose(rest)
        if model := self._answer_settings.model_of(self._answer_settings.preset):
            self.load_named(model)
        notify(" ".join(filter(None, (say("The preset is {name}.", name=self._answer_settings.label), note))))

    def _tools(self, rest: str) -> None:
        if rest:
            names = self._answer_settings.tools_of(rest)
            self._session.switch_tools(names)
            notify(say("The model may call: {names}.", names=listed(names) or say("nothing")))
            return
        on = self._session.tools.on
        there = tuple(dict.fromkeys((*self._session.tools.available, *on)))
        for name in there:
            state = say("on") if name in on else say("off")
            print_wrapped(say("{written}: {meaning}", written=safe_line(name), meaning=state))
        if not there:
            notify(say("There is no tool."))
