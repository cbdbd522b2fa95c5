"""Addresses of servers as people type them."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server's API begins."""

    base: str
    """What OpenAI's client calls the base URL: "http://localhost:8000/v1"."""
    root: str
    """The same without "/v1", where servers have what is theirs alone."""
    host: str
    """Host and port, for people."""
    port: int
    here: bool
    """Whether it is this machine."""
    encrypted: bool

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read what is sent."""
        return self.here or self.encrypted


def address_of(typed: str) -> Address:
    """The address that was typed: scheme and "/v1" may be left out. Raises ConfigInvalid."""
    text = typed.strip()
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        host, port = url.hostname or "", url.port
    except ValueError:
        host, port, url = "", None, urlsplit("")
    if not host or url.scheme not in ("http", "https") or not text.isprintable() or " " in text:
        raise not_an_address(text)
    if url.username or url.password or url.query or url.fragment:
        raise ConfigInvalid(
            say("The address of {host} holds more than a host and a path.", host=safe_line(host)),
            say("A key belongs into an environment variable or a file: key_env, key_file."),
        )
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    path = url.path.rstrip("/")
    root = f"{url.scheme}://{place}{path.removesuffix('/v1')}"
    usual = 443 if url.scheme == "https" else 80
    return Address(f"{root}/v1", root, place, port or usual, _is_here(host), url.scheme == "https")


def not_an_address(typed: str) -> ConfigInvalid:
    """What is wrong with such an address."""
    return ConfigInvalid(
        say("{address} is no address of a server.", address=safe_line(repr(typed), 200)),
        say("Write it as http://localhost:8000/v1."),
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
