"""Who renders a chat template: this process for those that are known, a process that can be killed for all others."""

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

from qwenchat.chat.errors import ModelUnsupported
from qwenchat.chat.text import safe_line
from qwenchat.engine.base import Stopped
from qwenchat.engine.local import sandbox
from qwenchat.i18n.texts import say
from qwenchat.system.isolation import CallFailed, CallStopped, IsolatedModule, Limit, LimitReached, Limits, NotIsolated

KNOWN = frozenset(
    (
        "87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5",  # the Qwen3 family
        "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",  # SmolLM2-Instruct
    )
)
"""SHA-256 of the templates whose work grows with the conversation alone, as `fingerprint` takes it."""
LONGEST = 1_000_000
"""Characters of a template."""
SECONDS, PROCESSOR_S = 10.0, 5.0
MEMORY = 512_000_000
LEAST_OUTPUT, OUTPUT_SHARE = 1_000_000, 4
"""Bytes that a rendered text may always have, and how many times as much as the conversation that is in it."""


class TemplateFailed(Exception):
    """The template raised: it is broken, or refuses this conversation."""


class Renderer(Protocol):
    """One chat template, ready to be rendered."""

    def render(self, variables: dict[str, Any], stopped: Callable[[], bool]) -> str:
        """The text; raises TemplateFailed, ModelUnsupported where a limit is reached, and Stopped."""
        ...

    def close(self) -> None:
        """Give back what it takes."""
        ...


def renderer(source: str, stopped: Callable[[], bool]) -> Renderer:
    """The renderer of a template; raises TemplateFailed for one that cannot be read, and as `render` does."""
    if len(source) > LONGEST:
        raise ModelUnsupported(
            say("The model's chat template was stopped: {reason}.", reason=say("it is too long")), _remedy()
        )
    return _Here(source) if fingerprint(source) in KNOWN else _Isolated(source, stopped)


def fingerprint(source: str) -> str:
    """The SHA-256 of a template, however its lines end and whatever white space stands around it."""
    return hashlib.sha256(source.replace("\r\n", "\n").strip().encode("utf-8", "surrogatepass")).hexdigest()


class _Here:
    """A known template, at full speed."""

    def __init__(self, source: str) -> None:
        self._source = source

    def render(self, variables: dict[str, Any], stopped: Callable[[], bool]) -> str:
        try:
            return sandbox.render(self._source, variables)
        except Exception as error:
            raise TemplateFailed(safe_line(str(error))) from error

    def close(self) -> None:
        pass


class _Isolated:
    """A template of strangers, in a process that stays for the next turn."""

    def __init__(self, source: str, stopped: Callable[[], bool]) -> None:
        self._source = source
        self._module = IsolatedModule(sandbox.__name__, Limits(SECONDS, PROCESSOR_S, MEMORY))
        self._call("check", source, stopped=stopped, output=LEAST_OUTPUT)

    def render(self, variables: dict[str, Any], stopped: Callable[[], bool]) -> str:
        output = LEAST_OUTPUT + OUTPUT_SHARE * _length(variables)
        return self._call("render", self._source, variables, stopped=stopped, output=output)

    def close(self) -> None:
        self._module.close()

    def _call(self, *call: Any, stopped: Callable[[], bool], output: int) -> str:
        try:
            return self._module.call(*call, stopped=stopped, output=output)
        except CallFailed as error:
            raise TemplateFailed(safe_line(error.text or error.kind)) from error
        except CallStopped as error:
            raise Stopped from error
        except (LimitReached, NotIsolated) as error:
            raise ModelUnsupported(
                say("The model's chat template was stopped: {reason}.", reason=_reason(error)), _remedy()
            ) from error


def _remedy() -> str:
    return say("Use another file of this model, or another model.")


def _reason(error: LimitReached | NotIsolated) -> str:
    if isinstance(error, NotIsolated):
        return say("no process of its own could be started for it")
    match error.limit:
        case Limit.TIME | Limit.PROCESSOR:
            return say("it takes too long")
        case Limit.MEMORY:
            return say("it takes too much memory")
        case Limit.OUTPUT:
            return say("it makes too large a text")
        case Limit.CRASH:
            return say("it crashed")


def _length(value: Any) -> int:
    """How many bytes of text are in a value."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, dict):
        return sum(_length(key) + _length(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(_length, value))
    return 8
