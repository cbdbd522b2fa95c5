"""One chat as a state machine: a turn begins, streams, is saved, ends. No interface and no model code."""

from collections.abc import Sequence

from qwenchat.chat.branch_point import Beginning
from qwenchat.chat.commands import AnswerNow, Close, LoadModel
from qwenchat.chat.errors import NoThought, PromptEmpty, QwenchatError
from qwenchat.chat.messages import Message, Role, Status, TextPart
from qwenchat.chat.sampling import PENALTY_ON_REPETITION, SamplingOverrides
from qwenchat.chat.thinking import budget_kept, soft_switch
from qwenchat.chat.timeline import Tick
from qwenchat.i18n.texts import say
from qwenchat.session.comparison import Comparison, Contender
from qwenchat.session.course import Course
from qwenchat.session.question import question_before, require_thinking
from qwenchat.session.standing import repeats
from qwenchat.session.token_scores import scoring_of
from qwenchat.session.tool_calls import Permission
from qwenchat.session.turn import Phase


class ReplyComplete(QwenchatError):
    """There is no reply that could be gone on with."""


class Session(Course):
    """The chat behind the screen, the plain mode and `ask`; used from one thread.

    Call `poll` often: it takes the worker's events, records them, and returns those that still matter. What it
    returns as ended is already on disk, unless a `SaveFailed` comes with it.
    """

    def load(self, command: LoadModel) -> None:
        """Make a model ready; messages may be sent meanwhile and are answered when it is."""
        self._loading.begin(command)

    def send(self, said: str | Sequence[TextPart], typed: Sequence[Tick] = ()) -> Message:
        """Save the user's message, with how it was typed, then ask the model.

        Raises PromptEmpty, TurnInProgress, or LibraryError when it could not be saved: then nothing was sent.
        """
        return self._say(said, self.tree.leaf, typed)

    def edit(self, message_id: str, said: str | Sequence[TextPart], typed: Sequence[Tick] = ()) -> Message:
        """Say something else in place of a message of the user's; the old branch stays. Raises as `send`."""
        if self.tree[message_id].role is not Role.USER:
            raise PromptEmpty(say("Only your own messages can be changed."), say("A reply can be asked for again."))
        return self._say(said, self.tree[message_id].parent, typed)

    def retry(
        self,
        message_id: str | None = None,
        overrides: SamplingOverrides = SamplingOverrides(),
        thinking: bool | None = None,
    ) -> None:
        """Ask again for a reply, by default the latest; the old one stays as a branch.

        For this one time `overrides` go before the usual settings, and `thinking` before the switch. A reply that
        repeated itself is asked for with presence_penalty 1.5, unless a stronger one is set. Raises TurnInProgress,
        PromptEmpty when there is nothing to answer, NoThought when thinking cannot be as it is wanted, and LibraryError
        as `send` does.
        """
        self._require_idle()
        asked = question_before(self.tree, message_id or self.tree.leaf)
        require_thinking(self.support, thinking, self.tree.path(asked))
        at = message_id or self.tree.leaf
        if at is not None and repeats(self.tree[at]):
            penalty = max(PENALTY_ON_REPETITION, self.overrides.presence_penalty or 0)
            overrides = overrides.over(SamplingOverrides(presence_penalty=penalty))
        self._calling.begin_question()
        self._begin_turn(asked, overrides, thinking)

    def compare(
        self, commands: Sequence[LoadModel], said: Sequence[TextPart] | None = None, typed: Sequence[Tick] = ()
    ) -> Comparison:
        """Save the user's message, then let several models answer it side by side, until `conclude`.

        Without a message they answer the last one, and its reply counts if one of them made it. They call no tools.
        Raises as `send` does.
        """
        self._require_idle()
        before, model = self.tree.leaf, self.model
        asked = question_before(self.tree, before) if said is None else self._save_said(said, before, typed).id
        contenders = [self._contender(command, asked) for command in dict.fromkeys(commands)]
        self.comparison = Comparison(contenders, before if said is None else None, model)
        return self.comparison

    def conclude(self, chosen: Contender | None) -> None:
        """End the comparison. The chosen model goes on with the conversation from its reply, also in mid-reply.

        Without one, all replies stay as versions, and the model is that of before; so it is, loaded anew, when the
        chosen one was not loaded yet and cannot be.
        """
        comparison, self.comparison = self.comparison, None
        if comparison is None:
            return
        if chosen is not None:
            chosen.begin()
        comparison.close(chosen)
        if chosen is not None and chosen.worker is not self._worker:
            for event in self._worker.events.drain():
                self._take(event)
            self._worker.send(Close())
            chosen.loading.fall_back_on(self._loading)
        if chosen is not None:
            self._answer_by(chosen.worker, chosen.loading, chosen.release())
        if (leaf := chosen.reply.id if chosen is not None else comparison.read) is not None:
            self._record.select(leaf)
        self._ahead_due = True
        self._tell_of_model(comparison.model)

    def drafted(self, draft: str, pieces: tuple[str, ...] = ()) -> None:
        """Let the model read the next message as far as it is written, so that the reply to it begins sooner.

        What it weighs, and what each of the `pieces` does, is then in `weighed`.
        """
        if draft != self._draft:
            self._draft, self._pieces, self._ahead_due = draft, pieces, True

    def continue_reply(self) -> None:
        """Let the model go on with the latest reply from where it broke off, or from the tools that it called.

        Raises TurnInProgress, ReplyComplete.
        """
        self._require_idle()
        if self.unanswered:
            self._asked_for = None
            self._calling.begin_question()
            self._calling.begin(self.path)
            return
        if self.begun is None:
            raise ReplyComplete(say("The latest message is no reply that broke off."), say("/retry asks again for it."))
        self._go_on(answer_now=False)

    def answer_now(self) -> None:
        """Let the model answer from what it has thought: now, or where the latest reply broke off in its thought.

        Raises NoThought when there is nothing to answer from.
        """
        if self._turn is None:
            if not self.broken_off:
                raise NoThought(say("No reply broke off inside its thought."), say("/retry asks again for it."))
            self._go_on(answer_now=True)
        elif self._turn.phase is Phase.THINKING:
            self._worker.send(AnswerNow(self._turn.number))
        else:
            raise NoThought(say("The model is not thinking."), say("It answers as soon as it can."))

    def score(self, message_id: str) -> None:
        """Let the model tell in `scoring` how sure it is of each token of a reply. Raises NoTokens, MessageNotFound."""
        self.scoring.begin(scoring_of(self.tree, message_id))

    def branch(self, message_id: str, other: Beginning) -> None:
        """Let the model go on from another beginning of a reply, as a version of it. Raises TurnInProgress."""
        self._require_idle()
        parent = self.tree[message_id].parent
        self._asked_for = None
        self._calling.begin_question()
        self._go_on_with(Message(Role.ASSISTANT, other.parts, parent=parent, status=Status.STOPPED), other.ticks)

    def stop(self) -> None:
        """End the running turn, and the tools it called, keeping what has come; does nothing when none is running."""
        self._running.stop()
        if self._calling.active:
            self._stop_calls()

    def switch_tools(self, names: Sequence[str]) -> None:
        """Let the model call these tools, and those of the servers of these names, from its next turn on.

        They are made ready at once; `ToolsListed` says when they are, and a turn waits for that.
        """
        self._calling.switch(names)
        self._say_if_unable()
        self._ahead_due = True

    def permit(self, call_id: str, permission: Permission) -> None:
        """Say whether one of `pending_calls` may run."""
        self._calling.permit(call_id, permission)

    def toggle_thinking(self) -> bool:
        """Turn thinking on or off for the next message and say which it now is.

        Turning it on against an earlier /no_think adds a visible /think to the next message.
        """
        self._switch.toggle(self.support, self.path or self._system_message())
        return self.thinks

    def heed_switch(self, typed: str) -> None:
        """Turn thinking on where the next message asks for it by /think, which the hard switch would overrule."""
        if soft_switch(typed):
            self._switch.on = True

    def change_system(self, text: str) -> bool:
        """Give the model another system prompt, and say whether it counts from the next message on.

        Else it counts from the next conversation on: nothing can be put in place of a system prompt that was said, and
        some models read none in mid-conversation.
        """
        self._system_due = False
        unchanged = text == self.system_in_force
        self.system = text
        if not self.path or unchanged:
            return True
        self._system_due = bool(text) and (self.model is None or self.model.system_changes)
        self._ahead_due = True
        return self._system_due

    def new(self) -> None:
        """Leave this conversation, saved as it is, and begin an empty one."""
        self._abandon()
        self._draft, self._weighed = "", None
        self._record.begin()
        self._system_due = False
        self.thinking_budget = self.usual_budget
        self._switch.forget()

    def resume(self, conversation: str, message: str | None = None) -> None:
        """Go on with a saved conversation, on the branch through `message` or the one that was read last.

        Raises ConversationNotFound, leaving this one as it is. A message that is not there is passed over.
        """
        if conversation == self.conversation:
            self._abandon()
        stored = self.library.read(conversation)
        self._abandon()
        self._draft, self._weighed = "", None
        self._record.open(stored)
        self._system_due = False
        if message is not None and message in self.tree and message not in self.tree.hidden:
            self._record.select(message)
        self.thinking_budget = budget_kept(self.path) if self.usual_budget is None else self.usual_budget
        self._switch.forget()
        self._ahead_due = True

    def select(self, message_id: str) -> None:
        """Read the branch through `message_id`. Raises TurnInProgress, MessageNotFound."""
        self._require_idle()
        self._record.select(message_id)
        self._ahead_due = True

    def delete_message(self, message_id: str) -> None:
        """Take one message away; what comes after it stays. Raises TurnInProgress, MessageNotFound, LibraryError."""
        self._require_idle()
        self._record.delete([self.tree[message_id].id])
        self._ahead_due = True

    def delete_branch(self, message_id: str) -> None:
        """Take a message and all that comes after it away. Raises as `delete_message`."""
        self._require_idle()
        self._record.delete(self.tree.below(message_id))
        self._ahead_due = True

    def undo_delete(self) -> None:
        """Bring back what was deleted last in this conversation. Raises TurnInProgress, NothingDeleted."""
        self._require_idle()
        self._record.undo_delete()
        self._ahead_due = True

    def forget(self) -> None:
        """Leave this conversation and delete it, for good when the library is closed. Raises LibraryError."""
        conversation = self.conversation
        self.new()
        if conversation is not None:
            self.library.delete(conversation)

    def close(self) -> None:
        """End the turn, save what came, end the worker and close the library, once; takes at most two seconds."""
        if self._closed:
            return
        self._closed = True
        self._abandon()
        self._record.write(self._clock())
        if self._tools is not None:
            self._tools.close()
        self._worker.close()
        self.library.close()

    def _say(self, said: str | Sequence[TextPart], parent: str | None, typed: Sequence[Tick]) -> Message:
        user = self._save_said(said, parent, typed)
        self._calling.begin_question()
        self._begin_turn(user.id)
        return user

    def _save_said(self, said: str | Sequence[TextPart], parent: str | None, typed: Sequence[Tick]) -> Message:
        parts = (TextPart(said),) if isinstance(said, str) else tuple(said)
        if not any(part.text.strip() for part in parts):
            raise PromptEmpty(say("There is nothing to send."), say("Write a message first."))
        self._require_idle()
        before = self._system_before(parent)
        user = Message(Role.USER, self._switch.said_in(parts), parent=before[0].id if before else parent)
        self._record.say((*before, user), self._clock(), typed)
        self._system_due = False
        self._switch.forget()
        return user
