"""The tools of this program and of the servers, ready to be called; each call runs on a thread of its own."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwenchat.chat.calls import arguments_of
from qwenchat.chat.engine_commands import RunTool
from qwenchat.chat.errors import QwenchatError, ToolError, ToolFailed, ToolUnavailable
from qwenchat.chat.events import CallReturned, ToolsListed
from qwenchat.chat.messages import ToolResultPart
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.chat.tools import ALL, BUILT_IN, McpServer, ToolSettings, ToolSpec, granted_name
from qwenchat.engine.base import StopSignal
from qwenchat.i18n.texts import listed, say, sentences
from qwenchat.settings import config
from qwenchat.settings.config import MOST_SAID, few
from qwenchat.system.quick_imports import quick_imports
from qwenchat.tools.folders import problems_of
from qwenchat.tools.grants import Grants
from qwenchat.tools.naming import name_for
from qwenchat.tools.tool import Tool, clipped

if TYPE_CHECKING:
    from qwenchat.tools.mcp import McpServers, ToolListing

log = logging.getLogger(__name__)

_OF_FILES = frozenset({"list_files", "read_file", "search_files"})
LONGEST_S = 30.0
"""How long a built-in tool may take."""


@dataclass(frozen=True, slots=True)
class _Served:
    """A tool of a server, by its own name there."""

    server: str
    tool: str


class Toolbox:
    """A `ToolRunner`. It starts nothing before it is asked for something."""

    def __init__(
        self,
        settings: ToolSettings,
        servers: Sequence[McpServer] = (),
        config_file: Path | None = None,
        longest_s: float = LONGEST_S,
    ) -> None:
        """`config_file` is where it is written down that a tool may always run."""
        self._settings = settings
        self._config = config_file
        self._longest_s = longest_s
        self._mcp = {server.name: server for server in servers if server.name not in (*BUILT_IN, ALL)}
        self._grants = Grants(settings.always, self._mcp)
        self._lock = threading.Lock()
        self._servers: McpServers | None = None
        self._served: dict[str, _Served] = {}
        self._listed: dict[str, ToolListing] = {}
        """What was reported of each server."""
        self._prepared: Callable[[], None] = lambda: None
        """Reports what was asked for last, as it is now."""
        self._run: _Run | None = None
        """The call that runs."""

    @cached_property
    def _builtins(self) -> dict[str, Tool]:
        """The tools of this program; what they need takes a moment to import."""
        from qwenchat.tools.registry import builtins  # noqa: PLC0415  (imports urllib3)

        return {tool.spec.name: tool for tool in builtins(self._settings)}

    @property
    def names(self) -> tuple[str, ...]:
        """The built-in tools, and the servers."""
        return (*BUILT_IN, *self._mcp)

    def prepare(self, number: int, names: Sequence[str], report: Callable[[ToolsListed], None]) -> None:
        """See `ToolRunner.prepare`."""

        def list_them() -> None:
            try:
                listed = replace(self.listing(names), number=number)
            except Exception as error:
                log.exception("the tools cannot be listed")
                failed = say("The tools cannot be made ready: {error}.", error=type(error).__name__)
                listed = ToolsListed(number, (), (failed,))
            report(listed)

        self._prepared = list_them
        threading.Thread(target=list_them, name="tools", daemon=True).start()

    def knows(self, name: str) -> bool:
        """Whether there is such a tool or server; what is named as a tool of a server is believed to be one."""
        return name in BUILT_IN or self.server_of(name) is not None

    def unknown(self, name: str) -> tuple[str, str]:
        """What to say of a name that is none, and a way out."""
        there = say("There are: {names}.", names=listed(self.names))
        return say("There is no tool {name}.", name=safe_line(name)), did_you_mean(name, self.names) or there

    def misconfigured(self) -> tuple[str, ...]:
        """What of the table `[tools]` cannot count, in words; starts nothing."""
        unknown = [name for name in self._settings.allowed if name != ALL and not self.knows(name)]
        return (*self._unknown(unknown), *problems_of(self._settings.folders))

    def _unknown(self, names: Sequence[str]) -> tuple[str, ...]:
        """What to say of names that are none; of many only the first are said."""
        said = [sentences(*self.unknown(name)) for name in names[:MOST_SAID]]
        return few(said, len(names) - len(said))

    def server_of(self, name: str) -> str | None:
        """The server that is meant by its name, or by the name of one of its tools."""
        return self._grants.server_of(name)

    def entry_for(self, name: str) -> str:
        """How config.toml says that a tool or a server always runs."""
        return self._grants.entry_for(name)

    def listing(self, names: Sequence[str]) -> ToolsListed:
        """The tools of these names and those of the servers of these names, which start side by side, if need be."""
        names = self.names if ALL in names else names
        tools: dict[str, ToolSpec] = {}
        unknown: list[str] = []
        listings: dict[str, Future[ToolListing]] = {}
        for name in names:
            if name in self._builtins:
                tools[name] = self._builtins[name].spec
            elif server := self.server_of(name):
                listings.setdefault(server, self._started().listing(server))
            else:
                unknown.append(name)
        problems = [*self._unknown(unknown)]
        if not _OF_FILES.isdisjoint(tools):
            problems += problems_of(self._settings.folders)
        for server, listing in listings.items():
            try:
                found = listing.result()
            except QwenchatError as error:
                problems.append(str(error))
            except CancelledError:  # the program ends
                continue
            else:
                self._listed[server] = found
                problems += found.problems
                named = self._named(server, found.tools)
                missing = [name for name in names if self.server_of(name) == server and name not in {server, *named}]
                problems += [
                    say("{server} has no tool {tool}.", server=server, tool=safe_line(name)) for name in missing
                ]
                tools |= {name: tool for name, tool in named.items() if server in names or name in names}
        return ToolsListed(0, tuple(tools.values()), tuple(problems))

    def run(self, command: RunTool, report: Callable[[CallReturned], None]) -> None:
        """See `ToolRunner.run`."""
        run = _Run(command, report)
        self._run = run
        threading.Thread(target=self._carry_out, args=(run,), name="tool", daemon=True).start()

    def stop(self) -> None:
        """See `ToolRunner.stop`."""
        if self._run is not None:
            self._run.stop()

    def always(self, name: str) -> bool:
        """See `ToolRunner.always`."""
        return self._grants.covers(name)

    def allow_always(self, name: str) -> None:
        """See `ToolRunner.allow_always`."""
        entry = self._grants.add(name)
        if self._config is not None:
            there = config.read(self._config)[0].tools.always
            kept = [other for other in there if granted_name(other) != name]
            from qwenchat.settings.config_file import write  # noqa: PLC0415  (only to write)

            write(self._config, {"tools.always": [*kept, entry]})

    def close(self) -> None:
        """See `ToolRunner.close`."""
        self.stop()
        if self._servers is not None:
            self._servers.close()

    def _named(self, server: str, tools: Sequence[ToolSpec]) -> dict[str, ToolSpec]:
        """The tools of a server, by the names that they have here."""
        found: dict[str, ToolSpec] = {}
        for tool in tools:
            name = name_for(server, tool.name)
            if name not in found:
                self._served[name] = _Served(server, tool.name)
                found[name] = replace(tool, name=name)
        return found

    def _started(self) -> "McpServers":
        with self._lock:
            if self._servers is None:
                with quick_imports():
                    from qwenchat.tools.mcp import McpServers  # noqa: PLC0415  (imports mcp)
                self._servers = McpServers(tuple(self._mcp.values()), self._changed)
            return self._servers

    def _changed(self, server: str) -> None:
        """A server has other tools than before, on the thread of the servers, which must not wait for itself."""
        if server in self._listed:
            threading.Thread(target=self._prepared, name="tools", daemon=True).start()

    def _carry_out(self, run: "_Run") -> None:
        call = run.command.call
        try:
            arguments = arguments_of(call)
            if (tool := self._builtins.get(call.name)) is not None:
                out_of_time = threading.Timer(self._longest_s, run.end, (_too_long(self._longest_s),))
                out_of_time.daemon = True
                out_of_time.start()
                run.give(tool.run(arguments, run.signal))
                out_of_time.cancel()
            elif (served := self._served.get(call.name)) is not None:
                text = run.until_done(self._started().call(served.server, served.tool, arguments))
                if self._started().latest(served.server) is not self._listed.get(served.server):
                    self._prepared()  # before the result, after which the model goes on
                run.give(text)
            else:
                raise ToolUnavailable(say("There is no tool {name}.", name=call.name))
        except CancelledError:
            return
        except ToolError as error:
            run.end(error)
        except Exception as error:
            log.exception("the tool %s failed", safe_line(call.name))
            run.end(ToolFailed(say("The tool failed: {error}.", error=type(error).__name__)))


class _Run:
    """One call: its result is reported once, or never when it was stopped."""

    def __init__(self, command: RunTool, report: Callable[[CallReturned], None]) -> None:
        self.command = command
        self.signal = StopSignal()
        self._report = report
        self._over = threading.Lock()
        self._cancel: Callable[[], Any] = lambda: None

    def until_done(self, future: "Future[str]") -> str:
        """What a server gives."""
        self._cancel = future.cancel
        if self.signal.is_set():
            future.cancel()
        return future.result()

    def give(self, text: str) -> None:
        """The tool has done what it was asked."""
        self._notify_user(text, failed=False)

    def end(self, error: ToolError) -> None:
        """It has not."""
        self.signal.set()
        self._notify_user(str(error), failed=True)

    def stop(self) -> None:
        """Nobody wants to know any more."""
        self._over.acquire(blocking=False)
        self.signal.set()
        self._cancel()

    def _notify_user(self, text: str, *, failed: bool) -> None:
        if self._over.acquire(blocking=False):
            call = self.command.call
            result = ToolResultPart(call.id, call.name, clipped(text, self.command.limit), failed)
            self._report(CallReturned(self.command.number, result))


def _too_long(seconds: float) -> ToolFailed:
    return ToolFailed(say("The tool took longer than {seconds:g} s.", seconds=seconds))
