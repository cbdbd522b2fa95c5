"""The questions of a saved conversation asked again, each with the history, the seed and the settings of its reply."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import assert_never

from qwenchat.chat.engine_commands import LoadModel, StartTurn, Stop
from qwenchat.chat.events import (
    AnswerReclassified,
    Channel,
    Event,
    LoadEvent,
    LoadFailed,
    LoadProgressed,
    ModelLoaded,
    ReplyEvent,
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    ToolCalled,
    TurnEnded,
    TurnFailed,
    TurnProgressed,
)
from qwenchat.chat.messages import Message, Role, Status
from qwenchat.chat.provenance import ModelInfo, ThoughtCut
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.thinking import CLOSING, soft_switch_in_force
from qwenchat.chat.timeline import Tick, common_length
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.turn import Turn

PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a new reply parts from the old one, counted from 1."""

    channel: Channel
    character: int
    """Of the thought or the answer: the first that differs."""
    token: int
    """Of the whole new reply, thought included: the one that brought that character, or would have come next."""


@dataclass(frozen=True, slots=True)
class RecordedQuestion:
    """What led to a reply, and the reply itself."""

    history: tuple[Message, ...]
    reply: Message


@dataclass(frozen=True, slots=True)
class RerunResult:
    """A reply and its repetition."""

    old: Message
    new: Message
    ticks: tuple[Tick, ...]
    """When the pieces of the new one came."""
    parts_at: Divergence | None
    """None when they are identical, as far as the old one goes."""

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return self.parts_at is None

    @property
    def partial(self) -> bool:
        """Whether only the beginning could be compared."""
        return RecordedReply.of(self.old).partial


@dataclass(frozen=True, slots=True)
class RecordedReply:
    """What of a reply the model itself said, to be compared."""

    thought: str
    answer: str
    partial: bool
    """Whether the model would have gone on: the reply was stopped or broke off, or the user ended its thought."""

    @classmethod
    def of(cls, reply: Message) -> "RecordedReply":
        """The thought up to where the user ended it, if that happened: nobody knows at which token that was."""
        if reply.provenance is not None and reply.provenance.thought_cut is ThoughtCut.USER:
            return cls(reply.reasoning.rpartition(CLOSING)[0], "", True)
        return cls(reply.reasoning, reply.text, reply.status is not Status.COMPLETE)

    def reached_by(self, said: "_Said") -> bool:
        """Whether a reply that grows has come as far as this one."""
        answered = said.length(Channel.ANSWER)
        if self.answer:
            return answered >= len(self.answer)
        return answered > 0 or said.length(Channel.THOUGHT) >= len(self.thought)


def questions(path: Sequence[Message]) -> list[RecordedQuestion]:
    """The replies that can be asked for again; those that say nothing are left out, since nothing can be compared."""
    found = [RecordedQuestion(tuple(path[:at]), reply) for at, reply in enumerate(path) if reply.role is Role.ASSISTANT]
    return [question for question in found if _said_something(RecordedReply.of(question.reply))]


def _said_something(recorded: RecordedReply) -> bool:
    return bool(recorded.thought or recorded.answer)


class Rerun:
    """Asks one question after another; used from one thread, which waits for each reply."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._model: ModelInfo | None = None
        self._turns = 0

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], object]) -> ModelInfo:
        """Make the model ready; raises the ModelError when it cannot be."""
        self._worker.send(command)
        while True:
            for event in self._events():
                if not isinstance(event, LoadEvent):
                    continue
                match event:
                    case LoadProgressed():
                        progress(event)
                    case LoadFailed(error):
                        raise error
                    case ModelLoaded(model):
                        self._model = model
                        return model
                    case _:
                        assert_never(event)

    def ask(self, question: RecordedQuestion, progress: Callable[[int], object] = lambda tokens: None) -> RerunResult:
        """Ask again; `progress` is given how many tokens have come. Raises the QwenchatError of a turn that failed.

        Where the old reply is only partial, the new one is stopped as soon as it has come as far.
        """
        self._turns += 1
        turn, said = Turn(self._turns, question.reply.parent, time.monotonic()), _Said()
        recorded = RecordedReply.of(question.reply)
        self._worker.send(self._command(turn, question))
        while True:
            for event in self._events():
                if isinstance(event, TurnFailed):
                    raise event.error
                if isinstance(event, TurnEnded):
                    turn.end(event)
                    new = turn.saved(time.monotonic())
                    parts_at = said.parts_from(recorded, new)
                    return RerunResult(question.reply, new, tuple(turn.growing.timeline), parts_at)
                if not isinstance(event, TurnProgressed):
                    continue
                turn.take(event)
                said.take(event)
                progress(said.tokens)
                if recorded.partial and recorded.reached_by(said):
                    self._worker.send(Stop(turn.number))

    def _events(self) -> list[Event]:
        self._worker.events.wait(PATIENCE_S)
        return self._worker.events.drain()

    def _command(self, turn: Turn, question: RecordedQuestion) -> StartTurn:
        made, history = question.reply.provenance, question.history
        hard = soft_switch_in_force(history) is not False if made is None else made.thinking
        return turn.ask(
            history,
            self._model,
            SamplingOverrides() if made is None else SamplingOverrides(**asdict(made.sampling)),
            hard,
            budget=None if made is None else made.thinking_budget,
            tools=() if made is None else made.tools,
        )


def keep(library: Library, conversation: str, leaf: str, repeated: RerunResult) -> None:
    """Save a new reply as a branch beside the old one; the branch that is read stays the one to `leaf`.

    Raises LibraryError.
    """
    library.save(conversation, repeated.new, repeated.ticks)
    library.select(conversation, leaf)


class _Said:
    """What a turn has said, piece by piece, with the tokens it took."""

    def __init__(self) -> None:
        self._pieces: list[TextProduced] = []
        self._characters = dict.fromkeys(Channel, 0)
        self.tokens = 0

    def take(self, event: TurnProgressed) -> None:
        """Take in what happened."""
        if not isinstance(event, ReplyEvent):
            return
        match event:
            case TextProduced():
                self._pieces.append(event)
                self._characters[event.channel] += len(event.text)
                self.tokens += event.tokens
            case AnswerReclassified():
                self._pieces = [replace(piece, channel=Channel.THOUGHT) for piece in self._pieces]
                self._characters = {Channel.THOUGHT: sum(self._characters.values()), Channel.ANSWER: 0}
            case ThoughtStarted() | ThoughtEnded() | ToolCalled():
                pass
            case _:
                assert_never(event)

    def length(self, channel: Channel) -> int:
        """Characters so far."""
        return self._characters[channel]

    def parts_from(self, old: "RecordedReply", new: Message) -> Divergence | None:
        """Where what was said, all in all `new`, is something else than `old`."""
        pairs = [(Channel.THOUGHT, old.thought, new.reasoning, old.partial and not old.answer)]
        if old.answer or not old.partial:
            pairs.append((Channel.ANSWER, old.answer, new.text, old.partial))
        for channel, before, now, open_ended in pairs:
            common = common_length(before, now)
            if common < len(before) or (common < len(now) and not open_ended):
                return Divergence(channel, common + 1, self._token_of(channel, common))
        return None

    def _token_of(self, channel: Channel, character: int) -> int:
        """The number of the token that brought a character, counted from 0 in its channel; past the end, the next."""
        tokens = latest = 0
        for piece in self._pieces:
            tokens += piece.tokens
            if piece.channel is channel:
                latest = tokens
                character -= len(piece.text)
                if character < 0:
                    break
        return latest + (character >= 0)
