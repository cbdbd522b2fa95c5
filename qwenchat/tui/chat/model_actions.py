"""How the user changes the way the model answers: by a key, a command, or in a screen for it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.messages import ToolCallPart
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.sampling import greedy_warning
from qwenchat.chat.thinking_budget import budget_in_words, budget_of, next_budget
from qwenchat.engine.resolve import resolve_model
from qwenchat.i18n.texts import listed, say
from qwenchat.session.tool_calls import Permission
from qwenchat.system.paths import Paths
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.models.rows import ModelWanted
from qwenchat.tui.models.screen import ModelsScreen
from qwenchat.tui.screens.permission import PermissionScreen
from qwenchat.tui.screens.tools import ToolsScreen
from qwenchat.tui.settings.presets_screen import PresetsScreen
from qwenchat.tui.settings.screen import SettingsScreen
from qwenchat.tui.settings.screen_settings import ScreenSettings
from qwenchat.tui.settings.typed_settings import TypedSettings


class ModelActions:
    """Carries the user's wishes about the model to it.

    `acts` are what the screen's keys do, by the names of their commands.
    """

    def __init__(self, context: ChatContext) -> None:
        self.answer_settings = context.answer_settings
        self._session, self._load = context.session, context.load
        self._notices, self._notify_user, self._push = context.notices, context.notify_user, context.push
        self.acts: Mapping[str, Callable[[], None]] = {
            "thinking": self.switch_thinking,
            "budget": self.step_budget,
            "models": self.choose_model,
            "presets": self.choose_preset,
            "settings": self.change_settings,
            "tools": self.choose_tools,
        }
        self._paths = Paths.of_user()

    def load(self, name: str | None = None) -> None:
        """Load another model, here or on a server, or the last one again; the conversation goes on with it."""
        command = self._session.model.command or self._load
        self._begin_load(resolve_model(name, command, self.answer_settings.servers) if name else command)

    def _begin_load(self, command: LoadModel) -> None:
        self._notices.say("load", "")
        self._session.model.load(command)

    def switch_thinking(self) -> None:
        """Turn thinking on or off for the next message, where that can be."""
        match self._session.model.support:
            case ThinkingSupport.NONE:
                self._notify_user(say("This model does not think before it answers."))
            case ThinkingSupport.ALWAYS:
                self._notify_user(say("This model always thinks; it has no switch."))
            case _:
                on = self._session.toggle_thinking()
                if (
                    self._session.model.info is None or self._session.model.progress is not None
                ):  # the foot says nothing of it
                    self._notify_user(
                        say("The next message is thought about, if the model can think.")
                        if on
                        else say("The next message is answered without thinking.")
                    )
                if warning := greedy_warning(self._session.overrides.temperature, on):
                    self._notify_user(warning)

    def step_budget(self) -> None:
        """Let thoughts be longer, in steps, then again without a limit."""
        if self._session.model.support is ThinkingSupport.NONE:
            self.switch_thinking()
        else:
            self._session.thinking_budget = next_budget(self._session.thinking_budget)
            if not self._session.thinks or self._session.model.info is None or self._session.model.progress is not None:
                self._notify_user(budget_in_words(self._session.thinking_budget))

    def stop(self) -> None:
        """Stop the reply, or say why there is nothing to stop."""
        if self._session.busy:
            self._session.stop()
        elif self._session.model.progress is not None:
            self._notify_user(
                say("A model is being loaded, and no reply is written. /model NAME loads another in its place.")
            )
        else:
            self._notify_user(say("No reply is being written."))

    def model(self, typed: str) -> None:
        """Load the model that was typed; without a name, one that failed again, or let one be chosen."""
        if typed or (self._session.model.info is None and self._session.model.progress is None):
            self.load(typed)
        else:
            self.choose_model()

    def choose_model(self) -> None:
        """Show the models and load the one that is chosen."""

        command = self._session.model.command or self._load

        def load(wanted: ModelWanted | None) -> None:
            if wanted is not None:
                self._begin_load(
                    replace(command, name=wanted.name, quantization=wanted.quantization, server=wanted.server)
                )

        servers = dict.fromkeys((*self.answer_settings.servers.values(), *filter(None, (command.server,))))
        self._push(ModelsScreen(self._session, self._paths, servers), load)

    def budget(self, typed: str) -> None:
        """Say how long thoughts may be, or change that for this conversation."""
        if typed:
            self._session.thinking_budget = budget_of(typed)
        self._notify_user(budget_in_words(self._session.thinking_budget))

    def set(self, typed: str) -> None:
        """Change any setting as it was typed, loading the model anew where that is needed; raises QwenchatError."""

        load = self._session.model.command or self._load
        looks = ScreenSettings(self._notices.app, self.answer_settings)
        settings = TypedSettings(self.answer_settings, load, self._paths.config_file, looks)
        self._notify_user(settings.handle(typed))
        if settings.load != load:
            self._begin_load(settings.load)

    def system(self, typed: str) -> None:
        """Change the system prompt, or say it."""
        self._notify_user(self.answer_settings.set_system(typed))

    def preset(self, typed: str) -> None:
        """Turn to the preset that was typed."""
        note = self.answer_settings.choose(typed)
        model = self.answer_settings.model_of(self.answer_settings.preset)
        if model and not self._answers(model):
            self.load(model)
        if note:
            self._notify_user(note)

    def change_settings(self) -> None:
        """Show the settings, and load the model anew if that is asked for."""

        load = self._session.model.command or self._load
        screen = SettingsScreen(self.answer_settings, load, self._paths.config_file)
        self._push(screen, lambda command: self._begin_load(command) if command else None)

    def choose_preset(self) -> None:
        """Show the presets and turn to the one that is chosen."""

        self._push(
            PresetsScreen(self.answer_settings, self._paths.presets), lambda name: self.preset(name) if name else None
        )

    def tools(self, typed: str) -> None:
        """Let the model call the tools that were typed, or show all."""
        if not typed:
            self.choose_tools()
            return
        names = self.answer_settings.tools_of(typed)
        self._session.switch_tools(names)
        self._notify_user(say("The model may call: {names}.", names=listed(names) or say("nothing")))

    def choose_tools(self) -> None:
        """Show the tools, to be switched on and off."""

        self._push(ToolsScreen(self._session), lambda _: None)

    def ask_about(self, call: ToolCallPart) -> None:
        """Let the user say whether a call may run."""

        self._push(PermissionScreen(call), lambda said: self._session.tools.permit(call.id, said or Permission.REFUSE))

    def _answers(self, name: str) -> bool:
        """Whether that model is loaded or on its way."""
        command = self._session.model.command
        return command is not None and command.name == name
