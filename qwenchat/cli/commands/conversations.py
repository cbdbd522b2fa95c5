"""The saved conversations on the command line: listed, searched, shown, changed and deleted."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from qwenchat.chat.errors import LibraryUnwritable
from qwenchat.cli import process
from qwenchat.cli.text_command import TextCommand
from qwenchat.i18n.texts import count, say
from qwenchat.system.paths import Paths

if TYPE_CHECKING:
    from qwenchat.library.library import Hit, Library, Summary

LATEST = "latest"
_LISTED = ("id", "title", "updated", "model", "messages", "pinned", "archived")
"""What `list --json` says of a conversation."""


@contextmanager
def saved_conversations() -> "Iterator[Library]":
    """The saved conversations, to be read; nothing is made where there are none."""
    from qwenchat.library.library import Library

    path = Paths.of_user().database
    library = Library.open(path) if any(path.parent.glob(f"{path.name}*")) else Library.in_memory()
    if library.notice:
        process.tell(library.notice)
    try:
        yield library
    finally:
        library.close()


@contextmanager
def conversations_to_change() -> "Iterator[Library]":
    """The saved conversations; raises LibraryUnwritable where a change would not last."""
    with saved_conversations() as library:
        if library.notice and library.in_memory_only:
            raise LibraryUnwritable(
                say("Nothing was changed."), say("Saved conversations must be readable and writable.")
            )
        yield library


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
    return latest, () if latest else (say("There is no saved conversation to go on with yet; this is a new one."),)


@click.command("list")
@click.option("--archived", is_flag=True, help="Those that were archived, in place of the others.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_command(archived: bool, limit: int | None, as_json: bool) -> None:
    """List the saved conversations: pinned ones first, then the latest."""
    from qwenchat.chat.text import safe_json, safe_line

    with saved_conversations() as library:
        rows = library.conversations(limit, archived=archived)
    if as_json:
        click.echo(safe_json([{name: getattr(row, name) for name in _LISTED} for row in rows]))
    elif not rows:
        process.tell(say("No conversation is archived.") if archived else say("No conversation is saved yet."))
    for row in () if as_json else rows:
        click.echo(f"{safe_line(row.id)}  {_when(row.updated)}  {row.messages:>4}  {safe_line(row.title, 80)}")


@click.command(cls=TextCommand)
@click.argument("words", nargs=-1, required=True)
@click.option("--thoughts", is_flag=True, help="Search in thoughts too.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def search(words: tuple[str, ...], thoughts: bool, limit: int, as_json: bool) -> None:
    """Find messages that have all WORDS, the best first; quotes within an argument make a phrase."""
    from qwenchat.chat.text import safe_json, safe_line

    with saved_conversations() as library:
        hits = library.search(" ".join(words), thoughts=thoughts, limit=limit)
    if as_json:
        click.echo(safe_json([_as_dict(hit) for hit in hits]))
    elif not hits:
        process.tell(say("Nothing was found."))
    for hit in () if as_json else hits:
        click.echo(f"{safe_line(hit.conversation)}  {_when(hit.created)}  {safe_line(hit.title, 80)}")
        click.echo(f"    {_excerpt(hit)}")


def _as_dict(hit: "Hit") -> dict[str, object]:
    names = ("conversation", "title", "message", "role", "created")
    excerpt = [{"text": piece.text, "hit": piece.hit} for piece in hit.excerpt]
    return {name: getattr(hit, name) for name in names} | {"excerpt": excerpt}


def _excerpt(hit: "Hit") -> str:
    """The excerpt on a line, what was found in bold; click leaves that out where the output is no terminal."""
    from qwenchat.chat.text import safe

    texts = ((re.sub(r"\s+", " ", safe(piece.text)), piece.hit) for piece in hit.excerpt)
    return "".join(click.style(text, bold=True) if found else text for text, found in texts).strip()


def _when(seconds: float) -> str:
    from qwenchat.chat.dates import local_time

    return local_time(seconds).strftime("%Y-%m-%d %H:%M")


@click.command()
@click.argument("conversation", metavar="ID", shell_complete=complete_conversation)
def show(conversation: str) -> None:
    """Print a conversation; the first digits of its id are enough."""
    from qwenchat.chat.tree import MessageTree
    from qwenchat.plain.transcript import as_text

    with saved_conversations() as library:
        stored = library.read(library.resolve(conversation))
    click.echo(as_text(MessageTree(stored.messages, stored.leaf).path()))


@click.command(cls=TextCommand)
@click.argument("conversation", metavar="ID", shell_complete=complete_conversation)
@click.argument("title", nargs=-1)
def rename(conversation: str, title: tuple[str, ...]) -> None:
    """Give a conversation another title; without one, it is named by what is said in it again."""
    with conversations_to_change() as library:
        id_ = library.resolve(conversation)
        library.rename(id_, " ".join(title))
        process.tell(say("It is called “{title}”.", title=library.read(id_).title))


@click.command()
@click.argument("conversation", metavar="ID", shell_complete=complete_conversation)
@click.option("--off", is_flag=True, help="No more.")
def pin(conversation: str, off: bool) -> None:
    """Keep a conversation above the others."""
    with conversations_to_change() as library:
        library.pin(library.resolve(conversation), not off)
        process.tell(say("It is pinned no more.") if off else say("It is pinned above the others."))


@click.command()
@click.argument("conversation", metavar="ID", shell_complete=complete_conversation)
@click.option("--off", is_flag=True, help="Bring it back.")
def archive(conversation: str, off: bool) -> None:
    """Put a conversation out of the way; `list --archived` and `search` still show it."""
    with conversations_to_change() as library:
        library.archive(library.resolve(conversation), not off)
        process.tell(say("It is archived no more.") if off else say("It is archived; `search` still finds it."))


@click.command()
@click.argument("conversations", metavar="ID...", nargs=-1, required=True, shell_complete=complete_conversation)
@click.option("--yes", is_flag=True, help="Do not ask first.")
def delete(conversations: tuple[str, ...], yes: bool) -> None:
    """Delete conversations for good; asks first."""
    with conversations_to_change() as library:
        ids = dict.fromkeys(library.resolve(conversation) for conversation in conversations)
        known = {row.id: row for row in (*library.conversations(), *library.conversations(archived=True))}
        names = [_name(id_, known.get(id_)) for id_ in ids]
        if not yes and not _agreed(names):
            process.tell(say("Nothing was deleted."))
            return
        for id_ in ids:
            library.delete(id_)
    for name in names:
        click.echo(say("Deleted {name}", name=name))


def _name(conversation: str, row: "Summary | None") -> str:
    from qwenchat.chat.text import safe_line

    if row is None:
        return safe_line(conversation)
    return f"{safe_line(row.id)}  {row.messages:>4}  {safe_line(row.title, 80)}"


def _agreed(names: list[str]) -> bool:
    """Whether the user wants these deleted; raises UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here; --yes deletes without asking.")
    for name in names:
        click.echo(name, err=True)
    return click.confirm(count("Delete it for good?", "Delete these {number} for good?", len(names)), err=True)
