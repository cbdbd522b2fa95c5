"""The remote engine: a model behind an OpenAI-compatible address, behind the `Engine` protocol."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from qwenchat.chat.engine_commands import LoadModel, Prefill, ScoreReply, StartTurn
from qwenchat.chat.errors import EngineFailed, PromptTooLong, ServerError, ServerFaulty
from qwenchat.chat.events import (
    DraftCounted,
    HistoryTrimmed,
    LoadProgressed,
    ModelLearned,
    TokensScored,
    TurnEvent,
    TurnFinished,
)
from qwenchat.chat.messages import Message, Role, TextPart, kept_from
from qwenchat.chat.provenance import FinishReason, ModelInfo, ThinkingSupport
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.text import safe_line
from qwenchat.engine.base import Stopped, StopSignal, TurnSignals
from qwenchat.engine.remote.answer_schema import mismatch
from qwenchat.engine.remote.connection import ServerConnection
from qwenchat.engine.remote.exchange import Exchange
from qwenchat.engine.remote.failure import empty, filtered
from qwenchat.engine.remote.listing import chosen, listing_for
from qwenchat.engine.remote.model_names import has_soft_switch
from qwenchat.engine.remote.offer import ServedModel
from qwenchat.engine.remote.probe import Probe
from qwenchat.engine.remote.reply import StreamedReply
from qwenchat.engine.remote.request import accepted, body_of, tokens_at_least
from qwenchat.engine.remote.request_format import ThinkingControl
from qwenchat.engine.remote.servers.kind import ServerKind
from qwenchat.engine.remote.servers.registry import kind_of
from qwenchat.engine.remote.written_calls import with_calls
from qwenchat.engine.text_gate import gated
from qwenchat.i18n.texts import say

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Served:
    exchange: Exchange
    model: ModelInfo
    offer: ServedModel
    kind: ServerKind
    known: ThinkingSupport | None
    """Which switch of thinking the model has; None where it is tried."""


class RemoteEngine:
    """Asks one server for one model."""

    def __init__(self) -> None:
        self._served: _Served | None = None

    def load(self, command: LoadModel, progress: Callable[[LoadProgressed], None], stop: StopSignal) -> ModelInfo:
        """Find out what the server is and has. See `Engine.load`."""
        self.close()
        if command.server is None:
            raise EngineFailed(say("No server was named."), say("Choose one."))
        started = time.perf_counter()
        connection = ServerConnection(command.server)
        host = command.server.name or connection.address.host
        progress(LoadProgressed(say("asking {server}", server=host)))
        try:
            asked = command.name or command.server.model
            listing = listing_for(connection, asked, stop.is_set, lambda: progress(_loading(host)))
            offer = chosen(listing, asked, host)
            probe = Probe(connection, stop.is_set)
            kind = kind_of(probe, listing.owner)
            if kind.loads_on_question and command.server.context is None:
                progress(_loading(host, offer.title))
            window = _window(kind, probe, offer)
            can = kind.abilities(probe, offer)
        except BaseException:
            connection.close()
            raise
        window = min(window, command.context_window or window)
        known = command.server.thinking or can.thinking
        model = ModelInfo(
            name=offer.title,
            device="",
            server=host,
            context_window=window,
            thinking=_support(known, kind, offer),
            tools=can.tools,
            load_s=time.perf_counter() - started,
            reason=_notice(kind, window, connection),
        )
        log.info("%s is %s", connection.address.host, type(kind).__name__)
        self._served = _Served(Exchange(connection, offer.name, host), model, offer, kind, known)
        return model

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        """See `Engine.generate`. The server's key is in none of the texts."""
        served = self._served
        if served is None:
            raise EngineFailed(say("No model is loaded."), say("Choose one."))
        events = self._answered(served, command, signals)
        if command.schema is not None:
            events = _checked(events, command.schema)
        events = gated(events, served.exchange.connection.redaction.stream)
        yield from with_calls(events, command.tools) if command.tools else events

    def _answered(self, served: _Served, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        if command.begun.thought or (command.begun.answer and served.kind.request.continues is None):
            raise ServerError(say("This server cannot go on with a reply."), say("Ask again for it."))
        messages, left_out = fitted(command.messages, served.model.context_window)
        if left_out:
            yield HistoryTrimmed(command.turn, left_out)
        command = replace(command, messages=messages)
        support = served.model.thinking
        never = served.known is ThinkingSupport.NONE
        turned_off = support is ThinkingSupport.SWITCHED and not command.thinking
        reply = StreamedReply(
            command.turn,
            thinks=not never and not turned_off,
            switched_off=never or turned_off,
        )
        yield from self._without_effect(served, command)
        try:
            yield from self._stream(served, command, reply, signals)
            if reply.stats.thinking and signals.wants_answer():
                yield from reply.answer_instead()
                yield from self._stream(served, replace(command, thinking=False), reply, signals)
        except Stopped:
            yield from reply.end(stopped=True)
            return
        except Exception:
            yield from reply.rest()
            raise
        yield from reply.rest()
        host, mask = served.exchange.connection.address.host, served.exchange.connection.redaction.masked
        if reply.cut_short:
            raise filtered(host, mask(reply.said_reason))
        if reply.empty and not command.begun.answer:
            raise empty(host, mask(reply.said_reason), tools=bool(command.tools), thought=reply.thought)
        yield from self._learned(served, command, reply)
        yield from reply.end(stopped=False)

    def _without_effect(self, served: _Served, command: StartTurn) -> Iterator[TurnEvent]:
        """What was set for the turn and has no meaning there, said once."""
        thinks = command.thinking and served.model.thinking is not ThinkingSupport.NONE
        if thinks and command.thinking_budget is not None and served.kind.request.budget is None:
            text = say("{server} knows no thinking budget: thoughts may be longer.", server=served.model.server)
            yield from served.exchange.notices(command.turn, text)
        if command.sampling.seed is not None and not served.kind.keeps_seed:
            text = say("{server} may give another reply for the same seed.", server=served.model.server)
            yield from served.exchange.notices(command.turn, text)
        if not command.thinking and served.model.thinking is ThinkingSupport.ALWAYS:
            text = say("{model} has no switch of thinking here, and may think.", model=served.model.name)
            yield from served.exchange.notices(command.turn, text)

    def _learned(self, served: _Served, command: StartTurn, reply: StreamedReply) -> Iterator[TurnEvent]:
        """What the reply shows of the model, and what can be asked now that it is loaded."""
        model, turn = served.model, command.turn
        if not model.context_window:
            probe = Probe(served.exchange.connection, lambda: False)
            model = replace(model, context_window=_window(served.kind, probe, served.offer))
        if "tools" in served.exchange.adaptation.left_out:
            model = replace(model, tools=False)
        tried = served.known is None and model.thinking is ThinkingSupport.SWITCHED and not command.begun.answer
        if tried and command.thinking and not reply.thought:
            text = say("{model} was asked to think and did not; perhaps it cannot.", model=model.name)
            yield from served.exchange.notices(turn, text)
        elif tried and not command.thinking and reply.thought:
            text = say("{model} thinks although it was asked not to; perhaps it has no switch.", model=model.name)
            yield from served.exchange.notices(turn, text)
        if model != served.model:
            served.model = model
            yield ModelLearned(turn, model)

    def count_tokens(self, command: Prefill, stop: StopSignal) -> DraftCounted | None:
        """Only the server knows its tokens."""
        return None

    def read_ahead(self, command: Prefill, stop: StopSignal) -> None:
        """A server reads when it is asked, and keeps what it read by itself."""

    def score(self, command: ScoreReply, stop: StopSignal) -> Iterator[TokensScored]:
        """A server does not report this of a reply that is there."""
        raise ServerError(
            say("A server does not report how sure its model is of a reply."), say("A model on this machine does: F3.")
        )

    def close(self) -> None:
        """See `Engine.close`."""
        if self._served is not None:
            self._served.exchange.connection.close()
        self._served = None

    def _stream(
        self, served: _Served, command: StartTurn, reply: StreamedReply, signals: TurnSignals
    ) -> Iterator[TurnEvent]:
        """The events of one request. Raises Stopped."""
        model, format = served.model, served.kind.request
        soft = served.known is ThinkingSupport.SWITCHED or format.switch is not ThinkingControl.SOFT
        support = model.thinking if soft else ThinkingSupport.NONE
        body = body_of(command, format, support, model.context_window, model.server)
        report = partial(accepted, command, format)
        yield from served.exchange.stream(body, reply, signals, report)


def _checked(events: Iterator[TurnEvent], schema: str) -> Iterator[TurnEvent]:
    """The events of a reply, which fails where its answer does not fit: some servers overlook the schema."""
    growing = GrowingReply()
    for event in events:
        if isinstance(event, TurnFinished) and event.reason is not FinishReason.TOOL_CALLS:
            answer = "".join(part.text for part in growing.parts() if isinstance(part, TextPart))
            if problem := mismatch(answer, schema):
                raise ServerFaulty(
                    say("The answer does not fit the schema: {problem}", problem=safe_line(problem, 300)),
                    say("The server may not keep to schemas."),
                )
        growing.add(event)
        yield event


def fitted(messages: tuple[Message, ...], window: int) -> tuple[tuple[Message, ...], int]:
    """The messages that fit a window with a quarter of it left for the reply, and how many were left out.

    The count is an estimate below the server's own, so only what surely does not fit is left out, a quarter of the room
    at once: the next turns then begin alike, and the server's prefix cache serves them. The system prompt in force and
    the newest message stay. Raises PromptTooLong when these alone do not fit.
    """
    if not window:
        return messages, 0
    room = window - min(window // 4, 4096)
    tokens = tokens_at_least(messages)
    if tokens <= room:
        return messages, 0
    quarter = max(1, room // 4)
    starts = [at for at, message in enumerate(messages) if at and message.role is Role.USER]
    shorter = [kept_from(messages, start) for start in starts] or [list(messages)]
    counts = [tokens_at_least(kept) for kept in shorter]
    for most in (tokens - -(-(tokens - room) // quarter) * quarter, room, window):
        for kept, count in zip(shorter, counts, strict=True):
            if count <= most:
                return tuple(kept), len(messages) - len(kept)
    raise PromptTooLong(counts[-1], window)


def _loading(server: str, model: str = "") -> LoadProgressed:
    if not model:
        return LoadProgressed(say("waiting until {server} has loaded its model", server=server))
    return LoadProgressed(say("waiting until {server} has loaded {model}", server=server, model=model))


def _window(kind: ServerKind, probe: Probe, offer: ServedModel) -> int:
    """The context in tokens: what the profile says counts more than what the server does; 0 if neither says."""
    said = probe.server.context
    return kind.context_window(probe, offer) if said is None else said


def _support(known: ThinkingSupport | None, kind: ServerKind, offer: ServedModel) -> ThinkingSupport:
    """The switch that the user has. One that is not known is tried where that can do no harm."""
    soft = kind.request.switch is ThinkingControl.SOFT
    if known is ThinkingSupport.SWITCHED and soft and not has_soft_switch(offer):
        return ThinkingSupport.ALWAYS
    if known is not None:
        return known
    return ThinkingSupport.NONE if soft else ThinkingSupport.SWITCHED


def _notice(kind: ServerKind, window: int, connection: ServerConnection) -> str:
    """What the reader should know about this server."""
    way = "" if connection.address.private else say("The way to {host} is not encrypted.", host=connection.address.host)
    return " ".join(filter(None, (kind.notice(window), way)))
