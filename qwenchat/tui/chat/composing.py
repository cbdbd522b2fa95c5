"""What is written, on its way: sent, handled as a command, changed in an editor, brought back from earlier."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from qwenchat.chat.draft import Draft, QueuedMessage
from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.messages import TextPart
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.text import safe_line
from qwenchat.chat.thinking import soft_switch
from qwenchat.chat.timeline import Tick
from qwenchat.i18n.texts import count, say
from qwenchat.session.attachments import AttachmentRefused
from qwenchat.tui.chat.command_dispatch import CommandDispatcher
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.draft_files import DraftFiles
from qwenchat.tui.chat.draft_size import DraftSize
from qwenchat.tui.chat.drafts import Drafts
from qwenchat.tui.chat.external_editor import edited
from qwenchat.tui.chat.message_actions import MessageActions
from qwenchat.tui.chat.prompt_history import PromptHistory
from qwenchat.tui.chat.send_queue import SendQueue
from qwenchat.tui.keys.bindings import key_shown
from qwenchat.tui.keys.slash_commands import command_of, switch_of

QUOTES = '"""'
"""They begin and end a message of several lines, in which Enter breaks the line."""
COUNTS_WITHIN_S = 3.0
"""How long a long message waits to be counted; where nobody counts, it is then sent."""


class Composing:
    """Carries what stands in the composer to where it belongs."""

    def __init__(
        self, context: ChatContext, drafts: Drafts, branches: MessageActions, commands: CommandDispatcher
    ) -> None:
        self._session, self._composer, self._notify_user = context.session, context.composer, context.notify_user
        self._drafts = drafts
        self._message_actions = branches
        self._commands = commands
        self._history = PromptHistory(context.session.library, context.composer)
        self._attachments = DraftFiles()
        self._weight = DraftSize(context.session)
        self.queue = SendQueue(context, drafts, branches, self._fits)
        self._inspection: asyncio.Task[None] | None = None
        self._text = ""
        """What the model would read of the draft as it stands."""

    def changed(self) -> None:
        """Something was written."""
        self._drafts.changed()
        self._drafts.bring_back()
        self._text = self._read()
        if not self._is_command() and not self._attachments.is_known(self._composer.text):
            if self._inspection is not None:
                self._inspection.cancel()
            self._inspection = asyncio.get_running_loop().create_task(self._look())

    def draw(self) -> None:
        """Save the draft when it is due, and let the model read it when the writing has paused."""
        self._drafts.keep_if_due()
        self.queue.draw()
        self._composer.soft_switches = self._session.model.support is ThinkingSupport.SWITCHED
        if self._drafts.comes_to_rest():
            self._count_tokens()
        if self._attachments.attached:
            self._show_files()

    def hint(self, otherwise: str) -> str:
        """What the composer's edge says: how much is written, while somebody writes, and what else there is to say."""
        silent = self._is_command() or not self._composer.has_focus
        if self._is_quote_open():
            return say("{quotes} ends the message", quotes=QUOTES)
        words = "" if silent else self._weight.words(self._text)
        if self._composer.dropdown.display:
            return say("{key} closes the list", key=key_shown(self._composer, "dropdown.close", "escape"))
        if self._message_actions.editing is not None:
            return words  # above the draft it is said what Esc does then
        return f"{words} · {otherwise}" if words and otherwise else words or otherwise

    async def send(self) -> bool:
        """Send what is written as a message, or handle the command that it is; says whether that was done.

        While a reply comes, a message waits for its end; one that stands for another must be sent later.
        """
        draft = self._draft()
        if not draft.text.strip():
            return False
        if self._is_quote_open():
            self._composer.put("\n")
            return False
        if self._message_actions.editing is None and draft.text.lstrip().startswith("/"):
            if not self._message_actions.attempt(lambda: self._handle(draft.whole)):
                return False
            if not self._composer.text:
                self._drafts.bring_back()
                return True
        if self.queue.is_due and self._message_actions.editing is None:
            return await self._let_wait(draft)
        return await self.deliver(self._say)

    async def _let_wait(self, draft: Draft) -> bool:
        parts = await self._parts_of(draft)
        if parts:
            self.queue.put(QueuedMessage(draft, parts, self._typed(parts)))
        return bool(parts)

    async def deliver(self, take: Callable[[tuple[TextPart, ...], Sequence[Tick]], object]) -> bool:
        """Give what is written, and how, to `take` as a message with its files, if there can be one now; says so."""
        draft = self._draft()
        if self._session.busy:
            self._notify_user(say("The model is still answering; the draft is kept. Esc stops the reply."))
            return False
        parts = await self._parts_of(draft)
        if not parts or not await self._fits(parts):
            return False
        typed = "".join(part.text for part in parts if not part.origin)
        self._session.apply_soft_switch(typed)
        if not self._message_actions.attempt(lambda: take(parts, self._typed(parts))):
            return False
        self._say_of_switch(typed)
        return True

    def _say_of_switch(self, typed: str) -> None:
        """Say that a soft switch does nothing, where the model has none."""
        asked, support = soft_switch(typed), self._session.model.support
        if asked and support is ThinkingSupport.NONE:
            self._notify_user(say("This model does not think before it answers."))
        elif asked is False and support is ThinkingSupport.ALWAYS:
            self._notify_user(say("This model always thinks; it has no switch."))

    def _draft(self) -> Draft:
        """What is written, without the quotes around it."""
        draft = self._composer.draft
        text = draft.text.strip()
        if text.count(QUOTES) == 2 and text.startswith(QUOTES) and text.endswith(QUOTES):
            return replace(draft, text=text[len(QUOTES) : -len(QUOTES)].strip("\n"))
        return draft

    def _is_quote_open(self) -> bool:
        text = self._composer.text.lstrip()
        return text.startswith(QUOTES) and QUOTES not in text[len(QUOTES) :]

    async def _parts_of(self, draft: Draft) -> tuple[TextPart, ...]:
        """A draft as a message with its files; nothing, having said why, where one of them is refused."""
        try:
            files = await self._attachments.for_sending(draft.text, self._earlier())
        except AttachmentRefused as refused:
            self._notify_user(str(refused))
            return ()
        for word in self._attachments.missing:
            name = safe_line(word.removeprefix("@").strip('"'))
            self._notify_user(
                say("There is no file {name}; {word} goes as plain text.", name=name, word=safe_line(word))
            )
        return (*draft.parts(), *files)

    def _typed(self, parts: Sequence[TextPart]) -> tuple[Tick, ...]:
        """How the message came to be what it is, for replay."""
        return self._composer.typed("".join(part.text for part in parts))

    def recall(self, by: int) -> bool:
        """Bring back the message before (-1) or after (1) the one that was brought back; False if that is not meant.

        One that waits to be sent comes first.
        """
        return (by < 0 and self.queue.take_back()) or self._history.go(by)

    def begin_command(self, command: str) -> None:
        """Write a command that is to be completed; what was written comes back after it."""
        if self._message_actions.editing is not None:
            self._message_actions.leave_edit()
        self._drafts.set_aside(command)
        self._composer.focus()

    def edit_elsewhere(self) -> None:
        """Go on writing in the user's editor; the labels of what was pasted stay labels there."""
        self._message_actions.attempt(self._edit_elsewhere)

    def _edit_elsewhere(self) -> None:
        draft = self._composer.draft
        self._composer.write(draft.of(edited(self._composer.app, draft.text), draft.blocks))

    def _handle(self, text: str) -> None:
        """Handle the command that `text` is, if it is one; raises QwenchatError when it cannot be done."""
        switch = switch_of(text)
        command = switch or command_of(text)
        if command is None:
            return
        draft = self._composer.draft
        self._composer.write("")
        try:
            self._commands.handle(*command, self._message_actions)
        except QwenchatError:
            if switch is None:  # one that this model does not have need not be corrected
                self._composer.write(draft)
            raise

    async def _fits(self, parts: tuple[TextPart, ...]) -> bool:
        """Whether a message fits the context; one that may not is counted first, if it can be."""
        text = "".join(part.text for part in parts)
        if self._weight.is_doubtful(text) and not self._weight.too_long(text):
            self._session.read_ahead.write(text)
            until = time.monotonic() + COUNTS_WITHIN_S
            while self._session.read_ahead.size_of(text) is None and time.monotonic() < until:
                await asyncio.sleep(0.02)
        if why := self._weight.too_long(text):
            self._notify_user(why)
        return not why

    def _say(self, parts: tuple[TextPart, ...], typed: Sequence[Tick]) -> None:
        if self._message_actions.editing is not None:
            self._message_actions.send_edit(parts, typed)
        else:
            self._message_actions.begin_turn(lambda: self._session.send(parts, typed))
            self._drafts.drop()
            self._drafts.enter(self._session.conversation.id)

    def _earlier(self) -> Mapping[str, TextPart]:
        """The files that the message which is being changed had."""
        if self._message_actions.editing is None:
            return {}
        parts = self._session.conversation.tree[self._message_actions.editing].parts
        return {part.origin: part for part in parts if isinstance(part, TextPart) and part.origin.startswith("@")}

    async def _look(self) -> None:
        """Read the files that are named."""
        before = self._attachments.refused
        await self._attachments.look(self._composer.text)
        for refused in self._attachments.refused:
            if refused not in before:
                self._notify_user(str(refused))
        self._show_files()
        self._text = self._read()
        self._count_tokens()

    def _show_files(self) -> None:
        """Say above the draft what each attached file costs, and which ones are not there."""
        written = self._composer.text
        missing = tuple(word for word in self._attachments.missing if not written.endswith(word))  # not while it grows
        self._composer.show_attached(tuple(self._costs()), missing)

    def _read(self) -> str:
        files = "".join(one.part().text for one in self._attachments.attached)
        return self._composer.draft.whole + files

    def _count_tokens(self) -> None:
        """Let the model read the message, and count it."""
        if self._message_actions.editing is None:
            pieces = tuple(one.part().text for one in self._attachments.attached)
            self._session.read_ahead.write("" if self._is_command() else self._text, pieces)

    def _is_command(self) -> bool:
        """Whether what is written may be or become a command."""
        return self._text.startswith("/")

    def _costs(self) -> list[tuple[str, str]]:
        """The attached files, each with what it costs."""
        counted, attached = self._session.read_ahead.size_of(self._text), self._attachments.attached
        exact = counted.pieces if counted is not None and len(counted.pieces) == len(attached) else None
        costs = exact or [self._weight.tokens(one.text) for one in attached]
        return [
            (one.word, count("{number:,} token", "{number:,} tokens", cost))
            for one, cost in zip(attached, costs, strict=True)
        ]
