"""Asks a server for its list of models, and chooses the one that is meant."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from qwenchat.chat.errors import ModelNotFound
from qwenchat.chat.text import safe_line
from qwenchat.engine.base import Stopped
from qwenchat.engine.remote.connection import ServerConnection, Unwanted
from qwenchat.engine.remote.offer import ModelListing, ServedModel, listed_in
from qwenchat.i18n.texts import listed, say

LIST_S = 10.0
"""How long a server may take to list its models."""
AGAIN_S = 1.0
"""Between two questions while it loads one."""


def listing_of(
    connection: ServerConnection, unwanted: Unwanted, waits: Callable[[], object] = lambda: None
) -> ModelListing:
    """The models that the server lists; a server that loads one is asked again, and `waits` is called.

    Raises what the connection does, and Stopped.
    """
    began = time.monotonic()
    while True:
        try:
            return listed_in(connection.received(connection.waiting.until_done(_asked(connection), unwanted)))
        except Stopped:
            raise
        except Exception as error:
            loading = getattr(error, "status_code", None) == 503
            if not loading or time.monotonic() - began > connection.server.patience_s:
                raise connection.typed(error) from error
        waits()
        connection.waiting.until_done(asyncio.sleep(AGAIN_S), unwanted)


async def _asked(connection: ServerConnection) -> Any:
    options: Any = {"timeout": LIST_S}
    try:
        answer = await connection.client.get("/models", cast_to=object, options=options)
    except ValueError:  # no JSON: MLX-LM answers with nothing where the cache of the Hub is empty
        return None
    return _read(answer) if isinstance(answer, str) else answer


def _read(page: str) -> Any:
    """What a page says that is not marked as JSON: an object, or one to a line. Raises TypeError for anything else."""
    if not (page := page.removeprefix("\ufeff").strip()):
        return None
    for pieces in ([page], [line for line in page.split("\n") if line.strip()]):
        try:
            values = [json.loads(piece) for piece in pieces]
        except (ValueError, RecursionError):
            continue
        return values[0] if len(values) == 1 else values
    raise TypeError


def listing_for(
    connection: ServerConnection, asked: str | None, unwanted: Unwanted, waits: Callable[[], object] = lambda: None
) -> ModelListing:
    """The same; a server that cannot list its models may have the one that was asked for. Raises as `listing_of`."""
    try:
        listing = listing_of(connection, unwanted, waits)
    except Stopped:
        raise
    except Exception as error:
        if not _may_chat(error) or (asked is None and not isinstance(error, ModelNotFound)):
            raise
        listing = ModelListing(readable=False)
    if not listing.readable and asked is None:
        raise ModelNotFound(
            say("There is no list of models at {url}.", url=f"{connection.address.base}/models"),
            say("Name one: --model, or model in [servers.NAME]."),
        )
    return listing


def _may_chat(error: Exception) -> bool:
    """Whether a server that fails like this may chat all the same: some keys may chat and not list."""
    cause = getattr(error, "__cause__", None)
    status = getattr(cause, "status_code", None)
    if isinstance(status, int):
        return status not in (401, 407) and not 300 <= status < 400
    return isinstance(cause, TypeError)  # a page of something else


def chosen(listing: ModelListing, asked: str | None, host: str) -> ServedModel:
    """The model that was asked for, by name or the beginning of one, or the first. Raises ModelNotFound."""
    offered = listing.offers
    if asked is None:
        if not offered:
            raise ModelNotFound(say("{host} offers no model.", host=host), say("Load one there, or name one: --model."))
        able = [offer for offer in offered if offer.chats] or list(offered)
        return next((offer for offer in able if offer.loaded), able[0])
    for fits in (lambda name: name == asked, lambda name: name.split(":")[0] == asked, lambda name: asked in name):
        if found := [offer for offer in offered if fits(offer.name)]:
            return found[0]
    if not offered or not listing.complete:  # a server that does not list it may have it all the same
        return ServedModel(asked)
    raise ModelNotFound(
        say("{host} has no model {model}.", host=host, model=safe_line(asked)),
        say("It has {models}.", models=safe_line(listed(offer.name for offer in offered), 400)),
    )
