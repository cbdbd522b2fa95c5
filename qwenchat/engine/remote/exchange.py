"""One request and its reply: asked again, with less, until the server takes it or nothing is left to try."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import openai

from qwenchat.chat.events import RequestAccepted, ServerNotice, TurnEvent
from qwenchat.engine.base import Stopped, TurnSignals
from qwenchat.engine.remote.adaptation import Adaptation
from qwenchat.engine.remote.connection import RETRIES, ServerConnection
from qwenchat.engine.remote.failure import ConnectionLost, NothingAnswers, garbled, interrupted
from qwenchat.engine.remote.refusal import Refusal
from qwenchat.engine.remote.reply import StreamedReply
from qwenchat.engine.remote.stream import ErrorReported, ReplyStream
from qwenchat.i18n.texts import listed, say

Report = Callable[[Mapping[str, Any]], RequestAccepted]
"""Makes an event of the body that was taken."""
log = logging.getLogger(__name__)
_AGAIN_S = 0.5
"""Before a request is sent a second time; twice that before the third."""
_LONGEST_RETRY_AFTER_S = 60.0
_LOADING_S = 1.0
"""Between two requests while the server loads its model."""
_LOADING = re.compile(
    r"\bloading\b|being loaded|warm(?:ing|s)?[ -]?up|\bstarting\b|not (?:yet )?(?:ready|loaded)|initiali[sz]ing"
    r"|加载中|正在加载",
    re.IGNORECASE,
)
_NOT_LOADING = re.compile(
    r"fail|error|cannot|could not|unable|memory|balanc|not found|too (?:many|much)", re.IGNORECASE
)
"""What is said of a model that will not be there in a while either."""
_MAY_LOAD = frozenset({400, 409, 425, 429, 500, 502, 503, 504})
_REFUSING = frozenset({400, 403, 404, 415, 422, 500, 501})
_BUSY = frozenset({408, 409, 429, 500, 502, 503, 504, 529})


@dataclass(slots=True)
class Exchange:
    """Asks one server for one model. What the server does not take is remembered from turn to turn."""

    connection: ServerConnection
    model: str
    """The server's own name of it."""
    server: str
    """Its name for people."""
    adaptation: Adaptation = field(default_factory=Adaptation)
    said: set[str] = field(default_factory=set)
    """What the user has read already."""

    def notices(self, turn: int, text: str) -> Iterator[TurnEvent]:
        """Say something, once."""
        if text not in self.said:
            self.said.add(text)
            yield ServerNotice(turn, text)

    def stream(
        self, body: Mapping[str, Any], reply: StreamedReply, signals: TurnSignals, report: Report
    ) -> Iterator[TurnEvent]:
        """The events of a reply to `body`, which goes again, changed or not, until a token has come. Raises Stopped."""
        attempts = _Attempts(self.connection.server.patience_s)
        adaptation = self.adaptation
        first: Exception | None = None
        while True:
            sent = adaptation.applied(body)
            try:
                yield from self._once(body, sent, adaptation, reply, signals, report)
                return
            except Stopped:
                raise
            except Exception as error:
                failure = self.connection.typed(error, self.model)
                if reply.stats.begun:
                    raise failure from error
                if isinstance(failure, ConnectionLost) and not isinstance(failure, NothingAnswers):
                    failure = interrupted(self.connection.address.host, begun=False)
                refusal = _refusal(error)
                refused = refusal is not None and refusal.status in _REFUSING and not _is_loading(refusal)
                changed = adaptation.after(refusal, sent) if refusal and refused else None
                if changed is not None and changed != adaptation:
                    log.info("%s refused a request (%s): %s", self.server, refusal and refusal.status, changed)
                    adaptation, first = changed, first or failure
                    continue
                if (pause := attempts.pause(error, failure, refusal)) is None:
                    if isinstance(failure, NothingAnswers) and attempts.interrupted is not None:
                        failure = attempts.interrupted
                    raise (first if refusal and first else failure) from error
                if attempts.loading:
                    text = say(
                        "{server} is loading the model; it is asked again until it is ready.", server=self.server
                    )
                    yield from self.notices(reply.turn, text)
                self.connection.waiting.until_done(asyncio.sleep(pause), signals.is_set)

    def _once(
        self, body: Mapping[str, Any], sent: dict[str, Any], adaptation: Adaptation, reply: StreamedReply,
        signals: TurnSignals, report: Report,
    ) -> Iterator[TurnEvent]:  # fmt: skip
        """One request, until its stream ends or the user wants the answer to begin."""
        waiting, host = self.connection.waiting, self.connection.address.host

        def unwanted() -> bool:
            return signals.is_set() or (reply.stats.thinking and signals.wants_answer())

        response = waiting.until_done(self._asked(sent), signals.is_set)
        stream = ReplyStream(response.aiter_bytes())
        chunks = stream.chunks()
        try:
            first = True
            while (chunk := waiting.until_done(self._next(chunks), unwanted)) is not None:
                if first:
                    first = False
                    accepted = report(sent)
                    reply.budget = accepted.thinking_budget
                    yield from self._accepted(body, sent, adaptation, accepted)
                yield from reply.take(chunk)
        except Stopped:
            if signals.is_set():
                raise
            return
        finally:
            waiting.until_done(_closed(response), lambda: False)
        if reply.reason is None and not stream.done:
            whole = first and "content-length" in response.headers
            raise garbled(host) if whole else interrupted(host, reply.stats.begun)

    def _accepted(
        self, body: Mapping[str, Any], sent: Mapping[str, Any], adaptation: Adaptation, accepted: RequestAccepted
    ) -> Iterator[TurnEvent]:
        """The server takes the request: remember how, and report what it was."""
        before, self.adaptation = self.adaptation, adaptation.kept()
        yield accepted
        for text in _news(self.server, adaptation.news(before) & body.keys()):
            yield from self.notices(accepted.turn, text)
        limit = accepted.sampling.max_tokens
        if "max_tokens" in body and "max_tokens" not in accepted.omitted and limit < body["max_tokens"]:
            text = say("{server} takes no more than {number:,} tokens of reply here.", server=self.server, number=limit)
            yield from self.notices(accepted.turn, text)

    async def _asked(self, sent: Mapping[str, Any]) -> Any:
        """The response whose body is the reply. Raises what OpenAI's client does."""
        extra = {name: value for name, value in sent.items() if name not in ("messages", "stream")}
        async with asyncio.timeout(self.connection.server.patience_s):
            client = self.connection.client.with_options(max_retries=0)
            raw = await client.chat.completions.with_raw_response.create(
                model=self.model, messages=sent["messages"], stream=sent["stream"], extra_body=extra
            )
        response = raw.http_response
        if "html" in response.headers.get("content-type", ""):
            await response.aclose()
            raise garbled(self.connection.address.host)
        return response

    async def _next(self, chunks: AsyncIterator[Any]) -> Any:
        async with asyncio.timeout(self.connection.server.patience_s):
            return await anext(chunks, None)


@dataclass(slots=True)
class _Attempts:
    """Counts how often a request went unanswered."""

    patience_s: float
    made: int = 0
    loading: bool = False
    """Whether the latest answer was that the model is being loaded."""
    interrupted: Exception | None = None
    began: float = field(default_factory=time.monotonic)

    def pause(self, error: Exception, failure: Exception, refusal: Refusal | None) -> float | None:
        """The seconds until the same request goes again; None where it shall not."""
        self.loading = refusal is not None and _is_loading(refusal)
        if self.loading:
            left = self.began + self.patience_s - time.monotonic()
            return min(_LOADING_S, left) if left > 0 else None
        if isinstance(failure, ConnectionLost) and not isinstance(failure, NothingAnswers):
            self.interrupted = self.interrupted or failure
        again = isinstance(failure, ConnectionLost) or (refusal is not None and refusal.status in _BUSY)
        headers = error.response.headers if isinstance(error, openai.APIStatusError) else {}
        if not again or self.made >= RETRIES or headers.get("x-should-retry") == "false":
            return None
        self.made += 1
        wanted = _seconds(headers.get("retry-after"))
        if wanted is not None and wanted > _LONGEST_RETRY_AFTER_S:
            return None
        return _AGAIN_S * self.made if wanted is None else wanted


def _news(server: str, left_out: frozenset[str]) -> Iterator[str]:
    """What a user should know of parameters that a server does not take."""
    if "tools" in left_out:
        yield say("{server} lets this model call no tools; it answers without them.", server=server)
    if "response_format" in left_out:
        yield say("{server} keeps to no schema.", server=server)
    if others := sorted(left_out - {"tools", "response_format"}):
        yield say("Left out, since {server} does not take it: {names}.", server=server, names=listed(others))


def _is_loading(refusal: Refusal) -> bool:
    """Whether the server says that its model will be there in a while."""
    words = refusal.words
    return refusal.status in _MAY_LOAD and bool(_LOADING.search(words)) and not _NOT_LOADING.search(words)


def _refusal(error: Exception) -> Refusal | None:
    match error:
        case openai.APIStatusError():
            return Refusal(error.status_code, error.body)
        case ErrorReported():
            return Refusal(error.status or 400, error.body)
    return None


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e6 else None


async def _closed(response: Any) -> None:
    with suppress(Exception):
        await response.aclose()
