"""What a session needs of the one who runs tools."""

from collections.abc import Callable, Sequence
from typing import Protocol

from qwenchat.chat.engine_commands import RunTool
from qwenchat.chat.events import CallReturned, ToolsListed


class ToolRunner(Protocol):
    """Runs calls of tools away from the thread that asks. `report` may be called from any thread."""

    @property
    def names(self) -> tuple[str, ...]:
        """The tools, and the servers of tools, that there are."""
        ...

    def prepare(self, number: int, names: Sequence[str], report: Callable[[ToolsListed], None]) -> None:
        """Make the tools of these names ready, and those of the servers of these names; then report them, once.

        Returns at once. What cannot be made ready is reported with the others, as a problem.
        """
        ...

    def run(self, command: RunTool, report: Callable[[CallReturned], None]) -> None:
        """Run a call and report its result, once; returns at once. Whatever goes wrong is a result too."""
        ...

    def stop(self) -> None:
        """End the call that runs; returns at once, and nothing more is reported of the call."""
        ...

    def always(self, name: str) -> bool:
        """Whether a tool may run without asking, as the user decided for good."""
        ...

    def allow_always(self, name: str) -> None:
        """Let a tool run without asking from now on; raises ConfigInvalid when that cannot be written down."""
        ...

    def close(self) -> None:
        """End everything that was started, within a second or two."""
        ...
