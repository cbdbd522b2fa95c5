"""What the model does while the chat waits: it loads and it answers, printed line by line."""

import time
from typing import assert_never

from qwenchat.chat.endings import NextStep
from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.events import LoadEvent, LoadFailed, LoadProgressed, ModelLoaded, SaveFailed, ToolsListed, TurnFailed
from qwenchat.console.ask import what_helps
from qwenchat.console.notice import notify
from qwenchat.console.turn_printer import LoadReport, Printer, ready_in_words
from qwenchat.i18n.texts import say
from qwenchat.session.session import Session

PATIENCE_S = 3.0
"""How long a server is waited for before the first message is asked for."""


class Answering:
    """Waits for the model of a session and reports what it does."""

    def __init__(self, session: Session, *, asking: bool) -> None:
        """`asking` says whether somebody reads what can be done next."""
        self.thoughts = True
        """Whether thoughts are read out."""
        self.failed = False
        """Whether a message was left without an answer."""
        self._session = session
        self._asking = asking
        self._report = LoadReport(redraw=False, lines=True)
        self._reported: set[str] = set()

    def begin(self, command: LoadModel) -> None:
        """Let the model of the chat load, and say so; what a server says is waited for, since it comes at once."""
        self._session.model.load(command)
        if not self._asking:
            return
        name = command.name or (command.server.name or command.server.address if command.server else "")
        if name:
            notify(say("{name} is being loaded; write meanwhile.", name=name))
        else:
            notify(say("The model is being loaded; write meanwhile."))
        if command.server is not None:
            until = time.monotonic() + PATIENCE_S
            while self._session.model.progress is not None and time.monotonic() < until:
                self._receive(0.1)

    def catch_up(self) -> None:
        """Tell what happened while something was written."""
        self._receive(0.0)

    def load(self, command: LoadModel) -> bool:
        """Load another model and wait until it is there; says whether it is. Ctrl+C ends the waiting alone."""
        self._reported.clear()
        self._session.model.load(command)
        try:
            while self._session.model.progress is not None:
                self._receive(0.5)
        except KeyboardInterrupt:
            print(flush=True)
            notify(say("Loading goes on; write meanwhile."))
            return True
        return self._session.model.error is None

    def reply(self) -> None:
        """Print the reply that was begun."""
        printer = Printer(announced=True, thoughts=self.thoughts, notice=self._once)
        try:
            ended = printer.run(self._session)
        except KeyboardInterrupt:
            if self._asking and not printer.in_line:
                print(flush=True)
            self._session.stop()
            ended = printer.run(self._session)
        self.failed = self.failed or isinstance(ended, TurnFailed)
        in_words = _by_command if self._asking else what_helps
        for said in filter(None, map(in_words, self._session.replies.next_steps)):
            notify(said)

    def _receive(self, timeout_s: float) -> None:
        for event in self._session.wait(timeout_s):
            if isinstance(event, LoadEvent | SaveFailed | ToolsListed):  # others come of a turn, and none runs
                self._report_event(event)

    def _report_event(self, event: LoadEvent | SaveFailed | ToolsListed) -> None:
        match event:
            case LoadProgressed():
                if self._asking:
                    self._report.show(event)
            case ModelLoaded() if self._session.model.error is not None:
                notify(say("{name} goes on.", name=event.model.name))
            case ModelLoaded():
                self._once(ready_in_words(event.model))
                if event.model.reason:
                    self._once(event.model.reason)
            case LoadFailed() | SaveFailed():
                self._once(str(event.error))
            case ToolsListed():
                for problem in event.problems:
                    self._once(problem)
            case _:
                assert_never(event)

    def _once(self, notice: str) -> None:
        """Say what was not said yet."""
        if notice not in self._reported:
            self._reported.add(notice)
            notify(notice)


def _by_command(step: NextStep) -> str:
    """By which command something is done next about a reply."""
    match step:
        case NextStep.ANSWER:
            return say("The reply ended inside its thought. /answer makes the model answer from there.")
        case NextStep.RETRY_WITH_PENALTY:
            return say("/retry asks again with presence penalty 1.5.")
        case NextStep.FOLLOW_TOOLS:
            return say("The tools were stopped. /continue lets the model go on from them.")
        case NextStep.CONTINUE:
            return say("The reply was interrupted. /continue lets it go on from there.")
        case NextStep.RETRY_THOUGHT:
            return say("The reply ended inside its thought, from which no server can go on. /retry asks again.")
        case NextStep.RETRY:
            return say("/retry asks again.")
        case _:
            assert_never(step)
