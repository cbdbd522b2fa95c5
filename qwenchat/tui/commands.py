"""Carries out the program's own commands, written as a message."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from qwenchat.chat.commands import LoadModel
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.thinking import budget_in_words, budget_of, next_budget
from qwenchat.session import Session
from qwenchat.tui.branches import Branches
from qwenchat.tui.slash import COMMANDS
from qwenchat.tui.widgets.notices import Notices


class Commands:
    """Heeds commands and the settings they change; `tell` is given what they say, `run` the actions of the screen."""

    def __init__(
        self, session: Session, load: LoadModel, notices: Notices,
        tell: Callable[[str], None], run: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._session = session
        self._load = load
        self._notices = notices
        self._tell = tell
        self._run = run

    def heed(self, name: str, rest: str, branches: Branches) -> None:
        """Do what the command says; raises QwenchatError when it cannot be done."""
        match name:
            case "model":
                self._model(rest)
            case "budget":
                self._budget(rest)
            case "export":
                self._export(rest)
            case "retry":
                branches.retry(None, rest)
            case _:
                self._run(COMMANDS[name].action)

    def load(self, name: str | None = None) -> None:
        """Load another model, or the last one again; the conversation goes on with it."""
        self._load = replace(self._load, name=name or self._load.name)
        self._notices.say("load", "")
        self._session.load(self._load)

    def switch_thinking(self) -> None:
        """Turn thinking on or off for the next message, where that can be."""
        match self._session.support:
            case ThinkingSupport.NONE:
                self._tell("This model does not think before it answers.")
            case ThinkingSupport.ALWAYS:
                self._tell("This model always thinks; it has no switch.")
            case _:
                self._session.toggle_thinking()

    def step_budget(self) -> None:
        """Let thoughts be longer, in steps, then again without a limit."""
        if self._session.support is ThinkingSupport.NONE:
            self.switch_thinking()
        else:
            self._session.thinking_budget = next_budget(self._session.thinking_budget)

    def _model(self, name: str) -> None:
        if not name and self._session.model is not None:
            self._tell(f"{self._session.model.name} answers. /model NAME loads another.")
        else:
            self.load(name)

    def _export(self, typed: str) -> None:
        """Write the open conversation into the folder that the program was started in."""
        # Half of what the first frame takes to import, and seldom wanted.
        from qwenchat.library.exchange.export import Format, export_to_folder

        if self._session.conversation is None:
            self._tell("There is nothing to export yet.")
        elif typed and typed not in list(Format):
            self._tell(f"Formats are {', '.join(Format)}.")
        else:
            form = Format(typed or Format.MARKDOWN)
            path = export_to_folder(self._session.library, self._session.conversation, form, Path.cwd())
            self._tell(f"Written to {path}")

    def _budget(self, typed: str) -> None:
        """Say how long thoughts may be, or change that for this conversation."""
        if typed:
            self._session.thinking_budget = budget_of(typed)
        self._tell(budget_in_words(self._session.thinking_budget))
