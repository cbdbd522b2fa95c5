"""A runner of tools that does what a test tells it to."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from qwenchat.chat.engine_commands import RunTool
from qwenchat.chat.events import CallReturned, ToolsListed
from qwenchat.chat.messages import ToolCallPart, ToolResultPart
from qwenchat.chat.tools import ToolSpec
from tests.support.fake_engine import MODEL

CAPABLE = replace(MODEL, tools=True)
"""A model that can call tools."""
SCHEMA = '{"type": "object", "properties": {"city": {"type": "string"}}}'


def call(name: str = "weather", arguments: str = '{"city": "Paris"}', id_: str = "c1") -> ToolCallPart:
    return ToolCallPart(id_, name, arguments)


@dataclass
class FakeTools:
    """Has the tools of `names`; a call gives the text that is written for its tool."""

    results: dict[str, str] = field(default_factory=lambda: {"weather": "Rain.", "clock": "12:00"})
    problems: tuple[str, ...] = ()
    holds: bool = False
    """Calls wait until `release`."""
    listing_holds: bool = False
    """Getting ready waits until `release`."""
    allowed: set[str] = field(default_factory=set)
    """What may always run."""
    runs: list[ToolCallPart] = field(default_factory=list)
    stops: int = 0
    closed: bool = False

    def __post_init__(self) -> None:
        self._gate = threading.Event()

    def release(self) -> None:
        """Let go of what is held."""
        self._gate.set()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.results)

    def prepare(self, number: int, names: Sequence[str], report: Callable[[ToolsListed], None]) -> None:
        specs = tuple(ToolSpec(name, f"Says the {name}.", SCHEMA) for name in names if name in self.results)
        self._in_background(self.listing_holds, lambda: report(ToolsListed(number, specs, self.problems)))

    def run(self, command: RunTool, report: Callable[[CallReturned], None]) -> None:
        self.runs.append(command.call)
        result = ToolResultPart(command.call.id, command.call.name, self.results[command.call.name])
        self._in_background(self.holds, lambda: report(CallReturned(command.number, result)))

    def stop(self) -> None:
        self.stops += 1

    def always(self, name: str) -> bool:
        return name in self.allowed

    def allow_always(self, name: str) -> None:
        self.allowed.add(name)

    def close(self) -> None:
        self.closed = True
        self.release()

    def _in_background(self, holds: bool, act: Callable[[], None]) -> None:
        def run() -> None:
            if holds:
                self._gate.wait(20)
            act()

        threading.Thread(target=run, daemon=True).start()
