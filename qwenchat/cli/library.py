"""The saved conversations, opened for a command."""

from collections.abc import Iterator
from contextlib import contextmanager

from qwenchat.chat.errors import LibraryUnwritable
from qwenchat.console.notice import notify
from qwenchat.i18n.texts import say
from qwenchat.library.library import Library
from qwenchat.system.paths import Paths


@contextmanager
def saved_conversations() -> Iterator[Library]:
    """The saved conversations, to be read; nothing is made where there are none."""
    path = Paths.of_user().database
    library = Library.open(path) if any(path.parent.glob(f"{path.name}*")) else Library.in_memory()
    if library.notice:
        notify(library.notice)
    try:
        yield library
    finally:
        library.close()


@contextmanager
def conversations_to_change() -> Iterator[Library]:
    """The saved conversations; raises LibraryUnwritable where a change would not last."""
    with saved_conversations() as library:
        if library.notice and library.in_memory_only:
            raise LibraryUnwritable(
                say("Nothing was changed."), say("Saved conversations must be readable and writable.")
            )
        yield library
