"""Several models answer the same message, side by side; each reply is a version of its own."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qwenchat.chat.engine_commands import AnswerNow, Close, LoadModel, StartTurn
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.events import Event, LoadEvent, LoadFailed, ModelLoaded, TurnEnded, TurnEvent
from qwenchat.chat.messages import Message, TextPart
from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.timeline import Tick
from qwenchat.chat.tree import question_before
from qwenchat.session.model_slot import ModelSlot
from qwenchat.session.open_conversation import OpenConversation
from qwenchat.session.turn import Phase, Turn

if TYPE_CHECKING:
    from qwenchat.session.session import Session


class ComparedModel:
    """A model that answers beside others: its thread, what is loaded there, and its turn."""

    def __init__(
        self,
        command: LoadModel,
        slot: ModelSlot,
        turn: Turn,
        conversation: OpenConversation,
        *,
        borrowed: bool = False,
        given: Message | None = None,
    ) -> None:
        """The slot may be `borrowed` from the chat; `given` is a reply that is there already."""
        self.command = command
        """How the model was asked for."""
        self.slot = slot
        self.turn = turn
        self.begun = self.ended = given is not None
        """Whether it was asked, and whether no more comes from it."""
        self._conversation = conversation
        self._borrowed = borrowed
        self._given = given
        self._events: list[Event] = []

    def serve(self, command: Callable[[Turn, ModelInfo | None], StartTurn], pass_on: Callable[[Event], None]) -> None:
        """Take over the slot; `pass_on` takes the events that concern neither load nor turn."""
        self._pass_on = pass_on
        self.slot.serve(command, self._events.append)

    @property
    def local(self) -> bool:
        """Whether it takes the processor of this machine, so that others like it wait for it."""
        return self.command.server is None

    @property
    def reply(self) -> Message:
        """What it said, as it was last saved."""
        return self._given or self.turn.reply

    @property
    def phase(self) -> Phase:
        """What it is doing."""
        return self.turn.phase if self.begun and not self.ended else Phase.IDLE

    @property
    def failure(self) -> QwenchatError | None:
        """Why there is no model that could go on with the conversation."""
        return self.slot.error if self.slot.info is None and self.slot.progress is None else None

    def begin(self) -> None:
        """Ask the model, once it is loaded."""
        if self.begun:
            return
        self.begun = True
        self._conversation.tree.add(self.turn.reply)
        if self.slot.info is None and self.slot.progress is None:
            self.slot.load(self.command)
        self.slot.turn.begin(self.turn, ready=self.slot.progress is None)

    def poll(self) -> list[Event]:
        """Record what the worker reported and return what concerns the screen, oldest first."""
        for event in self.slot.worker.events.drain():
            self._take(event)
        self.slot.turn.checkpoint_if_due()
        events = self._events[:]
        self._events.clear()
        self.ended |= any(isinstance(event, TurnEnded) for event in events)
        return events

    def stop(self) -> None:
        """End the turn, keeping what has come; one that was not asked yet is not asked any more."""
        if self.begun:
            self.slot.turn.stop()
        else:
            self.ended = True

    def answer_now(self) -> None:
        """Let the model answer from what it has thought; does nothing while it does not think."""
        if self.phase is Phase.THINKING:
            self.slot.worker.send(AnswerNow(self.turn.number))

    def leave(self) -> None:
        """End the turn at once, saved as far as it came, and the thread, unless that is the chat's."""
        if self.begun:
            self.poll()
        self.slot.turn.abandon()
        self.ended = True
        if not self._borrowed:
            self.slot.worker.send(Close())

    def _take(self, event: Event) -> None:
        if isinstance(event, LoadEvent):
            if self.slot.take_load(event):
                self.slot.go_on_after_load(event)
        elif isinstance(event, TurnEvent):
            self.slot.take_turn(event)
        else:
            self._pass_on(event)


class Comparison:
    """The compared models for one message. Servers answer at once, models on this machine one after another."""

    def __init__(self, compared_models: Sequence[ComparedModel], before: str | None, model: ModelInfo | None) -> None:
        """`before` is the reply that was read until now, `model` what answered."""
        self.compared_models = tuple(compared_models)
        self.before = before
        self.model = model
        self.over = False
        """Whether one was chosen, or the comparison was left."""
        first = next((compared for compared in self.compared_models if compared.local and not compared.ended), None)
        for compared in self.compared_models:
            if compared is first or not compared.local:
                compared.begin()

    @property
    def running(self) -> bool:
        """Whether anything is still to come."""
        return any(not compared.ended for compared in self.compared_models)

    def poll(self) -> list[tuple[ComparedModel, Event]]:
        """What happened since the last time, recorded."""
        if self.over:
            return []
        events = [(compared, event) for compared in self.compared_models for event in compared.poll()]
        self._begin_next()
        return events

    def stop(self) -> None:
        """End all turns, keeping what has come."""
        for compared in self.compared_models:
            compared.stop()

    def close(self, chosen: ComparedModel | None) -> None:
        """Leave all compared models but the chosen one."""
        self.over = True
        for compared in self.compared_models:
            if compared is not chosen:
                compared.leave()

    @property
    def read(self) -> str | None:
        """The id of the reply to be read when none was chosen: that from before, else the first that there is."""
        return self.before or next((compared.reply.id for compared in self.compared_models if compared.begun), None)

    def _begin_next(self) -> None:
        """Let the next model on this machine begin when none of them is busy: beside each other all would be slow."""
        local = [compared for compared in self.compared_models if compared.local and not compared.ended]
        if local:
            local[0].begin()


def compare(
    session: "Session",
    commands: Sequence[LoadModel],
    said: Sequence[TextPart] | None = None,
    typed: Sequence[Tick] = (),
) -> Comparison:
    """Save the user's message, then let several models answer it side by side, until `conclude`.

    Without a message they answer the last one, and its reply counts if one of them made it. They call no tools.
    Raises as `Session.send` does.
    """
    session.require_idle()
    tree, before = session.conversation.tree, session.conversation.tree.leaf
    asked = question_before(tree, before) if said is None else session.save_message(said, before, typed).id
    compared_models = [_compared(session, command, asked) for command in dict.fromkeys(commands)]
    session.comparison = Comparison(compared_models, before if said is None else None, session.model.info)
    return session.comparison


def conclude(session: "Session", chosen: ComparedModel | None) -> None:
    """End the comparison. The chosen model goes on with the conversation from its reply, also in mid-reply.

    Without one, all replies stay as versions, and the model is that of before; so it is, loaded again, when the
    chosen one was not loaded yet and cannot be.
    """
    comparison, session.comparison = session.comparison, None
    if comparison is None:
        return
    if chosen is not None:
        chosen.begin()
    comparison.close(chosen)
    former = session.model
    if chosen is not None and chosen.slot is not former:
        for event in former.worker.events.drain():
            session.take(event)
        former.worker.send(Close())
        chosen.slot.fall_back_on(former)
    slot = former if chosen is None else chosen.slot
    session.answer_with(slot)
    if (leaf := chosen.reply.id if chosen is not None else comparison.read) is not None:
        session.conversation.read_to(leaf)
    if slot.info is not None and slot.info != comparison.model:
        session.report_model(ModelLoaded(slot.info))
    elif slot.info is None and slot.progress is None and slot.error is not None:
        session.report_model(LoadFailed(slot.error))


def _compared(session: "Session", command: LoadModel, asked: str) -> ComparedModel:
    """A model that answers that message; the one that is loaded is not loaded again."""
    own = command == session.model.command
    slot = session.model if own else session.model.another()
    turn = session.new_turn(asked)
    given = session.conversation.whole_reply_to(asked, session.model.info) if own else None
    compared = ComparedModel(command, slot, turn, session.conversation, borrowed=own, given=given)
    compared.serve(session.command, session.take)
    return compared
