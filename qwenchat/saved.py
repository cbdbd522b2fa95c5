"""The saved conversations on the command line: listed, shown, and found by the first digits of their ids."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from qwenchat import process
from qwenchat.paths import Paths

if TYPE_CHECKING:
    from qwenchat.library.library import Library

LATEST = "latest"


@contextmanager
def saved_conversations() -> "Iterator[Library]":
    """The saved conversations, to be read; nothing is made where there are none."""
    from qwenchat.library.library import Library

    path = Paths.of_user().database
    library = Library.open(path) if path.exists() else Library.in_memory()
    if library.notice:
        process.say(library.notice)
    try:
        yield library
    finally:
        library.close()


def complete_conversation(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The conversations whose ids begin with what was typed."""
    from qwenchat.chat.text import safe_line

    with saved_conversations() as library:
        rows = [row for row in library.conversations() if row.id.startswith(typed)]
    return [CompletionItem(row.id, help=safe_line(row.title, 60)) for row in rows]


def resumed(library: "Library", asked: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The id of the conversation to go on with, and what to say about it; raises ConversationNotFound."""
    if asked is None:
        return None, ()
    if asked != LATEST:
        return library.resolve(asked), ()
    latest = library.latest()
    return latest, () if latest else ("There is no saved conversation to go on with yet; this is a new one.",)


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_command(as_json: bool) -> None:
    """List the saved conversations, newest first."""
    from datetime import datetime

    from qwenchat.chat.text import safe_json, safe_line

    with saved_conversations() as library:
        rows = library.conversations()
    if as_json:
        names = ("id", "title", "updated", "model", "messages")
        click.echo(safe_json([{name: getattr(row, name) for name in names} for row in rows]))
    elif not rows:
        process.say("No conversation is saved yet.")
    for row in () if as_json else rows:
        when = datetime.fromtimestamp(row.updated).strftime("%Y-%m-%d %H:%M")
        click.echo(f"{safe_line(row.id)}  {when}  {row.messages:>4}  {safe_line(row.title, 80)}")


@click.command()
@click.argument("conversation", metavar="ID", shell_complete=complete_conversation)
def show(conversation: str) -> None:
    """Print a conversation; the first digits of its id are enough."""
    from qwenchat.chat.tree import MessageTree
    from qwenchat.plain import as_text

    with saved_conversations() as library:
        stored = library.read(library.resolve(conversation))
    click.echo(as_text(MessageTree(stored.messages, stored.leaf).path()))
