"""Getting another reply: asked for again, gone on with, answered at once, or branched off from another beginning."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qwenchat.chat.branch_point import ReplyPrefix
from qwenchat.chat.continuation import NOTHING, PartialReply, begun_in
from qwenchat.chat.endings import NextStep
from qwenchat.chat.engine_commands import AnswerNow
from qwenchat.chat.errors import NoThought, QwenchatError
from qwenchat.chat.messages import Message, Role, Status
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.sampling import PENALTY_ON_REPETITION, SamplingOverrides
from qwenchat.chat.thinking import require_thinking
from qwenchat.chat.timeline import Tick
from qwenchat.chat.tree import question_before
from qwenchat.i18n.texts import say
from qwenchat.session.open_conversation import repeats
from qwenchat.session.turn import Phase

if TYPE_CHECKING:
    from qwenchat.session.session import Session


class ReplyComplete(QwenchatError):
    """There is no reply that could be gone on with."""


class Replies:
    """What can be made of the replies that are there, without a new message."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._continued: tuple[str, PartialReply] | None = None
        """The reply that was gone on with last, and what there was of it then."""

    @property
    def interrupted(self) -> PartialReply | None:
        """What of the latest reply is there, if it was interrupted and the model can go on with it."""
        session, latest = self._session, self._session.conversation.latest
        if session.busy or latest is None:
            return None
        begun = begun_in(latest)
        if begun is not None and begun.thinking and session.model.support is ThinkingSupport.NONE:
            return None
        return begun

    @property
    def interrupted_in_thought(self) -> bool:
        """Whether the latest reply was interrupted in its thought, so that `answer_now` makes it answer from there."""
        return self.interrupted is not None and self.interrupted.thinking

    @property
    def continued_in_vain(self) -> bool:
        """Whether going on with the latest reply was tried, and failed before anything new came."""
        latest = self._session.conversation.latest
        if latest is None or latest.status is not Status.FAILED:
            return False
        return self._continued == (latest.id, begun_in(latest))

    @property
    def lacks_results(self) -> bool:
        """Whether tool calls, or their results, came last and nothing goes on: the model can go on from there."""
        return not self._session.busy and self._session.conversation.lacks_results

    @property
    def next_steps(self) -> tuple[NextStep, ...]:
        """What can be done about the latest reply, what is wanted most first; nothing about one that ended well."""
        begun, model = self.interrupted, self._session.model.info
        in_vain = begun is not None and (begun == NOTHING or self.continued_in_vain)
        on_server = begun is not None and begun.thinking and model is not None and bool(model.server)
        steps = {
            NextStep.ANSWER: self.interrupted_in_thought and not on_server,
            NextStep.RETRY_WITH_PENALTY: self._session.conversation.repeats,
            NextStep.FOLLOW_TOOLS: self.lacks_results,
            NextStep.CONTINUE: begun is not None and not in_vain and not on_server,
            NextStep.RETRY_THOUGHT: on_server,
            NextStep.RETRY: in_vain and not on_server,
        }
        return tuple(step for step, possible in steps.items() if possible)

    def retry(
        self,
        message_id: str | None = None,
        overrides: SamplingOverrides = SamplingOverrides(),
        thinking: bool | None = None,
    ) -> None:
        """Ask again for a reply, by default the latest; the old one stays as a branch.

        For this one time `overrides` go before the usual settings, and `thinking` before the switch. A reply that
        repeated itself is asked for with presence_penalty 1.5, unless a stronger one is set. Raises TurnInProgress,
        PromptEmpty when there is nothing to answer, NoThought when thinking cannot be as it is asked for, and
        LibraryError as `Session.send` does.
        """
        session, tree = self._session, self._session.conversation.tree
        session.require_idle()
        at = message_id or tree.leaf
        asked = question_before(tree, at)
        require_thinking(session.model.support, thinking, tree.path(asked))
        if at is not None and repeats(tree[at]):
            penalty = max(PENALTY_ON_REPETITION, session.overrides.presence_penalty or 0)
            overrides = overrides.over(SamplingOverrides(presence_penalty=penalty))
        session.tools.begin_question()
        session.begin_turn(asked, overrides, thinking)

    def go_on(self) -> None:
        """Let the model go on with the latest reply from where it was interrupted, or from the tools that it called.

        Raises TurnInProgress, ReplyComplete.
        """
        session = self._session
        session.require_idle()
        if self.lacks_results:
            session.tools.begin_question()
            session.tools.begin(session.conversation.path)
        elif self.interrupted is not None:
            self._go_on_with_latest(answer_now=False)
        else:
            raise ReplyComplete(
                say("The latest message is not an interrupted reply."), say("/retry asks again for it.")
            )

    def answer_now(self) -> None:
        """Let the model answer from what it has thought: now, or where the latest reply was interrupted in its thought.

        Raises NoThought when there is nothing to answer from.
        """
        running = self._session.model.turn.current
        if running is None:
            if not self.interrupted_in_thought:
                raise NoThought(say("No reply was interrupted inside its thought."), say("/retry asks again for it."))
            self._go_on_with_latest(answer_now=True)
        elif running.phase is Phase.THINKING:
            self._session.model.worker.send(AnswerNow(running.number))
        else:
            raise NoThought(say("The model is not thinking."), say("It answers as soon as it can."))

    def branch(self, message_id: str, other: ReplyPrefix) -> None:
        """Let the model go on from another beginning of a reply, as a version of it. Raises TurnInProgress."""
        session = self._session
        session.require_idle()
        parent = session.conversation.tree[message_id].parent
        session.tools.begin_question()
        self._go_on_with(Message(Role.ASSISTANT, other.parts, parent=parent, status=Status.STOPPED), other.ticks)

    def _go_on_with_latest(self, *, answer_now: bool) -> None:
        latest = self._session.conversation.latest
        if latest is not None and self.interrupted is not None:
            self._go_on_with(latest, self._session.library.timeline(latest.id), answer_now=answer_now)

    def _go_on_with(self, reply: Message, ticks: Sequence[Tick], *, answer_now: bool = False) -> None:
        """Begin a turn that goes on with an interrupted reply, or with a new one of which the beginning is there."""
        if (begun := begun_in(reply)) is not None:
            self._continued = reply.id, begun
            self._session.continue_turn(reply, begun, ticks, answer_now=answer_now)
