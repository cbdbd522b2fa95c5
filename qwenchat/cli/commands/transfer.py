"""Conversations in and out on the command line."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

import click

from qwenchat.chat.errors import ExportFailed, ImportFailed, LibraryError, LibraryUnwritable, MessageTooLarge
from qwenchat.chat.events import LoadProgressed
from qwenchat.chat.text import safe_line
from qwenchat.cli.library import saved_conversations
from qwenchat.cli.options import Choice, FileName, complete_conversation
from qwenchat.cli.process import said_if_waiting
from qwenchat.console.notice import notify
from qwenchat.console.turn_printer import LoadReport
from qwenchat.i18n.texts import count, say
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange.archive import opened
from qwenchat.library.exchange.export import ExportFormat, read_whole, write, written
from qwenchat.library.exchange.filename import names_for
from qwenchat.library.exchange.importer import Importer
from qwenchat.library.exchange.native import Timelines
from qwenchat.library.exchange.parsed import ParsedConversation, UnusableEntry
from qwenchat.library.exchange.reading import conversations_in
from qwenchat.library.library import Library
from qwenchat.system.paths import Paths
from qwenchat.system.private_files import make_private_folder
from qwenchat.system.regular_file import open_stream

_FORMATS = ("md", "json", "jsonl")
_SHOWN_EVERY_S = 0.2
_LISTED = 50
"""How many problems of one file are listed."""


@click.command("export")
@click.argument("conversations", nargs=-1, metavar="[ID]...", shell_complete=complete_conversation)
@click.option("--all", "everything", is_flag=True, help="All conversations, archived ones too.")
@click.option(
    "--format", "format_", type=Choice(_FORMATS),
    help="md to read, json to import again, jsonl for fine-tuning; by default what the name after -o says, or md.",
)  # fmt: skip
@click.option(
    "-o", "--output", metavar="PATH", type=FileName(allow_dash=True),
    help="A file, or a folder for one file a conversation; by default standard output.",
)  # fmt: skip
@click.option("--thoughts/--no-thoughts", default=None, help="With what was thought, which is the default, or without.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
def export_command(
    conversations: tuple[str, ...],
    everything: bool,
    format_: str | None,
    output: str | None,
    thoughts: bool | None,
    force: bool,
) -> None:
    """Write conversations as Markdown, JSON or JSONL; the first digits of an id are enough."""
    if everything == bool(conversations):
        raise click.UsageError("Give the ids of conversations, or --all.")
    output = None if output == "-" else output
    chosen = ExportFormat(format_ or _format_of(output))
    if chosen is ExportFormat.JSON and thoughts is False:
        raise click.UsageError("json is always complete; --no-thoughts goes with md and jsonl.")
    with saved_conversations() as library:
        titles = _titles(library, conversations)
        reading = _Reading(library, titles)
        if output is not None and (output.endswith(os.sep) or Path(output).is_dir()):
            _write_each(reading, titles, chosen, Path(output), thoughts is not False, force)
        else:
            pieces = _some(written(reading, chosen, thoughts=thoughts is not False))
            if output is None:
                _print(pieces)
            else:
                write(Path(output), pieces, replacing=force)
                notify(say("Wrote {output}", output=Path(output).absolute()))
    sys.exit(1 if reading.failed else 0)


def _format_of(output: str | None) -> str:
    suffix = Path(output or "").suffix.lower().lstrip(".")
    return suffix if suffix in _FORMATS else _FORMATS[0]


def _titles(library: Library, asked: tuple[str, ...]) -> dict[str, str]:
    """The ids that were asked for, or all in an order that does not depend on the library, and their titles."""
    rows = [*library.conversations(), *library.conversations(archived=True)]
    titles = {row.id: row.title for row in sorted(rows, key=lambda row: (row.created, row.id))}
    ids = [library.resolve(prefix) for prefix in asked] or titles
    return {id_: titles.get(id_, "") for id_ in ids}


class _Reading:
    """The conversations that are to be written, read one at a time; one that cannot be is said and left out."""

    def __init__(self, library: Library, ids: Iterable[str]) -> None:
        self.failed = False
        self._library = library
        self._ids = tuple(ids)

    def __iter__(self) -> Iterator[tuple[Conversation, Timelines]]:

        for id_ in self._ids:
            try:
                whole = read_whole(self._library, id_)
            except LibraryError as error:
                self.fail(say("{id} was left out. {error}", id=id_, error=error))
                continue
            yield whole

    def fail(self, why: str) -> None:
        """Say what could not be written."""
        notify(why)
        self.failed = True


def _write_each(
    reading: _Reading, titles: dict[str, str], chosen: ExportFormat, folder: Path, thoughts: bool, force: bool
) -> None:
    """Write each conversation into a file of its own."""
    make_private_folder(folder)
    names = names_for(titles, chosen.suffix)
    done: list[Path] = []
    for whole in reading:
        try:
            file = folder.resolve() / names[whole[0].id]
            write(file, written([whole], chosen, thoughts=thoughts), replacing=force)
            done.append(file)
        except ExportFailed as error:
            reading.fail(str(error))
    if len(done) == 1:
        notify(say("Wrote {output}", output=done[0]))
    else:
        notify(
            count(
                "Wrote {number} file into {folder}", "Wrote {number} files into {folder}", len(done),
                folder=folder.resolve(),
            )
        )  # fmt: skip


def _some(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces; says so when all of them are empty."""
    empty = True
    for piece in pieces:
        empty = empty and not piece
        yield piece
    if empty:
        notify(say("There is nothing to write: no conversation, or none with a complete reply."))


def _print(pieces: Iterable[str]) -> None:
    """Write to standard output: files are UTF-8 whatever the locale says."""
    terminal = sys.stdout.isatty()
    for piece in pieces:
        click.echo(piece if terminal else piece.encode("utf-8", errors="replace"), nl=False)


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=FileName(allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Say what would be imported, and leave everything as it is.")
def import_command(files: tuple[str, ...], dry_run: bool) -> None:
    """Take in conversations: qwenchat's JSON, ChatGPT's conversations.json or its zip, lists of messages.

    `-` reads standard input. What is here already is left alone; exit code 1 when something could not be read.
    """
    with _library(dry_run) as library:
        importer = Importer(library, dry_run=dry_run)
        reports = [_import(name, importer, dry_run) for name in files]
    sys.exit(0 if all(reports) else 1)


@contextmanager
def _library(dry_run: bool) -> Iterator[Library]:
    """The library to import into; raises LibraryUnwritable where nothing would be kept."""
    if dry_run:
        with saved_conversations() as library:
            yield library
        return
    library = Library.open(Paths.of_user().database)
    try:
        if library.in_memory_only:
            raise LibraryUnwritable(say("Nothing was imported."), library.notice)
        if library.notice:
            notify(library.notice)
        yield library
    finally:
        library.close()


def _import(name: str, importer: Importer, dry_run: bool) -> bool:
    """Import one file, say what came of it, and return whether all of it was right."""
    stats = _Tally(say("standard input") if name == "-" else name)
    try:
        with _open(name) as file, opened(file) as parts:
            size = os.fstat(file.fileno()).st_size if name != "-" else 0
            for part in parts:
                for found in conversations_in(part):
                    stats.add(found, importer)
                    if size:
                        stats.show(file.tell(), size)
    except ImportFailed as error:
        stats.problem(str(error))
    except OSError as error:
        stats.problem(say("It cannot be read: {error}.", error=error.strerror or error))
    finally:
        stats.say(dry_run)
    return not stats.problems


def _open(name: str) -> AbstractContextManager[IO[bytes]]:
    if name == "-":
        return nullcontext(sys.stdin.buffer)
    with said_if_waiting(Path(name)):
        return open_stream(Path(name))


class _Tally:
    """What became of the conversations of one file."""

    def __init__(self, name: str) -> None:

        self.problems = 0
        self._name = name
        self._fates: Counter[str] = Counter()
        self._report = LoadReport()
        self._shown_at = 0.0

    def add(self, found: ParsedConversation | UnusableEntry, importer: Importer) -> None:
        """Take in what was found, and say what of it could not be."""

        if isinstance(found, UnusableEntry):
            self._fates["not usable"] += 1
            self.problem(say("{where}: {why}.", where=found.where, why=found.why))
            return
        try:
            self._fates[importer.take(found)] += 1
        except MessageTooLarge as error:
            self._fates["not usable"] += 1
            self.problem(say("{where}: {why}.", where=found.where, why=str(error).rstrip(".")))
            return
        title = safe_line(found.conversation.title, 60)
        for problem in found.problems:
            self.problem(say("{where}, “{title}”, {problem}.", where=found.where, title=title, problem=problem))

    def problem(self, what: str) -> None:
        """Say what could not be read; when there are very many, no more than a number of them."""
        self.problems += 1
        self._report.clear()
        if self.problems <= _LISTED:
            notify(say("{name}: {problem}", name=self._name, problem=what))

    def show(self, done: int, size: int) -> None:
        """Show on a terminal how far it is."""

        if time.monotonic() - self._shown_at >= _SHOWN_EVERY_S:
            self._shown_at = time.monotonic()
            self._report.show(LoadProgressed(say("reading {name}", name=self._name), done, size))

    def say(self, dry_run: bool) -> None:
        """Say how many of each there were."""

        self._report.clear()
        if self.problems > _LISTED:
            notify(say("{name}: and {number:,} more like these.", name=self._name, number=self.problems - _LISTED))
        counts = say(", ").join(_counted(fate, number, dry_run) for fate, number in self._fates.items())
        click.echo(say("{name}: {counts}", name=safe_line(self._name), counts=counts or say("nothing imported")))


def _counted(fate: str, number: int, dry_run: bool) -> str:
    """How many conversations had that fate."""
    match fate:
        case "imported" if dry_run:
            return say("{number:,} would be imported", number=number)
        case "imported":
            return say("{number:,} imported", number=number)
        case "already here":
            return say("{number:,} already here", number=number)
    return say("{number:,} not usable", number=number)
