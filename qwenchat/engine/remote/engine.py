"""The remote engine: a model behind an OpenAI-compatible address, behind the `Engine` protocol."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import openai

from qwenchat.chat.commands import LoadModel, ReadAhead, ScoreReply, StartTurn
from qwenchat.chat.errors import EngineFailed, PromptTooLong, ServerError
from qwenchat.chat.events import DraftWeighed, HistoryTrimmed, LoadProgressed, TokensScored, TurnEvent
from qwenchat.chat.messages import Message, Role, kept_from
from qwenchat.chat.provenance import ModelInfo, ThinkingSupport
from qwenchat.chat.server_profile import Dialect
from qwenchat.engine.base import Stopped, StopSignal, TurnSignals
from qwenchat.engine.remote import probe
from qwenchat.engine.remote.connection import RETRIES, Connection
from qwenchat.engine.remote.dialect import Speech, speech_of
from qwenchat.engine.remote.failure import BrokenOff, broken_off, garbled
from qwenchat.engine.remote.reply import Reply
from qwenchat.engine.remote.request import Request, request_of, tokens_at_least
from qwenchat.engine.remote.written_calls import with_calls
from qwenchat.engine.text_gate import gated
from qwenchat.i18n.texts import say

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Served:
    connection: Connection
    model: ModelInfo
    asked_for: str
    """The server's own name of the model."""
    speech: Speech
    refused: set[str] = field(default_factory=set)
    """Parameters that this server was asked for once and did not take."""


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
        connection = Connection(command.server)
        host = command.server.name or connection.address.host
        progress(LoadProgressed(say("asking {server}", server=host)))
        try:
            asked = command.name or command.server.model
            offered, said = probe.offers(connection, asked is not None, stop.is_set)
            offer = probe.chosen(offered, asked, host)
            dialect = probe.dialect_of(connection, said, stop.is_set)
            if dialect is Dialect.OLLAMA:
                progress(
                    LoadProgressed(say("waiting until {server} has loaded {model}", server=host, model=offer.title))
                )
            window = probe.window_of(connection, offer, dialect, stop.is_set)
            thinking, tools = probe.abilities_of(connection, offer, dialect, stop.is_set)
        except BaseException:
            connection.close()
            raise
        window = min(window, command.context_window or window)
        model = ModelInfo(
            name=offer.title,
            device="",
            server=host,
            context_window=window,
            thinking=thinking,
            tools=tools,
            load_s=time.perf_counter() - started,
            reason=_notice(dialect, window, connection),
        )
        log.info("%s speaks %s", connection.address.host, dialect)
        self._served = _Served(connection, model, offer.name, speech_of(dialect))
        return model

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        """See `Engine.generate`. The server's key is in none of the texts."""
        served = self._served
        if served is None:
            raise EngineFailed(say("No model is loaded."), say("Choose one."))
        events = gated(self._answered(served, command, signals), served.connection.redaction.stream)
        yield from with_calls(events, command.tools) if command.tools else events

    def _answered(self, served: _Served, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        if command.begun.thought or (command.begun.answer and served.speech.continues is None):
            raise ServerError(say("This server cannot go on with a reply."), say("/retry asks again for it."))
        messages, left_out = fitted(command.messages, served.model.context_window)
        if left_out:
            yield HistoryTrimmed(command.turn, left_out)
        command = replace(command, messages=messages)
        support = served.model.thinking
        reply = Reply(
            command.turn,
            thinks=command.thinking and support is not ThinkingSupport.NONE,
            switched_off=not command.thinking and support is ThinkingSupport.SWITCHED,
        )
        try:
            yield from self._stream(served, command, reply, signals)
            if reply.tally.thinking and signals.wants_answer():
                yield from reply.answer_instead()
                yield from self._stream(served, replace(command, thinking=False), reply, signals)
        except Stopped:
            yield from reply.end(stopped=True)
        else:
            yield from reply.end(stopped=False)

    def weigh(self, command: ReadAhead, stop: StopSignal) -> DraftWeighed | None:
        """Only the server knows its tokens."""
        return None

    def read_ahead(self, command: ReadAhead, stop: StopSignal) -> None:
        """A server reads when it is asked, and keeps what it read by itself."""

    def score(self, command: ScoreReply, stop: StopSignal) -> Iterator[TokensScored]:
        """A server does not tell this of a reply that is there."""
        raise ServerError(
            say("A server does not tell how sure its model is of a reply."), say("A model on this machine does: F3.")
        )

    def close(self) -> None:
        """See `Engine.close`."""
        if self._served is not None:
            self._served.connection.close()
        self._served = None

    def _stream(self, served: _Served, command: StartTurn, reply: Reply, signals: TurnSignals) -> Iterator[TurnEvent]:
        """The events of one request; sent again while the connection breaks off before a token came. Raises Stopped."""
        for attempt in range(RETRIES + 1):
            try:
                yield from self._streamed(served, command, reply, signals)
                return
            except Stopped:
                raise
            except Exception as error:
                failure = served.connection.typed(error, served.asked_for)
                if reply.tally.begun or attempt == RETRIES or not isinstance(failure, BrokenOff):
                    raise failure from error
                log.warning("asking %s again: %s", served.connection.address.host, failure)

    def _streamed(self, served: _Served, command: StartTurn, reply: Reply, signals: TurnSignals) -> Iterator[TurnEvent]:
        """One request, until its stream ends or the user wants the answer to begin."""
        waiting, host = served.connection.waiting, served.model.server

        def unwanted() -> bool:
            return signals.is_set() or (reply.tally.thinking and signals.wants_answer())

        chunks = waiting.until_done(self._asked(served, command), signals.is_set)
        try:
            while (chunk := waiting.until_done(_next(chunks, served), unwanted)) is not None:
                yield from reply.take(chunk)
        except Stopped:
            if signals.is_set():
                raise
            return
        finally:
            waiting.until_done(_closed(chunks), lambda: False)
        if reply.reason is None:
            raise broken_off(host) if reply.tally.begun else garbled(host)

    async def _asked(self, served: _Served, command: StartTurn) -> Any:
        """The stream of a reply; a parameter that the server refuses is left out from then on."""
        request = request_of(
            command, served.speech, served.model.thinking, served.model.context_window, served.model.server
        )
        while True:
            extra = {name: value for name, value in request.extra.items() if name not in served.refused}
            try:
                return await _completion(served, request, extra)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refused = {name for name in extra if name in str(error)}
                if not refused:
                    raise
                log.warning("%s does not take %s", served.connection.address.host, ", ".join(sorted(refused)))
                served.refused |= refused


async def _completion(served: _Served, request: Request, extra: dict[str, Any]) -> Any:
    body: dict[str, Any] = {"model": served.asked_for, "messages": request.messages, **request.sampling}
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}, "extra_body": extra}
    async with asyncio.timeout(served.connection.server.patience_s):
        raw = await served.connection.client.chat.completions.with_raw_response.create(**body, **options)
    if "html" in raw.headers.get("content-type", ""):
        raise garbled(served.connection.address.host)
    return raw.parse()


async def _next(chunks: AsyncIterator[Any], served: _Served) -> Any:
    async with asyncio.timeout(served.connection.server.patience_s):
        return await anext(chunks, None)


async def _closed(chunks: Any) -> None:
    with suppress(Exception):
        await chunks.close()


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


def _notice(dialect: Dialect, window: int, connection: Connection) -> str:
    """What the reader should know about this server."""
    notices = []
    if dialect is Dialect.OLLAMA and window <= probe.OLLAMA_WINDOW:
        notices.append(
            say(
                "Ollama gives this model a context of {window:,} tokens and cuts what is longer;"
                " OLLAMA_CONTEXT_LENGTH=32768 in its environment gives it more.",
                window=window,
            )
        )
    if not connection.address.private:
        notices.append(say("The way to {host} is not encrypted.", host=connection.address.host))
    return " ".join(notices)
