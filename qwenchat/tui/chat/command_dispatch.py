"""Carries out the program's own commands, written as a message."""

from collections.abc import Callable
from pathlib import Path

from qwenchat.chat.errors import ConfigInvalid, ConversationNotFound, ExportFailed
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.chat.typed_settings import switch_of
from qwenchat.console.commands import WRITTEN
from qwenchat.i18n.texts import listed, say
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.message_actions import MessageActions
from qwenchat.tui.chat.model_actions import ModelActions


class CommandDispatcher:
    """Handles commands; `run` is given the actions of the screen."""

    def __init__(self, context: ChatContext, controls: ModelActions, run: Callable[[str], None]) -> None:
        self._session, self._notify_user = context.session, context.notify_user
        self._model_actions = controls
        self._run = run

    def handle(self, name: str, rest: str, branches: MessageActions) -> None:
        """Do what the command says; raises QwenchatError when it cannot be done."""
        match name:
            case "model":
                self._model_actions.model(rest)
            case "budget":
                self._model_actions.budget(rest)
            case "set" if rest:
                self._model_actions.set(rest)
            case "system":
                self._model_actions.system(rest)
            case "preset" if rest:
                self._model_actions.preset(rest)
            case "theme" if rest:
                self._model_actions.set(f"theme {rest}")
            case "search" | "find":
                self._run(f"{name}({rest!r})")
            case "tools":
                self._model_actions.tools(rest)
            case "compare":
                self._run(f"compare({rest!r})")
            case "export":
                self._export(rest)
            case "retry":
                branches.retry(None, rest)
            case "rename" | "pin" | "archive":
                self._notify_user(self._change_saved(name, rest))
            case "stop":
                self._model_actions.stop()
            case _:
                self._run(WRITTEN[name].run)

    def _change_saved(self, name: str, typed: str) -> str:
        """Change what is kept of the open conversation beside its messages, and say how it is now."""
        library, id_ = self._session.library, self._session.conversation.id
        if id_ is None:
            raise ConversationNotFound(say("Nothing was said in this conversation yet."), say("Write a message first."))
        if name == "rename":
            if typed:
                library.rename(id_, typed)
            return say("It is called “{title}”.", title=safe_line(library.read(id_).title))
        on = not typed or switch_of(typed)
        if name == "pin":
            library.pin(id_, on)
            return say("It is pinned above the others.") if on else say("It is pinned no more.")
        library.archive(id_, on)
        return say("It is archived; /search still finds it.") if on else say("It is archived no more.")

    def _export(self, typed: str) -> None:
        """Write the open conversation into the folder that the program was started in."""
        # Half of what the first frame takes to import, and seldom wanted.
        from qwenchat.library.exchange.export import ExportFormat, export_to_folder  # noqa: PLC0415  (the first frame has no use for it)

        if self._session.conversation.id is None:
            self._notify_user(say("There is nothing to export yet."))
        elif typed and typed not in list(ExportFormat):
            raise ConfigInvalid(
                say("Formats are {formats}.", formats=listed(ExportFormat)), did_you_mean(typed, ExportFormat)
            )
        else:
            form = ExportFormat(typed or ExportFormat.MARKDOWN)
            try:
                path = export_to_folder(self._session.library, self._session.conversation.id, form, Path.cwd())
            except OSError as error:  # the folder is gone
                raise ExportFailed(say("The conversation could not be written. {error}", error=error)) from error
            self._notify_user(say("Written to {path}", path=path))
