"""The date and the time, anywhere."""

from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from qwenchat.chat.errors import ToolRefused
from qwenchat.engine.base import StopSignal
from qwenchat.i18n.texts import say
from qwenchat.tools.tool import Tool, tool


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    timezone: Annotated[
        str, msgspec.Meta(description="IANA name such as Europe/Berlin; empty for the user's own", max_length=64)
    ] = ""


def clock(now: Callable[[tzinfo | None], datetime] = datetime.now) -> Tool:
    """The tool; `now` is for tests."""

    def notify_user(given: _Arguments, stop: StopSignal) -> str:
        if not given.timezone:
            return _reported(now(None).astimezone(), "")
        return _reported(now(_zone(given.timezone)), given.timezone)

    return tool("date_and_time", "Tell the date, the weekday and the time now.", _Arguments, notify_user)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:  # an unknown name, a path, a folder
        raise ToolRefused(
            say("There is no time zone {name}.", name=name), say("Use an IANA name such as Europe/Berlin.")
        ) from error


def _reported(moment: datetime, zone: str) -> str:
    offset = moment.isoformat(timespec="minutes")[16:]
    return f"{moment:%A, %Y-%m-%d, %H:%M:%S}{f', {zone}' if zone else ''} (UTC{offset})"
