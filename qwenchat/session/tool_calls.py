"""The calls of tools that a reply ended with: permitted one after another, run, and their results kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from qwenchat.chat.calls import arguments_of, open_calls
from qwenchat.chat.engine_commands import RunTool
from qwenchat.chat.errors import CallMalformed, ConfigInvalid, ToolError, ToolUnavailable
from qwenchat.chat.events import CallReturned, CallStarted, Event, PermissionAsked, PermissionNotSaved, ToolsListed
from qwenchat.chat.messages import Message, Role, Status, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import ModelInfo
from qwenchat.chat.tools import ToolSpec
from qwenchat.i18n.texts import listed, say
from qwenchat.session.turn import Turn
from qwenchat.tools.base import ToolRunner

STEPS = 8
"""How often a model may call tools for one message, each time as many as it likes; then it must answer."""
LONGEST_RESULT = 8_000
"""Characters of a result that a model is given at most; half as many as the context has tokens, where that is less."""


class Permission(StrEnum):
    """What the user says to a call."""

    ONCE = "once"
    CHAT = "chat"
    """From now on in this chat."""
    ALWAYS = "always"
    """From now on, in every chat."""
    REFUSE = "refuse"


@dataclass(slots=True)
class _Pending:
    """A call without a result, and what the user said to that very call."""

    call: ToolCallPart
    permission: Permission | None = None


class ToolCalls:
    """Holds the calls of one reply at a time, from its end until the model is to go on."""

    def __init__(
        self,
        runner: ToolRunner | None,
        keep: Callable[[Message], None],
        report: Callable[[Event], None],
        receive: Callable[[Event], None],
        steps: int = STEPS,
    ) -> None:
        """`keep` saves a result, `report` takes events for the screen, `receive` those of the runner, on any thread."""
        self.offered: tuple[ToolSpec, ...] = ()
        """What the model may call, as far as it is ready."""
        self.on: tuple[str, ...] = ()
        """The names of the tools, and of the servers, that are switched on."""
        self.ready = True
        """Whether all that is switched on was made ready, or could not be."""
        self.window = 0
        """Tokens of the model's context; 0 when it is not known."""
        self.failed: CallMalformed | None = None
        """Why the model is not to go on: it wrote a call that cannot be read, twice in a row."""
        self.turn: Turn | None = None
        """The turn whose calls run: what was set for it is set for the steps after it."""
        self._runner, self._keep, self._report, self._receive = runner, keep, report, receive
        self._most_steps = steps
        self._steps = 0
        self._malformed = False
        """Whether there was a call that cannot be read in this step."""
        self._malformed_before = False
        self._queue: list[_Pending] = []
        """The calls without a result; the first of them runs, or waits for the user."""
        self._parent: str | None = None
        """The message that the next result stands below; None when there are no calls."""
        self._granted: set[str] = set()
        """The tools that may run without asking in this chat."""
        self._number = 0
        """How often the runner was asked for something; its answer to anything but the latest is late."""
        self._prepared = 0
        self._running = False

    @property
    def available(self) -> tuple[str, ...]:
        """The names of all tools, and of all servers of tools, that could be switched on."""
        return self._runner.names if self._runner is not None else ()

    @property
    def active(self) -> bool:
        """Whether there are calls without a result, or the model is about to go on."""
        return self._parent is not None

    @property
    def exhausted(self) -> bool:
        """Whether the model has taken all its steps, and must answer."""
        return self._steps >= self._most_steps

    @property
    def waiting(self) -> tuple[ToolCallPart, ...]:
        """The calls that the user is asked about."""
        return tuple(pending.call for pending in self._asked)

    @property
    def _asked(self) -> list[_Pending]:
        return [pending for pending in self._queue[1 if self._running else 0 :] if self._asks(pending)]

    def switch(self, names: Sequence[str]) -> None:
        """Turn on these tools and servers, and no others."""
        self.on, self.offered = tuple(dict.fromkeys(names)), ()
        self._prepared += 1
        self.ready = not self.on or self._runner is None
        if self._runner is not None and self.on:
            self._runner.prepare(self._prepared, self.on, self._receive)

    def listed(self, event: ToolsListed) -> None:
        """The tools are ready."""
        if event.number == self._prepared:
            self.offered, self.ready = event.tools, True
            self._report(event)
            self._advance()

    def callable_by(self, model: ModelInfo | None) -> tuple[ToolSpec, ...]:
        """What that model may call in its next turn."""
        able = model is not None and model.tools and not self.exhausted
        return self.offered if able else ()

    def report_unusable(self, model: ModelInfo | None) -> None:
        """Report it if tools are switched on for a model that cannot call any."""
        if self.on and model is not None and not model.tools:
            unable = say("{model} cannot call tools; it answers without them.", model=model.name)
            self._report(ToolsListed(0, (), (unable,)))

    def begin_question(self) -> None:
        """The user said something: the model has all its steps before it."""
        self._steps, self._malformed_before = 0, False

    def forget_grants(self) -> None:
        """Another chat is opened, in which nothing was granted yet."""
        self._granted.clear()

    def begin(self, path: Sequence[Message], turn: Turn | None = None) -> None:
        """Take up the calls without a result at the end of a path, which `turn` ended with."""
        self.turn = turn
        self._queue, self._parent = [_Pending(call) for call in open_calls(path)], path[-1].id
        self._steps += 1
        self._malformed = False
        self.failed = None
        self._advance()

    def permit(self, call_id: str, permission: Permission) -> None:
        """Say whether a call of `waiting` may run; does nothing about others."""
        pending = next((pending for pending in self._asked if pending.call.id == call_id), None)
        if pending is None:
            return
        pending.permission = permission
        if permission in (Permission.CHAT, Permission.ALWAYS):
            self._granted.add(pending.call.name)
        if permission is Permission.ALWAYS and self._runner is not None:
            try:
                self._runner.allow_always(pending.call.name)
            except ConfigInvalid as error:
                self._report(PermissionNotSaved(error))
        self._advance()

    def returned(self, event: CallReturned) -> None:
        """Keep the result of the call that runs."""
        if self._running and event.number == self._number:
            self._finish(event.result)
            self._advance()

    def stop(self) -> bool:
        """End the call that runs and forget the others; whether anything was going on."""
        active = self.active
        if self._running and self._runner is not None:
            self._runner.stop()
            call = self._queue[0].call
            stopped = ToolResultPart(call.id, call.name, say("The user stopped it."), failed=True)
            self._finish(stopped, Status.STOPPED)
        self._queue.clear()
        self.leave()
        return active

    def leave(self) -> str | None:
        """Nothing is left to be done; the id of the message that the model goes on from."""
        parent, self._parent = self._parent, None
        return parent

    @property
    def done(self) -> bool:
        """Whether every call has its result, so that the model is to go on."""
        return self.active and not self._queue

    def close(self) -> None:
        """End the servers of tools."""
        if self._runner is not None:
            self._runner.close()

    def _advance(self) -> None:
        """Run the first call, or ask about it, until one of them takes time."""
        while self._queue and self.ready and not self._running:
            pending = self._queue[0]
            call = pending.call
            try:
                self._check(call)
            except ToolError as error:
                self._malformed |= isinstance(error, CallMalformed)
                if self._malformed and self._malformed_before and isinstance(error, CallMalformed):
                    self.failed = error
                self._finish(ToolResultPart(call.id, call.name, str(error), failed=True))
                continue
            if pending.permission is Permission.REFUSE:
                self._finish(ToolResultPart(call.id, call.name, say("The user did not allow this call."), failed=True))
            elif self._asks(pending):
                self._report(PermissionAsked(call))
                return
            else:
                self._run(call)
        if not self._queue:
            self._malformed_before = self._malformed

    def _check(self, call: ToolCallPart) -> None:
        arguments_of(call)
        if all(tool.name != call.name for tool in self.offered):
            names = listed(tool.name for tool in self.offered) or say("none")
            raise ToolUnavailable(
                say("There is no tool {name}.", name=call.name), say("There are: {names}.", names=names)
            )

    def _asks(self, pending: _Pending) -> bool:
        """Whether the user must say something before a call may run."""
        name = pending.call.name
        known = any(tool.name == name for tool in self.offered)
        return known and pending.permission is None and not self.may_run(name)

    def may_run(self, name: str) -> bool:
        """Whether a tool may run without asking."""
        return name in self._granted or (self._runner is not None and self._runner.always(name))

    def _run(self, call: ToolCallPart) -> None:
        if self._runner is None:
            return
        self._number += 1
        self._running = True
        self._report(CallStarted(call))
        limit = min(LONGEST_RESULT, self.window // 2) if self.window else LONGEST_RESULT
        self._runner.run(RunTool(self._number, call, limit), self._receive)

    def _finish(self, result: ToolResultPart, status: Status = Status.COMPLETE) -> None:
        self._running = False
        self._queue.pop(0)
        message = Message(Role.TOOL, (result,), parent=self._parent, status=status)
        self._keep(message)
        self._parent = message.id
        self._report(CallReturned(self._number, result))
