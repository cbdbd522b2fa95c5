"""Where the parts are wired together: the engine, and a session over a library, as the options say."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.tools import ALL
from qwenchat.cli import option_values
from qwenchat.console.notice import notify
from qwenchat.engine.base import Engine
from qwenchat.engine.router import EngineRouter
from qwenchat.engine.worker import Worker
from qwenchat.i18n.texts import say
from qwenchat.library.library import Library
from qwenchat.session.answer_settings import AnswerSettings
from qwenchat.session.session import Session
from qwenchat.system.log import keep_log
from qwenchat.system.paths import Paths
from qwenchat.system.quick_imports import quick_imports
from qwenchat.tools.toolbox import Toolbox


def make_engine() -> Engine:
    """The local engine and the servers; what each needs is imported when it is asked for, on the worker's thread."""
    return EngineRouter(_make_local, _make_remote)


def _make_local() -> Engine:
    with quick_imports():
        from qwenchat.engine.local.engine import LocalEngine  # noqa: PLC0415  (imports torch)
    return LocalEngine(Paths.of_user())


def _make_remote() -> Engine:
    with quick_imports():
        from qwenchat.engine.remote.engine import RemoteEngine  # noqa: PLC0415  (imports openai)
    return RemoteEngine()


def engine_maker() -> Callable[[], Engine]:
    """What makes the engine of this command: `make_engine`, unless the caller of the program brought another."""
    brought: dict[str, Callable[[], Engine]] = click.get_current_context().find_object(dict) or {}
    return brought.get("make_engine", make_engine)


@contextmanager
def open_session(given: dict[str, Any], library: Library, *, private: bool, chat: bool = False) -> Iterator[Session]:
    """A session over `library`; what it holds is saved and everything is closed at the end.

    A chat that could not be kept ends with the exit code 1.
    """
    worker = Worker(engine_maker())
    overrides = option_values.overrides(given)
    settings = option_values.settings(click.get_current_context())
    keep_log(None if private else Paths.of_user().log_file)
    session = Session(
        worker,
        library,
        system=given["system"],
        thinking=given["think"],
        thinking_budget=given["thinking_budget"],
        overrides=overrides,
        private=private,
        tools=Toolbox(settings.tools, tuple(settings.mcp.values()), Paths.of_user().config_file),
    )
    try:
        yield session
    finally:
        session.close()
        for text in session.conversation.lost if chat and not private else ():
            notify(text)
        if session.conversation.unsaved and not chat:
            notify(say("The last reply could not be saved."))
    if chat and not private and session.conversation.lost:
        sys.exit(1)


def answer_settings(given: dict[str, Any], session: Session) -> AnswerSettings:
    """What `session` is steered by, as these options say it."""
    context = click.get_current_context()
    flags = {
        name: value for name, value in given.items() if context.get_parameter_source(name) in option_values.EXPLICIT
    }
    return AnswerSettings(
        session,
        flags=flags,
        settings=option_values.settings(context),
        presets=option_values.presets(context),
        preset=option_values.chosen_preset(context),
    )


def tool_names(given: dict[str, Any]) -> tuple[str, ...]:
    """The tools and servers that the chat begins with. Raises ConfigInvalid for one that was named and is none."""
    there = option_values.settings(click.get_current_context())
    if (named := given.get("tool_names")) is None:
        return there.tools.allowed
    names = tuple(name for name in (word.strip() for word in named.split(",")) if name and name != "none")
    if set(names) - {ALL}:
        box = Toolbox(there.tools, tuple(there.mcp.values()))
        if unknown := next((name for name in names if name != ALL and not box.knows(name)), None):
            raise ConfigInvalid(*box.unknown(unknown))
    return names
