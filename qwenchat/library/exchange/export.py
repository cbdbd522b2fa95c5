"""Conversations of a library written out, in one of three formats."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from qwenchat.chat.errors import ExportFailed, LibraryError
from qwenchat.chat.messages import new_id
from qwenchat.i18n.texts import say
from qwenchat.library.conversation import Conversation
from qwenchat.library.exchange import markdown, native, openai
from qwenchat.library.exchange.filename import free_path
from qwenchat.library.exchange.native import Timelines
from qwenchat.library.library import Library
from qwenchat.system.private_files import private


class ExportFormat(StrEnum):
    """How a conversation is written; each is also the suffix of its files."""

    MARKDOWN = "md"
    """For reading: the branch that is open."""
    JSON = "json"
    """All of it, to be imported again."""
    JSONL = "jsonl"
    """A line of messages, for fine-tuning."""

    @property
    def suffix(self) -> str:
        """The end of the names of such files."""
        return f".{self}"


def read_whole(library: Library, id_: str) -> tuple[Conversation, Timelines]:
    """A conversation and when the pieces of its messages came; raises LibraryError."""
    conversation = library.read(id_)
    timelines = {}
    for message in conversation.messages:
        with suppress(LibraryError):  # what was said can be read without knowing when
            timelines[message.id] = library.timeline(message.id)
    return conversation, {id_: ticks for id_, ticks in timelines.items() if ticks}


def written(
    conversations: Iterable[tuple[Conversation, Timelines]], format: ExportFormat, *, thoughts: bool = True
) -> Iterator[str]:
    """The text of a file that holds these conversations, in pieces. JSON is always complete."""
    match format:
        case ExportFormat.JSON:
            yield from native.written(conversations)
        case ExportFormat.JSONL:
            for conversation, _ in conversations:
                yield openai.written(markdown.tree_in(conversation).path(), thoughts=thoughts) or ""
        case ExportFormat.MARKDOWN:
            between = ""
            for conversation, _ in conversations:
                yield between + markdown.written(conversation, thoughts=thoughts)
                between = "\n---\n\n"


def write(path: Path, pieces: Iterable[str], *, replacing: bool = False) -> None:
    """Write a file for its owner alone, all of it or nothing; one that is replaced stays readable for whom it was.

    Raises ExportFailed, also where one stands already and is not to go."""
    if not replacing and (path.exists() or path.is_symlink()):
        raise ExportFailed(
            say("{path} is there already.", path=path), say("It was left as it is; --force replaces it.")
        )
    if path.exists() and not path.is_file():
        raise ExportFailed(say("{path} is no file.", path=path))
    path = path.resolve()
    partial = path.with_name(f".{new_id()}.partial")
    try:
        with open(partial, "x", encoding="utf-8", errors="replace", newline="\n", opener=private) as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        if replacing:
            if path.exists():  # who may read it was decided before
                partial.chmod(path.stat().st_mode & 0o777)
            partial.replace(path)
        else:
            _put_where_nothing_is(partial, path)
    except OSError as error:
        raise ExportFailed(
            say("{path} cannot be written: {error}.", path=path, error=error.strerror or error)
        ) from error
    finally:
        with suppress(OSError):  # its folder may be none
            partial.unlink()


def _put_where_nothing_is(partial: Path, path: Path) -> None:
    """Give a file its name, unless another has got it meanwhile."""
    try:
        path.hardlink_to(partial)
    except OSError:
        if path.exists():
            raise
        # A file system without links.
        partial.rename(path)


def export_to_folder(library: Library, id_: str, format: ExportFormat, folder: Path) -> Path:
    """Write a conversation into a new file in `folder`, named after its title, and return its path.

    Raises LibraryError and ExportFailed.
    """
    whole = read_whole(library, id_)
    path = free_path(folder, whole[0].title, format.suffix)
    write(path, written([whole], format))
    return path
