"""Commands about the messages of the open conversation: asked again, changed, read, deleted."""

import asyncio
import sys
from collections.abc import Callable, Mapping

from qwenchat.chat.errors import MessageNotFound, PromptEmpty
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.text import safe, safe_line
from qwenchat.chat.typed_settings import RetrySettings, retry_settings
from qwenchat.console.commands import Handler
from qwenchat.console.notice import notify
from qwenchat.console.turn_printer import has_cursor
from qwenchat.console.word_wrap import print_wrapped
from qwenchat.i18n.texts import count, say, size
from qwenchat.plain.answering import Answering
from qwenchat.plain.transcript import as_text, who
from qwenchat.reports.message_details import details_as_text as details_as_text
from qwenchat.reports.message_details import details_of
from qwenchat.session.attachments import read, words
from qwenchat.session.session import Session
from qwenchat.system import clipboard

QUOTED = 40
"""Characters of a message that say which one is meant."""


class MessageCommands:
    """Handles them; `load` makes the model of that name ready and says whether it is."""

    def __init__(self, session: Session, answering: Answering, load: Callable[[str], bool]) -> None:
        self._session = session
        self._answering = answering
        self._load = load
        self.commands: Mapping[str, Handler] = {
            "retry": self._retry,
            "edit": self._edit,
            "continue": self._continue,
            "answer": self._answer,
            "read": self._read,
            "versions": self._versions,
            "details": self._details,
            "delete": self._delete,
            "copy": self._copy,
            "undo": self._undo,
        }

    def _retry(self, rest: str) -> None:
        number, _, settings = rest.partition(" ")
        if not number.isdecimal():
            number, settings = "", rest
        again = retry_settings(settings)
        reply = self._numbered(number) if number else self._session.conversation.latest
        if again.model is not None and not self._load(again.model):
            return
        self._ask_again(reply, again)

    def _ask_again(self, reply: Message | None, again: RetrySettings) -> None:
        self._session.replies.retry(reply.id if reply else None, again.overrides, again.thinking)
        siblings = self._session.conversation.tree.siblings(self._session.model.turn.reply_id or "")
        if len(siblings) > 1:
            notify(say("Version {number} of {number}; those before it are kept.", number=len(siblings)))
        self._answering.reply()

    def _edit(self, rest: str) -> None:
        number, colon, text = rest.partition(":")
        if not (colon and number.isdecimal()):
            number, text = "", rest
        mine = [message for message in self._session.conversation.path if message.role is Role.USER]
        if not mine:
            raise MessageNotFound(say("There is no message of yours yet."), say("Write one first."))
        if not text.strip():
            raise PromptEmpty(
                say("There is nothing to put in place of it."),
                say("/edit TEXT changes your last message, /edit 3: TEXT the third one."),
            )
        message = self._numbered(number) if number else mine[-1]
        self._session.edit(message.id, parts_of(text.strip()))
        self._answering.reply()

    def _continue(self, rest: str) -> None:
        before = self._session.conversation.latest
        self._session.replies.go_on()
        if before is not None and before.text.strip():
            line = safe_line(before.text.strip().splitlines()[-1][-QUOTED:])
            notify(say("Going on after “…{line}”.", line=line))
        self._answering.reply()

    def _answer(self, rest: str) -> None:
        self._session.replies.answer_now()
        self._answering.reply()

    def _read(self, rest: str) -> None:
        messages = (self._numbered(rest),) if rest else self._session.conversation.path
        if not messages:
            raise MessageNotFound(say("There is no message yet."), say("Write one first."))
        print_wrapped(as_text(messages))

    def _versions(self, rest: str) -> None:
        if not rest:
            if not self._session.conversation.path:
                raise MessageNotFound(say("There is no message yet."), say("Write one first."))
            lines = [
                f"{at}. {who(message)}{self._version(message)}: {safe_line(message.text, 80) or say('empty')}"
                for at, message in enumerate(self._session.conversation.path, 1)
            ]
            print_wrapped("\n".join(lines))
            return
        number, _, version = rest.partition(" ")
        siblings = self._session.conversation.tree.siblings(self._numbered(number).id)
        if not version.strip().isdecimal() or not 1 <= int(version) <= len(siblings):
            raise MessageNotFound(
                count(
                    "Message {at} has {number} version.",
                    "Message {at} has {number} versions.",
                    len(siblings),
                    at=number,
                ),
                say("/versions 4 2 reads the second."),
            )
        self._session.conversation.select(siblings[int(version) - 1])
        print_wrapped(as_text(self._session.conversation.path[int(number) - 1 :]))

    def _details(self, rest: str) -> None:
        message = self._numbered(rest or str(len(self._session.conversation.path)))
        siblings = self._session.conversation.tree.siblings(message.id)
        account = details_of(
            message, siblings.index(message.id) + 1, len(siblings), self._session.library.timeline(message.id)
        )
        print_wrapped(safe(details_as_text(account)))

    def _delete(self, rest: str) -> None:
        number, _, on = rest.partition(" ")
        number = number or str(len(self._session.conversation.path))
        message = self._numbered(number)
        delete = self._session.conversation.delete_branch if on.strip() == "on" else self._session.conversation.delete
        delete(message.id)
        whose = say("yours") if message.role is Role.USER else who(message)
        quoted = safe_line(message.text, QUOTED)
        if on.strip() == "on":
            notify(say("Deleted message {number}, {who}: “{text}”, and all after it.", number=number, who=whose,
                     text=quoted))  # fmt: skip
        else:
            notify(say("Deleted message {number}, {who}: “{text}”.", number=number, who=whose, text=quoted))
        left = count("{number} message is left.", "{number} messages are left.", len(self._session.conversation.path))
        notify(say("{left} /undo brings back what was deleted.", left=left))

    def _copy(self, rest: str) -> None:
        replies = [
            message
            for message in self._session.conversation.path
            if message.role is Role.ASSISTANT and message.text.strip()
        ]
        if not replies and not rest:
            raise MessageNotFound(say("There is no reply to copy yet."))
        text = safe((self._numbered(rest) if rest else replies[-1]).text)
        number = f"{len(text):,}"
        if tool := asyncio.run(clipboard.copy(text)):
            notify(say("Copied {number} characters through {tool}.", number=number, tool=tool))
        elif has_cursor(sys.stdout) and clipboard.fits_terminal(text):
            print(clipboard.sequence(text), end="", flush=True)
            notify(say("Copied {number} characters through the terminal, if it allows that (OSC 52).", number=number))
        else:
            notify(say("There is nothing here that copies. /read reads the message."))

    def _undo(self, rest: str) -> None:
        self._session.conversation.undo_delete()
        notify(
            count(
                "Brought back. There is {number} message.",
                "Brought back. There are {number} messages.",
                len(self._session.conversation.path),
            )
        )

    def _numbered(self, number: str) -> Message:
        """The message with the number that `/versions` gives it."""
        path = self._session.conversation.path
        if not path:
            raise MessageNotFound(say("There is no message yet."), say("Write one first."))
        if not number.isdecimal() or not 1 <= int(number) <= len(path):
            raise MessageNotFound(
                say("There is no message {number}.", number=safe_line(number)),
                say("/versions numbers them, 1 to {last}.", last=len(path)),
            )
        return path[int(number) - 1]

    def _version(self, message: Message) -> str:
        siblings = self._session.conversation.tree.siblings(message.id)
        number, versions = siblings.index(message.id) + 1, len(siblings)
        return say(", version {number} of {versions}", number=number, versions=versions) if versions > 1 else ""


def parts_of(text: str) -> tuple[TextPart, ...]:
    """The text with the files below it, having said what was attached. Raises AttachmentRefused."""
    parts = [TextPart(text)]
    for word in dict.fromkeys(word for _, word in words(text)):
        name = safe_line(word.removeprefix("@").strip('"'))
        attachment = read(word)
        if attachment is None:
            notify(say("There is no file {name}; {word} goes as plain text.", name=name, word=safe_line(word)))
            continue
        lines = count("{number:,} line", "{number:,} lines", len(attachment.text.splitlines()))
        weight = size(len(attachment.text.encode(errors="replace")))
        notify(say("Attached {name}: {lines}, {size}.", name=name, lines=lines, size=weight))
        parts.append(attachment.part())
    return tuple(parts)


def typed_of(message: Message) -> str:
    """A message as it was typed, without the files that went with it."""
    parts = (part for part in message.parts if isinstance(part, TextPart))
    return "".join(part.text for part in parts if not part.origin.startswith("@"))
