"""How a chat goes on by itself: what the worker and the tools report is recorded, and turns begin when they can."""

from collections.abc import Sequence
from dataclasses import replace

from qwenchat.chat.calls import balanced
from qwenchat.chat.commands import LoadModel, ReadAhead
from qwenchat.chat.continuation import begun_in
from qwenchat.chat.events import (
    CallReturned,
    CallStarted,
    DraftWeighed,
    Event,
    LoadEvent,
    LoadFailed,
    LoadProgressed,
    ModelLoaded,
    PermissionAsked,
    PermissionNotSaved,
    SaveFailed,
    ScoringEnded,
    TokensScored,
    ToolsListed,
    TurnEnded,
    TurnFailed,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import Message, Status, ToolCallPart
from qwenchat.chat.provenance import FinishReason, ModelInfo
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.timeline import Tick
from qwenchat.i18n.texts import say
from qwenchat.session.comparison import Contender
from qwenchat.session.model_slot import Loading
from qwenchat.session.standing import Standing
from qwenchat.session.turn import Phase, Turn


class Course(Standing):
    """Takes what happened and does what follows from it, without a word of the user."""

    def poll(self) -> list[Event]:
        """Record what the worker reported and return the events that concern the screen, oldest first."""
        if self.comparison is None:  # else its contenders take them
            for event in self._worker.events.drain():
                self._take(event)
        self._go_on_if_called()
        self._running.checkpoint_if_due()
        self._read_ahead_if_due()
        events = self._out[:]
        self._out.clear()
        return events

    def wait(self, timeout_s: float) -> list[Event]:
        """Like `poll`, but blocks up to `timeout_s` until there is something."""
        if not self._out and not self._calling.done:
            self._worker.events.wait(timeout_s)
        return self.poll()

    def _abandon(self) -> None:
        """End what runs at once, as when leaving the chat; late events of it are dropped."""
        self._running.abandon()
        if self.comparison is not None:
            self.comparison.close(None)
            self.comparison = None
        self.scoring.stop()
        if self._calling.active:
            self._stop_calls()
        self._calling.forget_grants()

    def _stop_calls(self) -> None:
        self._calling.stop()
        self._out.append(TurnStopped(self._turns))
        self._ahead_due = True

    @property
    def _ready(self) -> bool:
        """Whether the model, and the tools, can be used."""
        return self.loading is None and self._calling.ready

    def _begin_turn(
        self, parent: str, extra: SamplingOverrides = SamplingOverrides(), thinking: bool | None = None
    ) -> None:
        self._turns += 1
        self._draft, self._weighed = "", None
        turn = Turn(self._turns, parent, self._clock(), extra, thinking)
        self.tree.add(turn.reply)
        self._running.begin(turn, ready=self._ready)

    def _go_on(self, *, answer_now: bool) -> None:
        """Begin a turn that goes on with the latest reply."""
        if self.latest is not None and self.begun is not None:
            self._go_on_with(self.latest, self.library.timeline(self.latest.id), answer_now=answer_now)

    def _go_on_with(self, reply: Message, ticks: Sequence[Tick], *, answer_now: bool = False) -> None:
        """Begin a turn that goes on with a reply that broke off, or with a new one of which the beginning is there."""
        begun = begun_in(reply)
        if begun is None:
            return
        self._turns += 1
        turn = Turn.going_on(self._turns, reply, begun, ticks, self._clock(), answer_now)
        put = self.tree.replace if reply.id in self.tree else self.tree.add
        put(turn.reply)
        self._running.begin(turn, ready=self._ready)

    def _contender(self, command: LoadModel, asked: str) -> Contender:
        """A model that answers that message; the one that is loaded is not loaded again."""
        own = command == self.load_command
        worker = self._worker if own else self._worker.another()
        self._turns += 1
        turn = Turn(self._turns, asked, self._clock())
        return Contender(
            command, worker, self._loading if own else Loading(worker), turn, self._record,
            lambda turn, model: self._asked_of(model, turn), self._clock, self._take,
            lent=own, given=self._reply_to(asked) if own else None,
        )  # fmt: skip

    def _tell_of_model(self, before: ModelInfo | None) -> None:
        """Report the model that answers now, if that is another one than before."""
        if self.model is not None and self.model != before:
            self._out.append(ModelLoaded(self.model))
            self._go_on_after_load(ModelLoaded(self.model))
        elif self.model is None and self.loading is None and self.load_error is not None:
            self._out.append(LoadFailed(self.load_error))

    def _reply_to(self, asked: str) -> Message | None:
        """The latest reply, if it is a whole one to that message by the model that is loaded."""
        latest = self.latest
        made = latest.provenance if latest is not None else None
        if latest is None or made is None or latest.parent != asked or latest.status is not Status.COMPLETE:
            return None
        return latest if made.model == self.model else None

    def _take(self, event: Event) -> None:
        match event:
            case LoadProgressed() | ModelLoaded() | LoadFailed():
                if self._loading.take(event):
                    self._out.append(event)
                    self._go_on_after_load(event)
            case DraftWeighed():
                if event.number == self._ahead_number:
                    self._weighed = self._draft_ahead, event
            case TokensScored() | ScoringEnded():
                self.scoring.take(event)
                self._ahead_due |= isinstance(event, ScoringEnded)
            case SaveFailed():
                self._out.append(event)
            case ToolsListed():
                self._calling.listed(event)
                self._ask_if_ready()
            case CallReturned():
                self._calling.returned(event)
            case PermissionAsked() | PermissionNotSaved() | CallStarted():
                self._out.append(event)
            case TurnFinished(reason=FinishReason.TOOL_CALLS):
                self._take_calls(event)
            case _:
                self._running.take(event)
                self._ahead_due |= isinstance(event, TurnEnded)
                self._loading.learn(event)

    def _go_on_after_load(self, event: LoadEvent) -> None:
        """Let the turn that waits for the model begin, or fail with the load."""
        if isinstance(event, ModelLoaded):
            self._ahead_due = True
            self._say_if_unable()
            self._calling.window = event.model.context_window
            self._ask_if_ready()
        elif isinstance(event, LoadFailed) and self._turn is not None and self._running.waiting:
            self._running.end(TurnFailed(self._turn.number, event.error))

    def _ask_if_ready(self) -> None:
        if self._running.waiting and self._ready:
            self._running.ask()

    def _say_if_unable(self) -> None:
        """Say that tools are switched on for a model that has no use for them."""
        if self._calling.on and self.model is not None and not self.model.tools:
            unable = say("{model} cannot call tools; it answers without them.", model=self.model.name)
            self._out.append(ToolsListed(0, (), (unable,)))

    def _take_calls(self, event: TurnFinished) -> None:
        """A reply ended with calls: they are taken up before anything else happens."""
        turn = self._turn
        if turn is None or turn.number != event.turn:
            return
        if not any(isinstance(part, ToolCallPart) for part in turn.growing.parts()):
            event = replace(event, reason=FinishReason.STOP)
        stopped = turn.phase is Phase.STOPPING
        self._running.take(event)
        self._ahead_due = True
        if event.reason is FinishReason.TOOL_CALLS and stopped:
            self._out.append(TurnStopped(event.turn))
        elif event.reason is FinishReason.TOOL_CALLS:
            self._asked_for = turn
            self._calling.begin(self.path)

    def _go_on_if_called(self) -> None:
        """Once all calls have their results, let the model go on from them."""
        if not self._calling.done:
            return
        failed, parent = self._calling.failed, self._calling.leave()
        if failed is not None:
            self._out.append(TurnFailed(self._turns, failed))
        elif parent is not None:
            asked = self._asked_for
            self._begin_turn(parent, asked.extra if asked else SamplingOverrides(), asked.thinking if asked else None)

    def _read_ahead_if_due(self) -> None:
        """Let the model read the conversation while nobody waits for it, so that the next reply begins sooner."""
        if self._ahead_due and self.model is not None and not self.busy:
            self._ahead_due = False
            # A thought that could be gone on from stays in the model's memory.
            if (self.path or self._draft) and not self.broken_off:
                path = balanced((*self.path, *self._system_before(self.tree.leaf)))
                self._ahead_number += 1
                self._draft_ahead = self._draft
                self._worker.send(
                    ReadAhead(path, self._switch.on, self._draft, self._callable(), self._ahead_number, self._pieces)
                )
