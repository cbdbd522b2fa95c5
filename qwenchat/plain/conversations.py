"""Commands about the saved conversations: listed, found, gone on with, named, put away, written into files."""

import time
from collections.abc import Mapping
from pathlib import Path

from qwenchat.chat.dates import local_time
from qwenchat.chat.errors import ConversationNotFound
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.text import safe_line
from qwenchat.chat.typed_settings import switch_of
from qwenchat.console.commands import Handler
from qwenchat.console.notice import notify
from qwenchat.console.word_wrap import print_wrapped
from qwenchat.i18n.texts import count, listed, say, sentences
from qwenchat.library.exchange.export import ExportFormat, export_to_folder
from qwenchat.plain.transcript import as_text, last_exchange
from qwenchat.reports.statistics import headline
from qwenchat.session.session import Session

LISTED = 20


class ConversationCommands:
    """Handles them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._library = session.library
        self._listed: tuple[str, ...] = ()
        """The ids of the conversations that were numbered last."""
        self.commands: Mapping[str, Handler] = {
            "new": self._new,
            "list": self._list,
            "search": self._search,
            "resume": self._resume,
            "rename": self._rename,
            "pin": self._pin,
            "archive": self._archive,
            "export": self._export,
            "stats": self._stats,
        }

    def greet(self) -> None:
        """Say which conversation is gone on with, and read the end of it."""
        path, id_ = self._session.conversation.path, self._session.conversation.id
        if id_ is None:
            return
        stored = self._library.read(id_)
        messages = count("{number} message", "{number} messages", len(path))
        title = safe_line(stored.title, 80)
        notify(say("“{title}”, {when}, {messages}.", title=title, when=_when(stored.updated), messages=messages))
        if len(last_exchange(path)) < len(path):
            notify(say("The end of it follows; /read reads all, /versions numbers the messages."))
        print_wrapped(f"{as_text(last_exchange(path))}\n")

    def _new(self, rest: str) -> None:
        self._session.new()
        notify(say("A new conversation."))

    def _list(self, rest: str) -> None:
        rows = self._library.conversations(limit=LISTED)
        if not rows:
            notify(say("No conversation is saved yet."))
        self._listed = tuple(row.id for row in rows)
        for number, row in enumerate(rows, 1):
            messages = count("{number} message", "{number} messages", row.messages)
            pinned = say(", pinned") if row.pinned else ""
            print_wrapped(f"{number}. {safe_line(row.title, 80)}, {_when(row.updated)}, {messages}{pinned}")
        if rows:
            notify(say("/resume NUMBER goes on with one of them."))

    def _search(self, rest: str) -> None:
        if not rest:
            notify(say("Write what to look for, as in /search lake geneva."))
            return
        hits = self._library.search(rest, limit=LISTED)
        if not hits:
            notify(say("Nothing was found."))
        self._listed = tuple(hit.conversation for hit in hits)
        for number, hit in enumerate(hits, 1):
            excerpt = safe_line("".join(piece.text for piece in hit.excerpt), 200)
            print_wrapped(f"{number}. {safe_line(hit.title, 80)}, {_when(hit.created)}: {excerpt}")

    def _resume(self, rest: str) -> None:
        if not rest:
            raise ConversationNotFound(
                say("Say which conversation."), say("/list numbers them; /resume 1 goes on with the first.")
            )
        listed = self._listed or tuple(row.id for row in self._library.conversations(limit=LISTED))
        numbered = rest.isdecimal() and 1 <= int(rest) <= len(listed)
        self._session.resume(listed[int(rest) - 1] if numbered else self._library.resolve(rest))
        self.greet()

    def _rename(self, rest: str) -> None:
        id_ = self._open()
        self._library.rename(id_, rest)
        notify(say("It is called “{title}”.", title=self._library.read(id_).title))

    def _pin(self, rest: str) -> None:
        off = _is_off(rest)
        self._library.pin(self._open(), not off)
        notify(say("It is pinned no more.") if off else say("It is pinned above the others."))

    def _archive(self, rest: str) -> None:
        off = _is_off(rest)
        self._library.archive(self._open(), not off)
        notify(say("It is archived no more.") if off else say("It is archived; /search still finds it."))

    def _export(self, rest: str) -> None:

        id_ = self._open()
        if rest and rest not in list(ExportFormat):
            notify(
                sentences(say("Formats are {formats}.", formats=listed(ExportFormat)), did_you_mean(rest, ExportFormat))
            )
            return
        path = export_to_folder(self._library, id_, ExportFormat(rest or ExportFormat.MARKDOWN), Path.cwd())
        notify(say("Written to {path}", path=path))

    def _stats(self, rest: str) -> None:

        found = self._library.statistics(time.time() - 30 * 86_400)
        if not found.total.replies:
            notify(say("Nothing was answered in this time."))
            return
        print(headline(found), flush=True)
        notify(say("`qwenchat stats` lists it by model and by day."))

    def _open(self) -> str:
        """The id of the open conversation; raises ConversationNotFound where nothing was said yet."""
        if self._session.conversation.id is None:
            raise ConversationNotFound(say("Nothing was said in this conversation yet."), say("Write a message first."))
        return self._session.conversation.id


def _is_off(typed: str) -> bool:
    return bool(typed) and not switch_of(typed)


def _when(seconds: float) -> str:
    return f"{local_time(seconds):%Y-%m-%d %H:%M}"
