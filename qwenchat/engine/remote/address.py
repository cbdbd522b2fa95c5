"""Addresses of servers as people type them."""

import ipaddress
import re
import socket
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say

CHAT = "/chat/completions"
"""Where the chat is, below the base."""
_HERE = ("localhost", "localhost.localdomain", "ip6-localhost", "host.docker.internal", "host.containers.internal")
"""Names of this machine; the last two are what a container calls the one that it runs on."""
_ENDPOINTS = ("models", "completions", "embeddings", "responses", "messages", "chat")
"""What else is below the version of an API."""
_VERSION = re.compile(r"v\d\w*")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server's API begins."""

    base: str
    """What OpenAI's client calls the base URL: "http://localhost:8000/v1"."""
    root: str
    """The same without the version at its end, where servers have what is theirs alone."""
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
    """The address that was typed; scheme and "/v1" may be left out. Raises ConfigInvalid.

    What names a version of its own, or the chat itself, is kept as it is.
    """
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
    if here := is_this_machine(host):
        host = host.removesuffix(".")  # not every system knows "localhost."
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    place = f"{url.scheme}://{place}"
    base, root = _paths(re.sub("/+", "/", url.path).rstrip("/"))
    usual = 443 if url.scheme == "https" else 80
    return Address(place + base, place + root, place.partition("://")[2], port or usual, here, url.scheme == "https")


def _paths(path: str) -> tuple[str, str]:
    """The paths of the API and of what is above its version."""
    base = path.removesuffix(CHAT)
    above, _, last = base.rpartition("/")
    if last in _ENDPOINTS and _VERSION.fullmatch(above.rpartition("/")[2]):
        return _paths(above)
    versions = [part for part in base.split("/") if _VERSION.fullmatch(part)]
    if base == path and not versions:
        return f"{base}/v1", base
    above, _, last = base.rpartition("/")
    return base, above if _VERSION.fullmatch(last) else base


def not_an_address(typed: str) -> ConfigInvalid:
    """What is wrong with such an address."""
    return ConfigInvalid(
        say("{address} is no address of a server.", address=safe_line(repr(typed), 200)),
        say("Write it as http://localhost:8000/v1."),
    )


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine, by any of the ways to write that; no name server is asked."""
    name = host.lower().removesuffix(".")
    if (ip := _ip(name)) is None:
        own = socket.gethostname().lower()
        return name in _HERE or name in (own, own.partition(".")[0]) or name.endswith(".localhost")
    return ip.is_loopback or ip.is_unspecified or _is_own(ip)


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that is written there, also as C's library reads it: 127.1, 0x7f000001, ::ffff:127.0.0.1."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host)) if host[:1].isdigit() and " " not in host else None
        except (OSError, ValueError):
            return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip


def _is_own(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an interface of this machine has that address: only then can a socket be bound to it."""
    if ip.is_multicast or str(ip) == "255.255.255.255":
        return False
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    try:
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as tried:
            tried.bind((str(ip), 0))
    except (OSError, ValueError):
        return False
    return True
