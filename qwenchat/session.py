"""One chat as a state machine: a turn begins, streams, is saved, ends. No interface and no model code."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from qwenchat.chat.commands import LoadModel, StartTurn, Stop
from qwenchat.chat.errors import LibraryError, PromptEmpty, QwenchatError, TurnInProgress
from qwenchat.chat.events import (
    Event,
    LoadFailed,
    LoadProgressed,
    ModelLoaded,
    SaveFailed,
    TextProduced,
    ThoughtStarted,
    TurnEnded,
    TurnFailed,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart, new_id
from qwenchat.chat.provenance import FinishReason, ModelInfo, Provenance, ThinkingSupport, Timing, Usage
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.thinking import soft_switch_in_force, thinks
from qwenchat.chat.tree import MessageTree
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.library.pending import Pending

CHECKPOINT_S = 1.0


class Phase(StrEnum):
    """What the session is doing."""

    IDLE = "idle"
    WAITING = "waiting"
    """A message was sent; nothing has come back yet (the model loads, or reads the prompt)."""
    THINKING = "thinking"
    ANSWERING = "answering"
    STOPPING = "stopping"


@dataclass(slots=True)
class _Turn:
    """The turn that is running."""

    number: int
    reply: Message
    growing: GrowingReply
    command: StartTurn | None = None
    """None until the model is loaded."""
    saved_at: float = 0.0
    dirty: bool = False


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
        overrides: SamplingOverrides = SamplingOverrides(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.library = library
        self.system = system
        self.thinking = thinking
        """The hard switch."""
        self.overrides = overrides
        self.conversation: str | None = None
        """The id of the saved conversation; None until the first message."""
        self.tree = MessageTree()
        self.model: ModelInfo | None = None
        self.loading: LoadProgressed | None = None
        """The latest word about the model being loaded; None when none is."""
        self.load_error: QwenchatError | None = None
        self.phase = Phase.IDLE
        self._worker = worker
        self._clock = clock
        self._turn: _Turn | None = None
        self._turns = 0
        self._loads = 0
        """How many loads were asked for and have not ended; only the latest one counts."""
        self._unsaved = Pending(library)
        self._tried_to_save_at = 0.0
        self._ask_to_think = False
        self._closed = False
        self._out: list[Event] = []

    # What the screen shows

    @property
    def busy(self) -> bool:
        """Whether a turn is running."""
        return self._turn is not None

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
        if self._ask_to_think:
            return True
        return thinks(self.support, self.thinking, self.path or self._system_message())

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
        return len(self._unsaved)

    # What the user does

    def load(self, command: LoadModel) -> None:
        """Make a model ready; messages may be sent meanwhile and are answered when it is."""
        self.loading = LoadProgressed("starting")
        self.load_error = None
        self._loads += 1
        self._worker.send(command)

    def send(self, text: str) -> Message:
        """Save the user's message, then ask the model.

        Raises PromptEmpty, TurnInProgress, or LibraryError when it could not be saved: then nothing was sent.
        """
        if not text.strip():
            raise PromptEmpty("There is nothing to send.", "Write a message first.")
        return self._say(text, self.tree.leaf)

    def edit(self, message_id: str, text: str) -> Message:
        """Say something else in place of an earlier message; the old branch stays. Raises as `send`."""
        if not text.strip():
            raise PromptEmpty("There is nothing to send.", "Write a message first.")
        return self._say(text, self.tree[message_id].parent)

    def retry(self, message_id: str | None = None) -> None:
        """Ask again for the reply `message_id`, by default the latest; the old one stays as a branch.

        Raises TurnInProgress, PromptEmpty when there is nothing to answer, and LibraryError as `send` does.
        """
        self._require_idle()
        at = message_id or self.tree.leaf
        while at is not None and self.tree[at].role is not Role.USER:
            at = self.tree[at].parent
        if at is None:
            raise PromptEmpty("There is no message to answer.", "Write one first.")
        self._begin_turn(at)

    def stop(self) -> None:
        """End the running turn, keeping what has come; does nothing when none is running."""
        if self._turn is None:
            return
        self.phase = Phase.STOPPING
        if self._turn.command is None:
            self._end(TurnStopped(self._turn.number))
        else:
            self._worker.send(Stop(self._turn.number))

    def toggle_thinking(self) -> bool:
        """Turn thinking on or off for the next message and say which it now is.

        Turning it on against an earlier /no_think adds a visible /think to the next message.
        """
        if self.support is not ThinkingSupport.SWITCHED:
            return self.thinks
        if self.thinks:
            self.thinking = False
            self._ask_to_think = False
        else:
            self.thinking = True
            self._ask_to_think = soft_switch_in_force(self.path or self._system_message()) is False
        return self.thinks

    def new(self) -> None:
        """Leave this conversation, saved as it is, and begin an empty one."""
        self._abandon_turn()
        self.conversation = None
        self.tree = MessageTree()
        self._ask_to_think = False

    def resume(self, conversation: str) -> None:
        """Go on with a saved conversation; raises ConversationNotFound, leaving this one as it is."""
        stored = self.library.read(conversation)
        self._abandon_turn()
        self.conversation = stored.id
        self.tree = MessageTree(stored.messages, stored.leaf)
        self._ask_to_think = False

    def select(self, message_id: str) -> None:
        """Read the branch through `message_id`. Raises TurnInProgress."""
        self._require_idle()
        self.tree.select(message_id)
        if self.conversation and self.tree.leaf:
            self.library.select(self.conversation, self.tree.leaf)

    def poll(self) -> list[Event]:
        """Record what the worker reported and return the events that concern the screen, oldest first."""
        for event in self._worker.events.drain():
            self._take(event)
        self._checkpoint_if_due()
        events, self._out = self._out, []
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
        self._abandon_turn()
        self._write_unsaved()
        self._worker.close()
        self.library.close()

    # Turns

    def _require_idle(self) -> None:
        if self._turn is not None:
            raise TurnInProgress("The model is still answering.", "Wait for it or stop it first.")

    def _system_message(self) -> tuple[Message, ...]:
        return (Message(Role.SYSTEM, (TextPart(self.system),)),) if self.system else ()

    def _say(self, text: str, parent: str | None) -> Message:
        self._require_idle()
        if self._ask_to_think:
            text = f"{text.rstrip()} /think"
        conversation = self.conversation or new_id()
        before = self._system_message() if parent is None else ()
        user = Message(Role.USER, (TextPart(text),), parent=before[0].id if before else parent)
        if error := self._write_unsaved():
            raise error
        self.library.save_all(conversation, (*before, user))
        self.conversation = conversation
        for message in (*before, user):
            self.tree.add(message)
        self._ask_to_think = False
        self._begin_turn(user.id)
        return user

    def _begin_turn(self, parent: str) -> None:
        self._turns += 1
        reply = Message(Role.ASSISTANT, (), parent=parent, status=Status.STREAMING)
        self._turn = _Turn(self._turns, reply, GrowingReply(), saved_at=self._clock())
        self.tree.add(reply)
        self.phase = Phase.WAITING
        if self.loading is None:
            self._dispatch()

    def _dispatch(self) -> None:
        """Ask the model. The reply is on disk first, so that a crash leaves a trace of it."""
        turn = self._turn
        if turn is None:
            return
        history = self.tree.path(turn.reply.parent)
        will_think = thinks(self.support, self.thinking, history)
        recommended = self.model.sampling if self.model else SamplingOverrides()
        sampling = self.overrides.over(recommended).applied(will_think)
        if sampling.seed is None:
            sampling = replace(sampling, seed=secrets.randbelow(2**31))
        turn.command = StartTurn(turn.number, history, self.thinking, sampling)
        if self.model is not None:
            turn.reply = replace(turn.reply, provenance=Provenance(self.model, sampling, will_think))
        self._save(turn)
        self._worker.send(turn.command)

    def _take(self, event: Event) -> None:
        match event:
            case LoadProgressed():
                self.loading = event
            case ModelLoaded() | LoadFailed():
                self._loads -= 1
                if self._loads == 0:
                    self._end_load(event)
                return
            case SaveFailed():
                pass
            case _:
                turn = self._turn
                if turn is None or event.turn != turn.number:
                    return
                if isinstance(event, TurnEnded):
                    self._end(event)
                    return
                turn.growing.add(event)
                turn.dirty = True
                if self.phase is not Phase.STOPPING and isinstance(event, TextProduced | ThoughtStarted):
                    self.phase = Phase.THINKING if turn.growing.thinking else Phase.ANSWERING
        self._out.append(event)

    def _end_load(self, event: ModelLoaded | LoadFailed) -> None:
        """Let the turn that waits for the model begin, or fail with the load."""
        self.loading = None
        self._out.append(event)
        waiting = self._turn if self._turn and self._turn.command is None else None
        if isinstance(event, ModelLoaded):
            self.model, self.load_error = event.model, None
            if waiting:
                self._dispatch()
        else:
            self.model, self.load_error = None, event.error
            if waiting:
                self._end(TurnFailed(waiting.number, event.error))

    def _end(self, event: TurnEnded) -> None:
        """Put the reply's last word on disk, then let the event out."""
        turn = self._turn
        if turn is None:
            return
        status, reason, note = _outcome(event)
        provenance = turn.reply.provenance
        if provenance is not None:
            timing = event.timing if event.timing.total_s else _timing(turn.growing)
            usage = event.usage if event.usage.prompt_tokens else _usage(turn.growing)
            provenance = replace(provenance, usage=usage, timing=timing, finish_reason=reason)
        turn.reply = replace(turn.reply, status=status, note=note, provenance=provenance)
        self._save(turn)
        self._turn = None
        self.phase = Phase.IDLE
        self._out.append(event)

    def _abandon_turn(self) -> None:
        """End a running turn at once, as when leaving the chat; late events of it are dropped."""
        if self._turn is not None:
            self.stop()
        if self._turn is not None:
            self._end(TurnStopped(self._turn.number))

    def _checkpoint_if_due(self) -> None:
        turn, now = self._turn, self._clock()
        if turn and turn.dirty and now - turn.saved_at >= CHECKPOINT_S:
            self._save(turn)
        elif self._unsaved and now - self._tried_to_save_at >= CHECKPOINT_S:
            self._write_unsaved()

    def _save(self, turn: _Turn) -> None:
        """Write the reply as it stands."""
        turn.reply = replace(turn.reply, parts=turn.growing.parts())
        self.tree.replace(turn.reply)
        turn.saved_at, turn.dirty = self._clock(), False
        if self.conversation is not None:
            self._unsaved.put(self.conversation, turn.reply, turn.growing.timeline)
            self._write_unsaved()

    def _write_unsaved(self) -> LibraryError | None:
        """Write what is not on disk yet; that it fails is reported once."""
        self._tried_to_save_at = self._clock()
        failed_before = self._unsaved.failing
        error = self._unsaved.write()
        if error is not None and not failed_before:
            self._out.append(SaveFailed(error))
        return error


def _outcome(event: TurnEnded) -> tuple[Status, FinishReason, str]:
    match event:
        case TurnFinished():
            return Status.COMPLETE, event.reason, ""
        case TurnStopped():
            return Status.STOPPED, FinishReason.STOPPED, "stopped"
        case TurnFailed():
            return Status.FAILED, FinishReason.ERROR, str(event.error)


def _usage(growing: GrowingReply) -> Usage:
    return Usage(thinking_tokens=growing.thinking_tokens, answer_tokens=growing.answer_tokens)


def _timing(growing: GrowingReply) -> Timing:
    thought = sum(part.seconds for part in growing.parts() if isinstance(part, ReasoningPart))
    return Timing(growing.first_token_s or 0.0, thought, growing.at_s, growing.tokens_per_s)
