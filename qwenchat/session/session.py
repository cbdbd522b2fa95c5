"""One chat as a state machine: a message is sent, a turn begins, streams, is saved, ends. No interface, no model code.

The way of a turn, from top to bottom: `send` saves the message and begins a turn; once the model is there, the turn's
command goes to the worker; `poll` takes the events that come back, which are recorded, and hands on those that a
screen shows.
"""

import time
from collections.abc import Callable, Sequence
from typing import assert_never

from qwenchat.chat.calls import balanced
from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.engine_commands import StartTurn
from qwenchat.chat.errors import PromptEmpty, TurnInProgress
from qwenchat.chat.events import (
    CallEvent,
    CallReturned,
    DraftCounted,
    Event,
    LoadEvent,
    ModelLoaded,
    SaveFailed,
    ScoringEnded,
    ScoringEvent,
    ToolsListed,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.provenance import FinishReason, ModelInfo
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.thinking import ThinkingSwitch, budget_kept, soft_switch
from qwenchat.chat.timeline import Tick
from qwenchat.chat.tools import ToolSpec
from qwenchat.engine.worker import Worker
from qwenchat.i18n.texts import say
from qwenchat.library.library import Library
from qwenchat.session.comparison import Comparison
from qwenchat.session.model_slot import ModelSlot
from qwenchat.session.open_conversation import OpenConversation
from qwenchat.session.read_ahead import ReadAhead
from qwenchat.session.replies import Replies
from qwenchat.session.system_prompt import SystemPrompt
from qwenchat.session.token_scores import TokenScores
from qwenchat.session.tool_calls import ToolCalls
from qwenchat.session.turn import Phase, Turn
from qwenchat.tools.base import ToolRunner


class Session:
    """The chat behind the screen, the plain mode and `ask`; used from one thread.

    Call `poll` often: it takes the worker's events, records them, and returns those that still matter. What it
    returns as ended is already on disk, unless a `SaveFailed` comes with it.
    """

    def __init__(
        self,
        worker: Worker,
        library: Library,
        *,
        system: str = "",
        thinking: bool = True,
        thinking_budget: int | None = None,
        overrides: SamplingOverrides = SamplingOverrides(),
        private: bool = False,
        tools: ToolRunner | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.library = library
        self.private = private
        """Whether the library is in memory alone, as the user wants it."""
        self.overrides = overrides
        self.thinking_budget = thinking_budget
        """Most tokens of thought in this conversation from the next turn on; None for no limit."""
        self.usual_budget = thinking_budget
        """What the budget is at the start of a conversation."""
        self.schema: str | None = None
        """A JSON schema, as text, that answers must be JSON of."""
        self._events: list[Event] = []
        """What `poll` will return."""
        self._clock = clock
        self.conversation = OpenConversation(library, self._events.append, clock, self.require_idle)
        self.system = SystemPrompt(system, self.conversation, lambda: self.model.reads_later_system)
        self.tools = ToolCalls(
            tools, self.conversation.keep, self._events.append, lambda event: self.model.worker.events.put(event)
        )
        self.read_ahead = ReadAhead()
        self.comparison: Comparison | None = None
        """The models that answer side by side; None while only one does."""
        self.replies = Replies(self)
        self.answer_with(ModelSlot(worker, self.conversation, clock))
        self._switch = ThinkingSwitch(thinking)
        self._turns = 0
        self._closed = False

    def answer_with(self, slot: ModelSlot) -> None:
        """Let the model of that slot answer from here on, with the turn that runs there."""
        self.model = slot
        slot.serve(lambda turn, model: self.command(turn, model, self.tools.callable_by(model)), self._events.append)
        self.scores = TokenScores(slot.worker)

    # The state of the chat

    @property
    def busy(self) -> bool:
        """Whether a turn is running, or several, or a tool, or the user is asked about one."""
        return self.model.turn.current is not None or self.tools.active or self.comparison is not None

    @property
    def phase(self) -> Phase:
        """What is going on."""
        if self.model.turn.current is not None:
            return self.model.turn.current.phase
        return Phase.CALLING if self.tools.active else Phase.IDLE

    @property
    def thinks(self) -> bool:
        """Whether the model will think about the next message, unless that message switches it."""
        return self._switch.thinks(self.model.support, self.conversation.path or self.system.before(None))

    # What the user does

    def send(self, said: str | Sequence[TextPart], typed: Sequence[Tick] = ()) -> Message:
        """Save the user's message, with how it was typed, then ask the model.

        Raises PromptEmpty, TurnInProgress, or LibraryError when it could not be saved: then nothing was sent.
        """
        return self._ask(said, self.conversation.tree.leaf, typed)

    def edit(self, message_id: str, said: str | Sequence[TextPart], typed: Sequence[Tick] = ()) -> Message:
        """Say something else in place of a message of the user's; the old branch stays. Raises as `send`."""
        edited = self.conversation.tree[message_id]
        if edited.role is not Role.USER:
            raise PromptEmpty(say("Only your own messages can be changed."), say("A reply can be asked for again."))
        return self._ask(said, edited.parent, typed)

    def stop(self) -> None:
        """End the running turn, and the tools it called, keeping what has come; does nothing when none is running."""
        self.model.turn.stop()
        if self.tools.stop():
            self._events.append(TurnStopped(self._turns))

    def switch_tools(self, names: Sequence[str]) -> None:
        """Let the model call these tools, and those of the servers of these names, from its next turn on.

        They are made ready at once; `ToolsListed` says when they are, and a turn waits for that.
        """
        self.tools.switch(names)
        self.tools.report_unusable(self.model.info)

    def toggle_thinking(self) -> bool:
        """Turn thinking on or off for the next message and return which it now is.

        Turning it on against an earlier /no_think adds a visible /think to the next message.
        """
        self._switch.toggle(self.model.support, self.conversation.path or self.system.before(None))
        return self.thinks

    def apply_soft_switch(self, typed: str) -> None:
        """Turn thinking on where the next message asks for it by /think, which the hard switch would overrule."""
        if soft_switch(typed):
            self._switch.on = True

    # The conversation

    def new(self) -> None:
        """Leave this conversation, saved as it is, and begin an empty one."""
        self._abandon()
        self.conversation.begin()
        self._opened(self.usual_budget)

    def resume(self, conversation: str, message: str | None = None) -> None:
        """Go on with a saved conversation, on the branch through `message` or the one that was read last.

        Raises ConversationNotFound, leaving this one as it is. A message that is not there is passed over.
        """
        if conversation == self.conversation.id:
            self._abandon()
        stored = self.library.read(conversation)
        self._abandon()
        self.conversation.open(stored, message)
        self._opened(budget_kept(self.conversation.path) if self.usual_budget is None else self.usual_budget)

    def close(self) -> None:
        """End the turn, save what came, end the worker and close the library, once; takes at most two seconds."""
        if self._closed:
            return
        self._closed = True
        self._abandon()
        self.conversation.write()
        self.tools.close()
        self.model.worker.close()
        self.library.close()

    # What follows by itself

    def poll(self) -> list[Event]:
        """Record what the worker reported and return the events that concern the screen, oldest first."""
        if self.comparison is None:  # else its compared models take them
            for event in self.model.worker.events.drain():
                self.take(event)
        self._go_on_after_calls()
        self.model.turn.checkpoint_if_due()
        self._read_ahead()
        events = self._events[:]
        self._events.clear()
        return events

    def wait(self, timeout_s: float) -> list[Event]:
        """Like `poll`, but blocks up to `timeout_s` until there is something."""
        if not self._events and not self.tools.done:
            self.model.worker.events.wait(timeout_s)
        return self.poll()

    def take(self, event: Event) -> None:
        """Record an event, and report it if it concerns the screen."""
        if isinstance(event, LoadEvent):
            if self.model.take_load(event):
                self.report_model(event)
        elif isinstance(event, TurnEvent):
            if isinstance(event, TurnFinished) and event.reason is FinishReason.TOOL_CALLS:
                if (turn := self.model.turn.take_calls(event)) is not None:
                    self.tools.begin(self.conversation.path, turn)
            else:
                self.model.take_turn(event)
        elif isinstance(event, DraftCounted):
            self.read_ahead.take(event)
        elif isinstance(event, ScoringEvent):
            self.scores.take(event)
            if isinstance(event, ScoringEnded):
                self.read_ahead.renew()
        elif isinstance(event, ToolsListed):
            self.tools.listed(event)
            if self.model.turn.waiting and self._ready:
                self.model.turn.ask()
        elif isinstance(event, CallReturned):
            self.tools.returned(event)
        elif isinstance(event, SaveFailed | CallEvent):
            self._events.append(event)
        else:
            assert_never(event)

    def _ask(self, said: str | Sequence[TextPart], parent: str | None, typed: Sequence[Tick]) -> Message:
        user = self.save_message(said, parent, typed)
        self.tools.begin_question()
        self.begin_turn(user.id)
        return user

    def save_message(self, said: str | Sequence[TextPart], parent: str | None, typed: Sequence[Tick]) -> Message:
        """Save a message of the user's below `parent`, after a system prompt if one is due. Raises as `send`."""
        parts = (TextPart(said),) if isinstance(said, str) else tuple(said)
        if not any(part.text.strip() for part in parts):
            raise PromptEmpty(say("There is nothing to send."), say("Write a message first."))
        self.require_idle()
        before = self.system.before(parent)
        user = Message(Role.USER, self._switch.said_in(parts), parent=before[0].id if before else parent)
        self.conversation.say((*before, user), typed)
        self.system.sent()
        self._switch.forget()
        return user

    def begin_turn(
        self, parent: str, extra: SamplingOverrides = SamplingOverrides(), thinking: bool | None = None
    ) -> None:
        """Begin a turn that answers `parent`; for it alone `extra` and `thinking` go before what the user set."""
        self.read_ahead.clear()
        turn = self.new_turn(parent, extra, thinking)
        self.conversation.tree.add(turn.reply)
        self.model.turn.begin(turn, ready=self._ready)

    def continue_turn(self, reply: Message, begun: PartialReply, ticks: Sequence[Tick], *, answer_now: bool) -> None:
        """Begin a turn that goes on with a reply of which `begun` is there; with `answer_now` its thought ends."""
        self._turns += 1
        turn = Turn.going_on(self._turns, reply, begun, ticks, self._clock(), answer_now)
        self.conversation.tree.put(turn.reply)
        self.model.turn.begin(turn, ready=self._ready)

    def new_turn(
        self, parent: str, extra: SamplingOverrides = SamplingOverrides(), thinking: bool | None = None
    ) -> Turn:
        """A turn that is to answer `parent`, with a number of its own."""
        self._turns += 1
        return Turn(self._turns, parent, self._clock(), extra, thinking)

    def command(self, turn: Turn, model: ModelInfo | None, tools: tuple[ToolSpec, ...] = ()) -> StartTurn:
        """The command that asks `model` for the reply of a turn."""
        history = balanced(self.conversation.tree.path(turn.reply.parent))
        hard = self._switch.on if turn.thinking is None else turn.thinking
        return turn.ask(history, model, self.overrides, hard, self.thinking_budget, self.schema, tools)

    @property
    def _ready(self) -> bool:
        """Whether the model, and the tools, can be used."""
        return self.model.progress is None and self.tools.ready

    def report_model(self, event: LoadEvent) -> None:
        """Report what became of the model that answers; a turn that waits for it goes on."""
        self._events.append(event)
        if isinstance(event, ModelLoaded):
            self.tools.report_unusable(event.model)
            self.tools.window = event.model.context_window
        self.model.go_on_after_load(event, ready=self.tools.ready)

    def _go_on_after_calls(self) -> None:
        """Once all calls have their results, let the model go on from them, as it was set for their turn."""
        if not self.tools.done:
            return
        failed, turn, parent = self.tools.failed, self.tools.turn, self.tools.leave()
        if failed is not None:
            self._events.append(TurnFailed(self._turns, failed))
        elif parent is not None:
            self.begin_turn(parent, turn.extra if turn else SamplingOverrides(), turn.thinking if turn else None)

    def _read_ahead(self) -> None:
        """Let the model read the conversation while nobody waits for it, so that the next reply begins sooner.

        A thought that the model could go on with stays in its cache.
        """
        if self.model.info is None or self.busy or self.replies.interrupted_in_thought:
            return
        system = self.system.before(self.conversation.tree.leaf)
        tools = self.tools.callable_by(self.model.info)
        self.read_ahead.send(self.model.worker, self.model.info, self.conversation.path, system, self._switch.on, tools)

    def _opened(self, thinking_budget: int | None) -> None:
        """Another conversation is open, under its own settings."""
        self.read_ahead.clear()
        self.system.sent()
        self.thinking_budget = thinking_budget
        self._switch.forget()

    def _abandon(self) -> None:
        """End what runs at once, as when leaving the chat; late events of it are dropped."""
        self.model.turn.abandon()
        if self.comparison is not None:
            self.comparison.close(None)
            self.comparison = None
        self.scores.stop()
        if self.tools.stop():
            self._events.append(TurnStopped(self._turns))
        self.tools.forget_grants()

    def require_idle(self) -> None:
        """Raise TurnInProgress while anything runs."""
        if self.busy:
            raise TurnInProgress(say("The model is still answering."), say("Wait for it or stop it first."))
