"""One chat as a state machine: a turn begins, streams, is saved, ends. No interface and no model code."""

import time
from collections.abc import Callable, Sequence

from qwenchat.chat.commands import AnswerNow, LoadModel, ReadAhead, StartTurn
from qwenchat.chat.errors import NoThought, PromptEmpty, QwenchatError, TurnInProgress
from qwenchat.chat.events import (
    Event,
    LoadEvent,
    LoadFailed,
    LoadProgressed,
    ModelLoaded,
    SaveFailed,
    TurnEnded,
    TurnFailed,
)
from qwenchat.chat.messages import Message, ReasoningPart, Role, TextPart
from qwenchat.chat.provenance import FinishReason, ModelInfo, ThinkingSupport
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.sampling import PENALTY_ON_REPETITION, SamplingOverrides
from qwenchat.chat.thinking import ThinkingSwitch, budget_kept, open_thought, soft_switch_in_force, thinks
from qwenchat.chat.timeline import Tick
from qwenchat.chat.tree import MessageTree
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.loading import Loading
from qwenchat.record import Record
from qwenchat.running import Running
from qwenchat.turn import Phase, Turn


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.library = library
        self.system = system
        self.overrides = overrides
        self.thinking_budget = thinking_budget
        """Most tokens of thought in this conversation from the next turn on; None for no limit."""
        self._usual_budget = thinking_budget
        self._out: list[Event] = []
        self._record = Record(library, self._out.append)
        self._loading = Loading(worker)
        self._worker = worker
        self._clock = clock
        self._switch = ThinkingSwitch(thinking)
        self._running = Running(worker, self._record, self._asked, self._out.append, clock)
        self._turns = 0
        self._closed = False
        self._ahead_due = False
        """Whether there is something new that the model could read ahead."""

    # What the screen shows

    @property
    def conversation(self) -> str | None:
        """The id of the saved conversation; None until the first message."""
        return self._record.conversation

    @property
    def tree(self) -> MessageTree:
        """All messages of the conversation."""
        return self._record.tree

    @property
    def model(self) -> ModelInfo | None:
        """The model that answers; None while there is none."""
        return self._loading.model

    @property
    def loading(self) -> LoadProgressed | None:
        """The latest word about the model being loaded; None when none is."""
        return self._loading.progress

    @property
    def load_error(self) -> QwenchatError | None:
        """Why the latest load failed."""
        return self._loading.error

    @property
    def _turn(self) -> Turn | None:
        return self._running.turn

    @property
    def busy(self) -> bool:
        """Whether a turn is running."""
        return self._turn is not None

    @property
    def phase(self) -> Phase:
        """What is going on."""
        return self._turn.phase if self._turn else Phase.IDLE

    @property
    def path(self) -> tuple[Message, ...]:
        """The messages being read, from the first to the latest."""
        return self.tree.path()

    @property
    def growing(self) -> GrowingReply | None:
        """The reply that is being written, live."""
        return self._turn.growing if self._turn else None

    @property
    def reply_id(self) -> str | None:
        """The id of the reply that is being written."""
        return self._turn.reply.id if self._turn else None

    @property
    def support(self) -> ThinkingSupport:
        """Which thinking switches the model has; before one is loaded, those of Qwen3."""
        return self.model.thinking if self.model else ThinkingSupport.SWITCHED

    @property
    def thinks(self) -> bool:
        """Whether the model will think about the next message, unless that message switches it."""
        return self._switch.thinks(self.support, self.path or self._system_message())

    @property
    def context_tokens(self) -> int:
        """How many tokens of the context window the latest finished turn took."""
        for message in reversed(self.path):
            if message.provenance and message.provenance.usage.prompt_tokens:
                usage = message.provenance.usage
                return usage.prompt_tokens + usage.answer_tokens
        return 0

    @property
    def unsaved(self) -> int:
        """How many replies could not be written yet and are only in memory."""
        return self._record.unsaved

    @property
    def broken_off(self) -> bool:
        """Whether the latest reply broke off inside its thought, so that `answer_now` makes it answer from there."""
        return self._thought_broken_off() is not None

    @property
    def repeats(self) -> bool:
        """Whether the latest reply ended because it repeated itself; `retry` then asks with a penalty on that."""
        return self.tree.leaf is not None and _repeats(self.tree[self.tree.leaf])

    # What the user does

    def load(self, command: LoadModel) -> None:
        """Make a model ready; messages may be sent meanwhile and are answered when it is."""
        self._loading.begin(command)

    def send(self, text: str, typed: Sequence[Tick] = ()) -> Message:
        """Save the user's message, with how it was typed, then ask the model.

        Raises PromptEmpty, TurnInProgress, or LibraryError when it could not be saved: then nothing was sent.
        """
        if not text.strip():
            raise PromptEmpty("There is nothing to send.", "Write a message first.")
        return self._say(text, self.tree.leaf, typed)

    def edit(self, message_id: str, text: str, typed: Sequence[Tick] = ()) -> Message:
        """Say something else in place of an earlier message; the old branch stays. Raises as `send`."""
        if not text.strip():
            raise PromptEmpty("There is nothing to send.", "Write a message first.")
        return self._say(text, self.tree[message_id].parent, typed)

    def retry(self, message_id: str | None = None) -> None:
        """Ask again for the reply `message_id`, by default the latest; the old one stays as a branch.

        One that repeated itself is asked for with presence_penalty 1.5, unless a stronger one is set.
        Raises TurnInProgress, PromptEmpty when there is nothing to answer, and LibraryError as `send` does.
        """
        self._require_idle()
        at = message_id or self.tree.leaf
        extra = SamplingOverrides()
        if at is not None and _repeats(self.tree[at]):
            extra = SamplingOverrides(presence_penalty=max(PENALTY_ON_REPETITION, self.overrides.presence_penalty or 0))
        while at is not None and self.tree[at].role is not Role.USER:
            at = self.tree[at].parent
        if at is None:
            raise PromptEmpty("There is no message to answer.", "Write one first.")
        self._begin_turn(at, extra)

    def answer_now(self) -> None:
        """Let the model answer from what it has thought: now, or where the latest reply broke off in its thought.

        Raises NoThought when there is nothing to answer from.
        """
        if self._turn is not None:
            if self._turn.phase is not Phase.THINKING:
                raise NoThought("The model is not thinking.", "It answers as soon as it can.")
            self._worker.send(AnswerNow(self._turn.number))
            return
        thought = self._thought_broken_off()
        if thought is None or self.tree.leaf is None:
            raise NoThought("No reply broke off inside its thought.", "Ctrl+R or /retry asks again for the last one.")
        reply = self.tree[self.tree.leaf]
        self._turns += 1
        timeline = self.library.timeline(reply.id)
        turn = Turn.going_on(self._turns, reply, thought, timeline, self._clock())
        self.tree.replace(turn.reply)
        self._running.begin(turn, ready=self.loading is None)

    def stop(self) -> None:
        """End the running turn, keeping what has come; does nothing when none is running."""
        self._running.stop()

    def toggle_thinking(self) -> bool:
        """Turn thinking on or off for the next message and say which it now is.

        Turning it on against an earlier /no_think adds a visible /think to the next message.
        """
        self._switch.toggle(self.support, self.path or self._system_message())
        return self.thinks

    def new(self) -> None:
        """Leave this conversation, saved as it is, and begin an empty one."""
        self._running.abandon()
        self._record.begin()
        self.thinking_budget = self._usual_budget
        self._switch.forget()

    def resume(self, conversation: str) -> None:
        """Go on with a saved conversation; raises ConversationNotFound, leaving this one as it is."""
        if conversation == self.conversation:
            self._running.abandon()
        stored = self.library.read(conversation)
        self._running.abandon()
        self._record.open(stored)
        self.thinking_budget = budget_kept(self.path) if self._usual_budget is None else self._usual_budget
        self._switch.forget()
        self._ahead_due = True

    def select(self, message_id: str) -> None:
        """Read the branch through `message_id`. Raises TurnInProgress."""
        self._require_idle()
        self._record.select(message_id)

    def poll(self) -> list[Event]:
        """Record what the worker reported and return the events that concern the screen, oldest first."""
        for event in self._worker.events.drain():
            self._take(event)
        self._running.checkpoint_if_due()
        self._read_ahead_if_due()
        events = self._out[:]
        self._out.clear()
        return events

    def wait(self, timeout_s: float) -> list[Event]:
        """Like `poll`, but blocks up to `timeout_s` until there is something."""
        if not self._out:
            self._worker.events.wait(timeout_s)
        return self.poll()

    def close(self) -> None:
        """End the turn, save what came, end the worker and close the library, once; takes at most two seconds."""
        if self._closed:
            return
        self._closed = True
        self._running.abandon()
        self._record.write(self._clock())
        self._worker.close()
        self.library.close()

    # Turns

    def _require_idle(self) -> None:
        if self._turn is not None:
            raise TurnInProgress("The model is still answering.", "Wait for it or stop it first.")

    def _system_message(self) -> tuple[Message, ...]:
        return (Message(Role.SYSTEM, (TextPart(self.system),)),) if self.system else ()

    def _say(self, text: str, parent: str | None, typed: Sequence[Tick]) -> Message:
        self._require_idle()
        text = self._switch.said_in(text)
        before = self._system_message() if parent is None else ()
        user = Message(Role.USER, (TextPart(text),), parent=before[0].id if before else parent)
        self._record.say((*before, user), self._clock(), typed)
        self._switch.forget()
        self._begin_turn(user.id)
        return user

    def _thought_broken_off(self) -> ReasoningPart | None:
        if self._turn is not None or self.tree.leaf is None or self.support is ThinkingSupport.NONE:
            return None
        return open_thought(self.tree[self.tree.leaf])

    def _begin_turn(self, parent: str, extra: SamplingOverrides = SamplingOverrides()) -> None:
        self._turns += 1
        turn = Turn(self._turns, parent, self._clock(), extra)
        self.tree.add(turn.reply)
        self._running.begin(turn, ready=self.loading is None)

    def _asked(self, turn: Turn) -> StartTurn:
        """The command for a turn. Without a soft switch the model is asked as the hard one says.

        An earlier /no_think holds on, also when the message it stands in does not fit the context any more: the hard
        switch is off then too.
        """
        history = self.tree.path(turn.reply.parent)
        hard = self._switch.on and soft_switch_in_force(history) is not False
        return turn.ask(
            history,
            self.model,
            self.overrides,
            hard=hard,
            will_think=thinks(self.support, hard, history),
            budget=self.thinking_budget,
        )

    def _take(self, event: Event) -> None:
        match event:
            case LoadProgressed() | ModelLoaded() | LoadFailed():
                if self._loading.take(event):
                    self._out.append(event)
                    self._go_on_after_load(event)
            case SaveFailed():
                self._out.append(event)
            case _:
                self._running.take(event)
                self._ahead_due |= isinstance(event, TurnEnded)

    def _go_on_after_load(self, event: LoadEvent) -> None:
        """Let the turn that waits for the model begin, or fail with the load."""
        if isinstance(event, ModelLoaded):
            self._ahead_due = True
            if self._running.waiting:
                self._running.ask()
        elif isinstance(event, LoadFailed) and self._turn is not None and self._running.waiting:
            self._running.end(TurnFailed(self._turn.number, event.error))

    def _read_ahead_if_due(self) -> None:
        """Let the model read the conversation while nobody waits for it, so that the next reply begins sooner."""
        if self._ahead_due and self.model is not None and self._turn is None:
            self._ahead_due = False
            # The thought that `answer_now` would go on from stays in the model's memory.
            if self.tree.leaf is not None and not self.broken_off:
                self._worker.send(ReadAhead(self.tree.path(), self._switch.on))


def _repeats(message: Message) -> bool:
    return message.provenance is not None and message.provenance.finish_reason is FinishReason.REPETITION
