"""Sums, worked out as at school, in a process that can be killed."""

from contextlib import closing
from typing import Annotated

import msgspec

from qwenchat.chat.errors import ToolFailed, ToolRefused
from qwenchat.engine.base import StopSignal
from qwenchat.i18n.texts import say
from qwenchat.system.isolation import CallFailed, CallStopped, IsolatedModule, LimitReached, Limits, NotIsolated
from qwenchat.tools.tool import Tool, tool

LONGEST = 500
"""Characters of an expression."""
ARITHMETIC = "qwenchat.tools.arithmetic"
"""What works them out; it is not imported here."""
LIMITS = Limits(seconds=10, processor_s=3, memory=256_000_000)
_OUTPUT = 10_000


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expression: Annotated[
        str,
        msgspec.Meta(
            description="Such as 2 * (3 + 4) ** 2 or sqrt(2) / 3; functions of angles take radians", max_length=LONGEST
        ),
    ]


def calculator() -> Tool:
    """The tool."""
    return tool("calculator", "Work out an arithmetic expression exactly.", _Arguments, _work_out)


def _work_out(given: _Arguments, stop: StopSignal) -> str:
    with closing(IsolatedModule(ARITHMETIC, LIMITS)) as arithmetic:
        try:
            return arithmetic.call("work_out", given.expression, output=_OUTPUT, stopped=stop.is_set)
        except CallFailed as error:
            raise ToolRefused(_reason(error)) from error
        except LimitReached as error:
            raise ToolRefused(say("That takes too long or too much memory to work out.")) from error
        except CallStopped as error:
            raise ToolFailed(say("The calculation was stopped.")) from error
        except NotIsolated as error:
            raise ToolFailed(say("The calculator cannot be started: {error}.", error=error)) from error


def _reason(error: CallFailed) -> str:
    match error.kind:
        case "NotArithmetic":
            return say("That is no sum: only numbers, operators and functions can be worked out.")
        case "Unknown":
            return say("That cannot be worked out: {reason}.", reason=say("there is no {name}", name=error.text))
        case "WrongNumbers":
            reason = say("{name} takes other numbers than these", name=error.text)
            return say("That cannot be worked out: {reason}.", reason=reason)
        case "NoNumber":
            return say("That cannot be worked out: {reason}.", reason=say("the result is no real number"))
        case "TooLarge":
            return say("The numbers become too large.")
        case "ZeroDivisionError":
            return say("That divides by zero.")
        case "RecursionError":
            return say("That has too many brackets in each other.")
    return say("That cannot be worked out: {reason}.", reason=error.text or error.kind)
