"""Which addresses of the network may be fetched from: those of the internet, unless the user allows others."""

import ipaddress
import socket

from qwenchat.chat.errors import ToolFailed, ToolRefused
from qwenchat.i18n.texts import say

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that stand for IPv4 ones."""


def addresses_of(host: str, port: int, *, private: bool) -> list[str]:
    """The addresses of a host, all of them looked at; connect to one of these, not to the name, which may change.

    Raises ToolRefused when one of them is private and that is not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ToolFailed(say("{host} cannot be found.", host=host)) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not private:
        for address in addresses:
            if not is_public(address):
                raise ToolRefused(
                    say("{host} is on this machine or the network around it.", host=host),
                    say("The user can allow that in config.toml: [tools] private_addresses = true."),
                )
    return addresses


def is_public(address: str) -> bool:
    """Whether an address is one of the internet, also behind the ways in which IPv6 hides one of IPv4."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast
