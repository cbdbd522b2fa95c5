"""A reply whose tokens are looked at: how sure the model is of each, as far as that is known."""

from dataclasses import replace
from itertools import takewhile

from qwenchat.chat.calls import balanced
from qwenchat.chat.continuation import NOTHING, written_in
from qwenchat.chat.engine_commands import ScoreReply, StopScoring
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.events import ScoredToken, ScoringEnded, TokensScored
from qwenchat.chat.messages import Role, Status, ToolCallPart
from qwenchat.chat.provenance import FinishReason
from qwenchat.chat.tree import MessageTree
from qwenchat.engine.worker import Worker
from qwenchat.i18n.texts import say


class TokenScores:
    """Holds one reply at a time; what comes of earlier ones is dropped."""

    def __init__(self, worker: Worker) -> None:
        self.tokens: list[ScoredToken] = []
        """Those that are known, from the first on."""
        self.total = 0
        """How many there will be; 0 while that is not known."""
        self.ended = True
        """Whether no more will come."""
        self.error: QwenchatError | None = None
        """Why not all came; None also when the model was needed for something else."""
        self._worker = worker
        self._number = 0

    @property
    def complete(self) -> bool:
        """Whether every token is known."""
        return self.ended and self.error is None and 0 < self.total == len(self.tokens)

    def begin(self, command: ScoreReply) -> None:
        """Ask for the tokens of a reply."""
        self.stop()
        self._number += 1
        self.tokens, self.total, self.ended, self.error = [], 0, False, None
        self._worker.send(replace(command, number=self._number))

    def stop(self) -> None:
        """Look at the reply no more; does nothing when nothing is asked for."""
        if not self.ended:
            self._worker.send(StopScoring(self._number))
            self.ended = True

    def take(self, event: TokensScored | ScoringEnded) -> None:
        """Take in what came."""
        if event.number != self._number or self.ended:
            return
        if isinstance(event, ScoringEnded):
            self.ended, self.error = True, event.error
        else:
            self.total = event.total
            self.tokens += event.tokens


class NoTokens(QwenchatError):
    """A message has nothing that a model could be more or less sure of."""


def scoring_of(tree: MessageTree, message_id: str) -> ScoreReply:
    """The command for a reply, up to the calls of tools in it. Raises NoTokens and MessageNotFound."""
    reply = tree[message_id]
    parts = tuple(takewhile(lambda part: not isinstance(part, ToolCallPart), reply.parts))
    written = written_in(replace(reply, parts=parts))
    if reply.role is not Role.ASSISTANT or reply.status is Status.STREAMING:
        raise NoTokens(say("Only a reply that has ended can be looked at."), say("Choose one."))
    if written is None or written == NOTHING:
        raise NoTokens(say("There are no words in this reply."), say("Choose another."))
    made = reply.provenance
    cut = made is not None and made.finish_reason in (FinishReason.LENGTH, FinishReason.REPETITION)
    ended = reply.status is Status.COMPLETE and not cut and parts == reply.parts and not written.thinking
    history = balanced(tree.path(reply.parent)) if reply.parent is not None else ()
    return ScoreReply(history, written, ended, made.tools if made is not None else ())
