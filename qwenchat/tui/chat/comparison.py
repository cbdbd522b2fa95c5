"""Lets several models answer the draft, or the last message again, side by side."""

from collections.abc import Sequence

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid, ModelNotFound, PromptEmpty
from qwenchat.chat.messages import TextPart
from qwenchat.chat.timeline import Tick
from qwenchat.chat.tree import question_before
from qwenchat.i18n.texts import say
from qwenchat.session.comparison import ComparedModel, compare, conclude
from qwenchat.system.paths import Paths
from qwenchat.tui.chat.composing import Composing
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.drafts import Drafts
from qwenchat.tui.chat.message_actions import MessageActions
from qwenchat.tui.keys.slash_commands import command_of
from qwenchat.tui.models.compare_models_screen import CompareModelsScreen
from qwenchat.tui.models.compare_screen import CompareScreen
from qwenchat.tui.models.compared_models import ComparedModels


class ComparisonActions:
    """Chooses who answers, shows the answers, and goes on with the one that is chosen."""

    def __init__(self, context: ChatContext, writing: Composing, branches: MessageActions, drafts: Drafts) -> None:
        self._session, self._composer = context.session, context.composer
        self._notify_user, self._push = context.notify_user, context.push
        self._compared_models = ComparedModels(context.session, context.load, context.answer_settings.servers)
        self._composing = writing
        self._message_actions = branches
        self._drafts = drafts
        self._chosen: tuple[LoadModel, ...] = ()
        """Who could answer the last time."""

    async def begin(self, typed: str) -> None:
        """Compare what the first line names, the rest becomes the draft; without names, let them be chosen."""
        names, _, prompt = typed.partition("\n")
        if prompt.strip():
            self._composer.write(prompt)
        if not self._message_actions.attempt(self._require_message):
            if not self._composer.text:
                self._composer.write(f"/compare {typed}".rstrip())
            return
        if not names.strip():
            self._choose()
            return
        try:
            commands = self._compared_models.named(names)
        except (ConfigInvalid, ModelNotFound) as error:
            self._composer.write(f"/compare {typed}")
            self._notify_user(str(error))
        else:
            await self._compare(commands)

    def _choose(self) -> None:

        self._push(
            CompareModelsScreen(self._session, self._compared_models, self._chosen, Paths.of_user()), self._begin_with
        )

    def _begin_with(self, commands: Sequence[LoadModel] | None) -> None:
        if commands:
            self._composer.call_later(self._compare, commands)

    async def _compare(self, commands: Sequence[LoadModel]) -> None:
        if self._message_actions.editing is not None:
            self._notify_user(say("A message is being changed: send it, or leave it with Esc, first."))
        elif not self._composer.text.strip():
            if self._message_actions.attempt(lambda: compare(self._session, commands)):
                self._show()
        elif await self._composing.deliver(lambda parts, typed: self._ask(commands, parts, typed)):
            self._show()

    def _require_message(self) -> None:
        """Raises PromptEmpty where there is nothing that models could answer."""
        if command_of(self._composer.text) is not None:
            raise PromptEmpty(say("What is written is a command."), say("Write a message for the models first."))
        if not self._composer.text.strip():
            question_before(self._session.conversation.tree, self._session.conversation.tree.leaf)

    def _ask(self, commands: Sequence[LoadModel], parts: tuple[TextPart, ...], typed: Sequence[Tick]) -> None:
        compare(self._session, commands, parts, typed)
        self._drafts.drop()
        self._drafts.enter(self._session.conversation.id)

    def _show(self) -> None:

        comparison = self._session.comparison
        if comparison is not None:
            self._push(
                CompareScreen(self._session, comparison),
                lambda chosen: self._conclude(comparison.compared_models, chosen),
            )

    def _conclude(self, compared_models: Sequence[ComparedModel], chosen: ComparedModel | None) -> None:
        self._chosen = tuple(each.command for each in compared_models if each.failure is None)
        self._message_actions.begin_turn(lambda: conclude(self._session, chosen))
