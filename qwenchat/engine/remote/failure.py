"""What went wrong with a server, for a person."""

import json
import re
import ssl
from collections.abc import Callable, Iterator

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
    ToolsRefused,
)
from qwenchat.chat.text import safe, safe_line
from qwenchat.i18n.texts import say

LONGEST_READ, LONGEST = 20_000, 300
"""Characters of a server's own words that are looked at, and shown."""
_TOO_LONG = re.compile(r"context (?:length|size|window)|too many tokens|maximum.{0,20}(?:length|tokens)", re.IGNORECASE)
_NO_TOOLS = re.compile(r"tool.{0,40}\b(?:requires?|needs?)\b|not support (?:\w+ ){0,2}tools?\b", re.IGNORECASE)


class BrokenOff(ServerUnreachable):
    """The connection broke off; before the first token one may ask again."""


def typed(error: Exception, host: str, model: str, masked: Callable[[str], str]) -> Exception:
    """`error` as one of ours, if a server can cause it; the server's words in it are `masked`."""
    match error:
        case QwenchatError():
            return error
        case openai.APITimeoutError() | TimeoutError():
            return silent(host)
        case openai.APIConnectionError():
            return _connection(error, host)
        case openai.APIStatusError():
            return _status(error, host, model, masked)
        case openai.APIError():
            said = _shown(error.message, masked)
            return ServerFaulty(say("{host} reports: {error}", host=host, error=said), say("Try again."))
        case (
            json.JSONDecodeError()
            | UnicodeDecodeError()
            | openai.OpenAIError()
            | TypeError()
            | AttributeError()
            | RecursionError()
        ):
            return garbled(host)
        case OSError():
            return broken_off(host)
    # OpenAI's client lets through what its HTTP library raises while a reply streams.
    if type(error).__module__.startswith("http"):
        return broken_off(host)
    return garbled(host) if masked(str(error)) != str(error) else error


def broken_off(host: str) -> BrokenOff:
    """The connection ended in the middle of a reply."""
    return BrokenOff(
        say("The connection to {host} broke off.", host=host), say("What came is kept; /retry asks again.")
    )


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
    return BrokenOff(say("Nothing answers at {host}.", host=host), say("Is the server running, and the address right?"))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: openai.APIStatusError, host: str, model: str, masked: Callable[[str], str]) -> QwenchatError:
    said = _shown(_words(error), masked)
    match error.status_code:
        case 401 | 403:
            return ServerRefused(
                say("{host} does not accept the key, or wants one.", host=host),
                say("Set key_env or key_file in [servers.NAME]."),
            )
        case 404:
            return ModelNotFound(
                say("{host} has no model {model}, or no chat at this address.", host=host, model=safe_line(model)),
                say("`qwenchat models --server` lists what it has."),
            )
        case 429:
            return ServerBusy(say("{host} has too much to do: {error}", host=host, error=said), say("Try again later."))
        case code if 300 <= code < 400:
            return ServerFaulty(
                say("{host} sends on to another address; nothing was sent there.", host=host),
                say("Use that address itself, if you trust it."),
            )
        case 400 | 413 if _TOO_LONG.search(said):
            return _TooLongForServer(host, said)
        case 400 | 422 | 500 | 501 if _NO_TOOLS.search(said):
            return ToolsRefused(
                say("{host} lets this model call no tools: {error}", host=host, error=said),
                say("/retry asks again without them."),
            )
        case code:
            return ServerFaulty(
                say("{host} answered with error {code}: {error}", host=host, code=code, error=said), say("Try again.")
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
    """A server's words for a person: cleaned first, then masked, and cut last."""
    return safe_line(masked(safe(words[:LONGEST_READ])), LONGEST)


def _words(error: openai.APIStatusError) -> str:
    """The server's own words about it, if it has any that are not a page of HTML."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        message = inner.get("message", inner.get("detail", "")) if isinstance(inner, dict) else inner
        return str(message)
    return "" if isinstance(body, str) and "<" in body[:200] else str(body or "")
