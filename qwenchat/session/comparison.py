"""Several models answer the same message, side by side; each reply is a version of its own."""

from collections.abc import Callable, Sequence

from qwenchat.chat.commands import AnswerNow, Close, LoadModel, StartTurn
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.events import Event, LoadEvent, LoadFailed, TurnEnded, TurnEvent, TurnFailed
from qwenchat.chat.messages import Message
from qwenchat.chat.provenance import ModelInfo
from qwenchat.engine.worker import Worker
from qwenchat.session.model_slot import Loading
from qwenchat.session.open_conversation import Record
from qwenchat.session.turn import Phase, Turn
from qwenchat.session.turn_runner import Running


class Contender:
    """A model that answers beside others: its thread, what is loaded there, and its turn."""

    def __init__(
        self,
        command: LoadModel,
        worker: Worker,
        loading: Loading,
        turn: Turn,
        record: Record,
        ask: Callable[[Turn, ModelInfo | None], StartTurn],
        clock: Callable[[], float],
        pass_on: Callable[[Event], None],
        *,
        lent: bool = False,
        given: Message | None = None,
    ) -> None:
        """`pass_on` is told what concerns neither load nor turn.

        The worker may be `lent` by the chat; `given` is a reply that is there already.
        """
        self.command = command
        """How the model was asked for."""
        self.worker = worker
        self.loading = loading
        self.turn = turn
        self.begun = self.ended = given is not None
        """Whether it was asked, and whether no more comes from it."""
        self._lent = lent
        self._given = given
        self._record = record
        self._pass_on = pass_on
        self._events: list[Event] = []
        self._running = Running(worker, record, lambda turn: ask(turn, loading.model), self._events.append, clock)

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
        return self.loading.error if self.loading.model is None and self.loading.progress is None else None

    def begin(self) -> None:
        """Ask the model, once it is loaded."""
        if self.begun:
            return
        self.begun = True
        self._record.tree.add(self.turn.reply)
        if self.loading.model is None and self.loading.progress is None:
            self.loading.begin(self.command)
        self._running.begin(self.turn, ready=self.loading.progress is None)

    def poll(self) -> list[Event]:
        """Record what the worker reported and return what concerns the screen, oldest first."""
        for event in self.worker.events.drain():
            self._take(event)
        self._running.checkpoint_if_due()
        events = self._events[:]
        self._events.clear()
        self.ended |= any(isinstance(event, TurnEnded) for event in events)
        return events

    def stop(self) -> None:
        """End the turn, keeping what has come; one that was not asked yet is not asked any more."""
        if self.begun:
            self._running.stop()
        else:
            self.ended = True

    def answer_now(self) -> None:
        """Let the model answer from what it has thought; does nothing while it does not think."""
        if self.phase is Phase.THINKING:
            self.worker.send(AnswerNow(self.turn.number))

    def release(self) -> Turn | None:
        """The turn that still runs; from here on somebody else takes the worker's events."""
        turn, self._running.turn = self._running.turn, None
        return turn

    def leave(self) -> None:
        """End the turn at once, saved as far as it came, and the thread, unless that was there before."""
        if self.begun:
            self.poll()
        self._running.abandon()
        self.ended = True
        if not self._lent:
            self.worker.send(Close())

    def _take(self, event: Event) -> None:
        if isinstance(event, LoadEvent):
            if self.loading.take(event):
                self._go_on_after_load(event)
        elif isinstance(event, TurnEvent):
            self._running.take(event)
            self.loading.learn(event)
        else:
            self._pass_on(event)

    def _go_on_after_load(self, event: LoadEvent) -> None:
        if not self._running.waiting:
            return
        if isinstance(event, LoadFailed):
            self._running.end(TurnFailed(self.turn.number, event.error))
        elif self.loading.progress is None:
            self._running.ask()


class Comparison:
    """The contenders for one message. Servers answer at once, models on this machine one after another."""

    def __init__(self, contenders: Sequence[Contender], before: str | None, model: ModelInfo | None) -> None:
        """`before` is the reply that was read until now, `model` what answered."""
        self.contenders = tuple(contenders)
        self.before = before
        self.model = model
        self.over = False
        """Whether one was chosen, or the comparison was left."""
        first = next((contender for contender in self.contenders if contender.local and not contender.ended), None)
        for contender in self.contenders:
            if contender is first or not contender.local:
                contender.begin()

    @property
    def running(self) -> bool:
        """Whether anything is still to come."""
        return any(not contender.ended for contender in self.contenders)

    def poll(self) -> list[tuple[Contender, Event]]:
        """What happened since the last time, recorded."""
        if self.over:
            return []
        events = [(contender, event) for contender in self.contenders for event in contender.poll()]
        self._begin_next()
        return events

    def stop(self) -> None:
        """End all turns, keeping what has come."""
        for contender in self.contenders:
            contender.stop()

    def close(self, chosen: Contender | None) -> None:
        """Leave all contenders but the chosen one."""
        self.over = True
        for contender in self.contenders:
            if contender is not chosen:
                contender.leave()

    @property
    def read(self) -> str | None:
        """The id of the reply to be read when none was chosen: that from before, else the first that there is."""
        return self.before or next((contender.reply.id for contender in self.contenders if contender.begun), None)

    def _begin_next(self) -> None:
        """Let the next model on this machine begin when none of them is busy: beside each other all would be slow."""
        local = [contender for contender in self.contenders if contender.local and not contender.ended]
        if local:
            local[0].begin()
