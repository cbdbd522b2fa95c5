"""What went wrong with a server, for a person."""

import json
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import openai

from qwenchat.chat.errors import (
    ModelNotFound,
    PromptTooLong,
    QwenchatError,
    ServerBusy,
    ServerError,
    ServerFaulty,
    ServerRefused,
    ServerSilent,
    ServerUnreachable,
)
from qwenchat.chat.text import safe, safe_line
from qwenchat.engine.remote.stream import ErrorReported, NotAReply
from qwenchat.engine.remote.words import words_of
from qwenchat.i18n.texts import say

LONGEST_READ, LONGEST = 20_000, 300
"""Characters of a server's own words that are looked at, and shown."""
_TOO_LONG = re.compile(
    r"context[ _](?:length|size|window|limit)|too many tokens|maximum.{0,20}(?:length|tokens)"
    r"|(?:prompt|input|request|messages?|conversation|payload).{0,12} too (?:long|large)|上下文长度|输入过长",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(r"\bmodel\b.{0,100}(?:not (?:be )?found|not exist)|no such model|unknown model", re.IGNORECASE)
_NO_KEY = re.compile(
    r"(?:invalid|incorrect|missing|no|wrong|expired)\b.{0,20}\b(?:api[ _-]?key|credentials)|unauthori[sz]ed",
    re.IGNORECASE,
)

_SAYING = frozenset({0, 400, 422, 500})
"""Statuses that say nothing, so that the words count."""
_AFTER_CONNECTING = {
    "ReadError",
    "WriteError",
    "CloseError",
    "RemoteProtocolError",
    "LocalProtocolError",
    "DecodingError",
}
"""What the HTTP library, of which there are two, calls the faults of a connection that was there."""


class ConnectionLost(ServerUnreachable):
    """The connection broke off; before the first token one may ask again."""


class NothingAnswers(ConnectionLost):
    """There was no connection at all."""


def typed(error: Exception, host: str, model: str, url: str, masked: Callable[[str], str]) -> Exception:
    """`error` as one of ours, if a server can cause it; the server's words in it are `masked`."""
    match error:
        case QwenchatError():
            return error
        case openai.APITimeoutError() | TimeoutError():
            return silent(host)
        case openai.APIConnectionError():
            return _connection(error, host)
        case openai.APIStatusError():
            return _Status(error.status_code, _shown(words_of(error.body), masked), host).typed(model, url)
        case ErrorReported():
            return _Status(error.status, _shown(words_of(error.body), masked), host).typed(model, url)
        case (
            NotAReply()
            | json.JSONDecodeError()
            | UnicodeDecodeError()
            | openai.OpenAIError()
            | TypeError()
            | AttributeError()
            | RecursionError()
        ):
            return garbled(host)
        case OSError():
            return interrupted(host)
    # OpenAI's client lets through what its HTTP library raises while a reply streams.
    if type(error).__module__.startswith("http"):
        return interrupted(host)
    return garbled(host) if masked(str(error)) != str(error) else error


def interrupted(host: str, begun: bool = True) -> ConnectionLost:
    """The connection ended in the middle of a reply, or before it had `begun`."""
    if not begun:
        return ConnectionLost(
            say("The connection to {host} broke off before the first word.", host=host),
            say("The server may have crashed; its log says more."),
        )
    return ConnectionLost(say("The connection to {host} broke off.", host=host), say("What came is kept. Ask again."))


def filtered(host: str, reason: str) -> ServerFaulty:
    """The server ended the reply, and neither the model nor the user did."""
    reason = safe_line(reason, 100)
    return ServerFaulty(
        say("{host} ended the reply itself: {reason}.", host=host, reason=reason),
        say("What came is kept. Ask again, or in other words."),
    )


def empty(host: str, reason: str, *, tools: bool, thought: bool) -> ServerFaulty:
    """The reply ended, and there is nothing in it, or nothing but a thought."""
    if tools:
        remedy = say("Perhaps it is a call of a tool that the server could not read. Ask again.")
    else:
        remedy = say("Ask again.")
    reason = safe_line(reason, 100) or "-"
    if thought:
        return ServerFaulty(say("{host} sent a thought and no answer ({reason}).", host=host, reason=reason), remedy)
    return ServerFaulty(say("{host} sent an empty reply ({reason}).", host=host, reason=reason), remedy)


def silent(host: str) -> ServerError:
    """The server said nothing for longer than the user has patience."""
    return ServerSilent(
        say("{host} sent nothing for too long.", host=host),
        say("What came is kept; patience_s in [servers.NAME] allows more time."),
    )


def garbled(host: str) -> ServerError:
    """What came is no chat completion."""
    return ServerFaulty(
        say("{host} sent something that is no chat completion.", host=host),
        say("Check the address: it usually ends in /v1."),
    )


def _connection(error: Exception, host: str) -> ServerError:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLError) or "CERTIFICATE" in str(cause) for cause in causes):
        return ServerUnreachable(
            say("The certificate of {host} is not trusted.", host=host),
            say("If it is yours, name its authority: ca_file in [servers.NAME]."),
        )
    if _AFTER_CONNECTING & {type(cause).__name__ for cause in causes}:
        return interrupted(host, begun=False)
    return NothingAnswers(
        say("Nothing answers at {host}.", host=host), say("Is the server running, and the address right?")
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@dataclass(frozen=True, slots=True)
class _Status:
    """An error that a server answers with, also inside of a reply."""

    code: int
    said: str
    host: str

    def typed(self, model: str, url: str) -> QwenchatError:
        """The error in words; `url` is where the chat should be."""
        host, said = self.host, self.said
        match self.code:
            case code if code in (401, 403) or (code in _SAYING and _NO_KEY.search(said)):
                return ServerRefused(
                    say("{host} does not accept the key, or wants one.", host=host),
                    say("Set key_env or key_file in [servers.NAME]."),
                )
            case code if code in (404, 405) or (code in _SAYING and _NO_MODEL.search(said)):
                return ModelNotFound(
                    say(
                        "{host} has no model {model}, or no chat at {url}.", host=host, model=safe_line(model), url=url
                    ),
                    say("`qwenchat models --server` lists what the server has."),
                )
            case 429:
                return ServerBusy(
                    say("{host} has too much to do: {error}", host=host, error=said), say("Try again later.")
                )
            case code if 300 <= code < 400:
                return ServerFaulty(
                    say("{host} sends on to another address; nothing was sent there.", host=host),
                    say("Use that address itself, if you trust it."),
                )
            case 0 | 400 | 413 if _TOO_LONG.search(said):
                return _TooLongForServer(host, said)
            case 0:
                return ServerFaulty(say("{host} reports: {error}", host=host, error=said), say("Try again."))
            case code if not said:
                return ServerFaulty(
                    say("{host} answered with error {code}.", host=host, code=code),
                    say("The server may have crashed; its log says more."),
                )
            case code:
                return ServerFaulty(
                    say("{host} answered with error {code}: {error}", host=host, code=code, error=said),
                    say("Try again."),
                )


class _TooLongForServer(ServerFaulty, PromptTooLong):
    """The server says that the conversation does not fit its context window."""

    def __init__(self, host: str, said: str) -> None:
        ServerFaulty.__init__(
            self,
            say("The conversation is too long for {host}: {error}", host=host, error=said),
            say("Begin a new one, or let the server have a larger context window."),
        )


def _shown(words: str, masked: Callable[[str], str]) -> str:
    """A server's words as a sentence for a person: masked first, since marks of what is invisible would stand between
    the letters of a key, and cut last."""
    shown = safe_line(safe(masked(words[:LONGEST_READ])), LONGEST).strip()
    return f"{shown}." if shown and shown[-1] not in ".!?…。！？" else shown
