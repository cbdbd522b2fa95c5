"""The saved conversations on the command line: listed, searched, shown, changed and deleted."""

import re
import sys

import click

from qwenchat.chat.dates import local_time
from qwenchat.chat.text import safe, safe_json, safe_line
from qwenchat.chat.tree import MessageTree
from qwenchat.cli.library import conversations_to_change, saved_conversations
from qwenchat.cli.options import complete_conversation
from qwenchat.cli.text_command import TextCommand
from qwenchat.console.notice import notify
from qwenchat.i18n.texts import count, say
from qwenchat.library.library import Hit, Summary
from qwenchat.plain.transcript import as_text

_LISTED = ("id", "title", "updated", "model", "messages", "pinned", "archived")
"""What `list --json` says of a conversation."""


@click.command("list")
@click.option("--archived", is_flag=True, help="Those that were archived, in place of the others.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_command(archived: bool, limit: int | None, as_json: bool) -> None:
    """List the saved conversations: pinned ones first, then the latest."""
    with saved_conversations() as library:
        rows = library.conversations(limit, archived=archived)
    if as_json:
        click.echo(safe_json([{name: getattr(row, name) for name in _LISTED} for row in rows]))
    elif not rows:
        notify(say("No conversation is archived.") if archived else say("No conversation is saved yet."))
    for row in () if as_json else rows:
        click.echo(f"{safe_line(row.id)}  {_when(row.updated)}  {row.messages:>4}  {_titled(row.title)}")


@click.command(cls=TextCommand)
@click.argument("words", nargs=-1, required=True)
@click.option("--thoughts", is_flag=True, help="Search in thoughts too.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def search(words: tuple[str, ...], thoughts: bool, limit: int, as_json: bool) -> None:
    """Find messages that have all WORDS, the best first; quotes within an argument make a phrase."""
    with saved_conversations() as library:
        hits = library.search(" ".join(words), thoughts=thoughts, limit=limit)
    if as_json:
        click.echo(safe_json([_as_dict(hit) for hit in hits]))
    elif not hits:
        notify(say("Nothing was found."))
    for hit in () if as_json else hits:
        click.echo(f"{safe_line(hit.conversation)}  {_when(hit.created)}  {_titled(hit.title)}")
        click.echo(f"    {_excerpt(hit)}")


def _as_dict(hit: Hit) -> dict[str, object]:
    names = ("conversation", "title", "message", "role", "created")
    excerpt = [{"text": piece.text, "hit": piece.hit} for piece in hit.excerpt]
    return {name: getattr(hit, name) for name in names} | {"excerpt": excerpt}


def _excerpt(hit: Hit) -> str:
    """The excerpt on a line, what was found in bold; click leaves that out where the output is no terminal."""
    texts = ((re.sub(r"\s+", " ", safe(piece.text)), piece.hit) for piece in hit.excerpt)
    return "".join(click.style(text, bold=True) if found else text for text, found in texts).strip()


def _titled(title: str) -> str:
    return safe_line(title, 80) or say("Untitled")


def _when(seconds: float) -> str:

    return local_time(seconds).strftime("%Y-%m-%d %H:%M")


@click.command()
@click.argument("conversation", metavar="ID", shell_complete=complete_conversation)
def show(conversation: str) -> None:
    """Print a conversation; the first digits of its id are enough."""
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
        notify(say("It is called “{title}”.", title=library.read(id_).title))


@click.command()
@click.argument("conversation", metavar="ID", shell_complete=complete_conversation)
@click.option("--off", is_flag=True, help="No more.")
def pin(conversation: str, off: bool) -> None:
    """Keep a conversation above the others."""
    with conversations_to_change() as library:
        library.pin(library.resolve(conversation), not off)
        notify(say("It is pinned no more.") if off else say("It is pinned above the others."))


@click.command()
@click.argument("conversation", metavar="ID", shell_complete=complete_conversation)
@click.option("--off", is_flag=True, help="Bring it back.")
def archive(conversation: str, off: bool) -> None:
    """Put a conversation out of the way; `list --archived` and `search` still show it."""
    with conversations_to_change() as library:
        library.archive(library.resolve(conversation), not off)
        notify(say("It is archived no more.") if off else say("It is archived; `search` still finds it."))


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
            notify(say("Nothing was deleted."))
            return
        for id_ in ids:
            library.delete(id_)
    for name in names:
        click.echo(say("Deleted {name}", name=name))


def _name(conversation: str, row: Summary | None) -> str:

    if row is None:
        return safe_line(conversation)
    return f"{safe_line(row.id)}  {row.messages:>4}  {_titled(row.title)}"


def _agreed(names: list[str]) -> bool:
    """Whether the user wants these deleted; raises UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here; --yes deletes without asking.")
    for name in names:
        click.echo(name, err=True)
    return click.confirm(count("Delete it for good?", "Delete these {number} for good?", len(names)), err=True)
