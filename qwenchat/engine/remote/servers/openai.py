"""Servers of no kind that is known: only what the OpenAI API itself has."""

from qwenchat.engine.remote.servers.kind import ServerKind


class OpenAI(ServerKind):
    """Any other server. Thinking is switched in the message, if at all."""
