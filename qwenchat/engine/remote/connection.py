"""The way to one server: a client that sends the key to its address alone."""

import ssl
from collections.abc import Callable
from typing import Any

import openai

from qwenchat.chat.characters import well_formed_values
from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.redaction import Redaction
from qwenchat.chat.server_profile import Server
from qwenchat.chat.text import safe_line
from qwenchat.engine.remote.address import CHAT, address_of, not_an_address
from qwenchat.engine.remote.cancellable_loop import CancellableLoop
from qwenchat.engine.remote.failure import typed
from qwenchat.engine.remote.key import key_of
from qwenchat.i18n.texts import say
from qwenchat.system.regular_file import expanded, open_regular

Unwanted = Callable[[], bool]
"""Whether what is asked is no longer wanted."""
CONNECT_S = 10.0
"""How long a server may take to accept a connection."""
QUESTION_S = 5.0
"""How long it may take to answer a question about itself."""
RETRIES = 2
"""How often a request is sent again that the server did not begin to answer; Retry-After is kept to."""


class ServerConnection:
    """A client for one server, used from one thread."""

    def __init__(self, server: Server) -> None:
        """Raises ConfigInvalid for an address, key or certificate that cannot be used."""
        self.address = address_of(server.address)
        self.server = server
        key = key_of(server)
        self.redaction = Redaction(key)
        self.waiting = CancellableLoop()
        timeout = openai.Timeout(None, connect=CONNECT_S)
        certificates = _certificates(server)
        try:
            # No redirect shall see the key or the conversation, and no proxy what stays on this machine.
            http = openai.DefaultAsyncHttpxClient(
                follow_redirects=False, trust_env=not self.address.here, timeout=timeout, verify=certificates
            )
        except (ImportError, ValueError) as error:
            raise ConfigInvalid(
                say("The proxy that the environment names cannot be used: {error}", error=safe_line(str(error), 300)),
                say("Name one whose address begins with http://, or none: NO_PROXY."),
            ) from error
        try:
            self.client = openai.AsyncOpenAI(
                api_key=key, base_url=self.address.base, timeout=timeout, max_retries=RETRIES, http_client=http,
                organization="", project="",
            )  # fmt: skip
        except Exception as error:  # the HTTP library has a class of its own for it
            self.waiting.close()
            raise not_an_address(server.address) from error

    def question(
        self, url: str, unwanted: Unwanted, body: dict[str, Any] | None = None, within_s: float | None = None
    ) -> Any:
        """The JSON that the server has at `url`, None where it has none, or not soon enough. Raises Stopped."""

        async def asked() -> Any:
            options: Any = {"timeout": within_s or QUESTION_S, "max_retries": 0}
            if body is None:
                return await self.client.get(url, cast_to=object, options=options)
            return await self.client.post(url, cast_to=object, body=body, options=options)

        try:
            return self.received(self.waiting.until_done(asked(), unwanted))
        except (openai.OpenAIError, ValueError, RecursionError):
            return None

    def typed(self, error: Exception, model: str = "") -> Exception:
        """`error` in words, without the key."""
        return typed(error, self.address.host, model, f"{self.address.base}{CHAT}", self.redaction.masked)

    def received(self, answer: Any) -> Any:
        """JSON that the server sent, with whole characters and without the key."""
        return self.redaction.values(well_formed_values(answer))

    def close(self) -> None:
        """Give the connections back."""
        self.waiting.until_done(self.client.close(), lambda: False)
        self.waiting.close()


def _certificates(server: Server) -> ssl.SSLContext | bool:
    if server.ca_file is None:
        return True
    try:
        context = ssl.create_default_context()
        file = expanded(server.ca_file)
        open_regular(file).close()  # a pipe or a device would be read for ever
        context.load_verify_locations(file)
    except OSError as error:
        reason = safe_line(error.strerror or str(error))
        raise ConfigInvalid(
            say("The certificates in {file} cannot be used: {error}.", file=safe_line(server.ca_file), error=reason)
        ) from error
    return context
