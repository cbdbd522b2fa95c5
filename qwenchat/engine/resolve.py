"""What is meant by the name of a model that is typed: one of this machine, a server, or a model of that server."""

import re
from collections.abc import Mapping
from dataclasses import replace

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.server_profile import Server
from qwenchat.engine.local.catalog import HUB_NAMES

_ADDRESS = re.compile(r"https?://\S+|[\w.-]+:\d{2,5}(/\S*)?")


def resolve_model(typed: str, command: LoadModel, servers: Mapping[str, Server]) -> LoadModel:
    """The load that `typed` asks for, where `command` was the last one; `servers` have the user's names for them.

    A server's name or address may have a model of it behind it. A short name or a path is a model of this machine;
    any other name is one of wherever the last model was.
    """
    place, _, name = typed.partition(" ")
    if place in servers or _ADDRESS.fullmatch(place):
        return replace(command, name=name.strip() or None, server=servers.get(place) or Server(place))
    if typed in (*HUB_NAMES, "smollm2") or typed.startswith(("/", "./", "../", "~")):
        return replace(command, name=typed, server=None)
    return replace(command, name=typed)
