"""`qwenchat`: the chat itself, on the screen or line by line."""

import os
import sys
from typing import Any

import click

from qwenchat.chat.errors import QwenchatError
from qwenchat.cli import option_values
from qwenchat.cli.options import LATEST
from qwenchat.cli.wiring import answer_settings, open_session, tool_names
from qwenchat.console.notice import notify
from qwenchat.i18n.texts import say
from qwenchat.library.library import Library
from qwenchat.system.paths import Paths, shipped_themes
from qwenchat.system.quick_imports import quick_imports


def start(context: click.Context, given: dict[str, Any]) -> None:
    """Chat until the user leaves; the process ends with the exit code where that is another than 0."""
    option_values.overrides(given)
    if given["private"] and given["resume"] is not None:
        raise click.UsageError("A private chat goes on with no saved conversation: give --resume or --private.")
    library = Library.in_memory() if given["private"] else Library.open(Paths.of_user().database)
    try:
        resumed, notices = _resumed(library, given["resume"])
    except QwenchatError:
        library.close()
        raise
    library.look_after(after_s=3.0)  # once the first picture is drawn
    notices = (*option_values.problems(context), *option_values.warnings(given), *notices)
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if given["plain"] or not interactive:
        sys.exit(_by_line(given, library, resumed, notices))
    _on_screen(context, given, library, resumed, notices)


def _resumed(library: Library, asked: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The id of the conversation to go on with, and what to say about it; raises ConversationNotFound."""
    if asked is None:
        return None, ()
    if asked != LATEST:
        return library.resolve(asked), ()
    latest = library.latest()
    return latest, () if latest else (say("There is no saved conversation to go on with yet; this is a new one."),)


def _by_line(given: dict[str, Any], library: Library, resumed: str | None, notices: tuple[str, ...]) -> int:
    with quick_imports():
        from qwenchat.plain.chat import PlainChat  # noqa: PLC0415  (the screen has no use for it)
    for notice in notices:
        notify(notice)
    with open_session(given, library, private=given["private"], chat=True) as session:
        session.switch_tools(tool_names(given))
        if resumed is not None:
            session.resume(resumed)
        return PlainChat(session, option_values.load_command(given), answer_settings(given, session)).run()


def _on_screen(
    context: click.Context, given: dict[str, Any], library: Library, resumed: str | None, notices: tuple[str, ...]
) -> None:
    with quick_imports():
        from qwenchat.tui.app import QwenChat  # noqa: PLC0415  (imports Textual, for which the plain mode has no use)
    paths, settings = Paths.of_user(), option_values.settings(context)
    with open_session(given, library, private=given["private"], chat=True) as session:
        app = QwenChat(
            session,
            option_values.load_command(given),
            answer_settings=answer_settings(given, session),
            tools=tool_names(given),
            theme=given["theme"],
            reduced_motion=given["reduced_motion"],
            width=settings.width,
            keys=settings.keys,
            vim=settings.keymap == "vim",
            theme_folders=(shipped_themes(), paths.themes),
            resume=resumed,
            notices=notices,
            log_file=None if given["private"] else paths.log_file,
        )
        try:
            app.run()
        finally:
            for text in app.lost:
                notify(text)
        if app.lost:
            sys.exit(1)
