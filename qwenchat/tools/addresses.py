"""Which addresses of the network may be fetched from: those of the internet, unless the user allows others.

The ranges are those of IANA's registries of special-purpose addresses for IPv4 and IPv6, as of 2025, and not those that
the running Python knows: what is listed there is no host of the internet.
"""

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

from qwenchat.chat.errors import ToolFailed, ToolRefused
from qwenchat.i18n.texts import say

_SPECIAL_IPV4 = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # behind a provider's translation
            "127.0.0.0/8",  # this machine
            "169.254.0.0/16",  # link-local, and the metadata of clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # multicast tunnels
            "192.88.99.0/24",  # former relays of 6to4
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_GLOBAL_IPV6 = IPv6Network("2000::/3")
"""All that was ever given out; what lies outside is special or nobody's."""
_SPECIAL_IPV6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
_IPV4_AT_THE_END = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")
"""IPv6 addresses that stand for IPv4 ones: mapped, and translated by the network."""
_6TO4 = IPv6Network("2002::/16")
_ISATAP = 0x5EFE
"""Before an IPv4 address at the end: one that is reached through a tunnel of the network around."""


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
    """Whether an address is one of the internet, also behind the ways in which IPv6 hides one of IPv4.

    One with a zone is not, and neither is any spelling that `ipaddress` does not read.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _SPECIAL_IPV4)
    return ip.scope_id is None and _is_public_ipv6(ip)


def _is_public_ipv6(ip: IPv6Address) -> bool:
    number = int(ip)
    if any(ip in network for network in _IPV4_AT_THE_END):
        return is_public(str(IPv4Address(number & 0xFFFFFFFF)))
    if ip in _6TO4:
        return is_public(str(IPv4Address(number >> 80 & 0xFFFFFFFF)))
    if (number >> 32) & 0xFFFF == _ISATAP and not is_public(str(IPv4Address(number & 0xFFFFFFFF))):
        return False
    return ip in _GLOBAL_IPV6 and not any(ip in network for network in _SPECIAL_IPV6)
