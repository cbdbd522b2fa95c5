"""Messages that were sent while a reply comes: each is sent by itself when the one before it was answered."""

import asyncio
from collections.abc import Awaitable, Callable

from qwenchat.chat.draft import QueuedMessage
from qwenchat.chat.messages import Role, Status, TextPart
from qwenchat.i18n.texts import say
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.drafts import Drafts
from qwenchat.tui.chat.message_actions import MessageActions
from qwenchat.tui.text.pasted import joined
from qwenchat.tui.widgets.queued_line import QueuedLine


class SendQueue:
    """Sends what waits in its order, or puts all of it back into the draft; no word of it is only in memory.

    `fits` says whether a message can be sent, and says why not.
    """

    def __init__(
        self, context: ChatContext, drafts: Drafts, branches: MessageActions,
        fits: Callable[[tuple[TextPart, ...]], Awaitable[bool]],
    ) -> None:  # fmt: skip
        self._session, self._composer, self._notify_user = context.session, context.composer, context.notify_user
        self._drafts = drafts
        self._message_actions = branches
        self._fits = fits
        self._sending: asyncio.Task[None] | None = None
        self.line = QueuedLine()

    @property
    def is_due(self) -> bool:
        """Whether a message has to wait now."""
        return self._session.busy or bool(self._drafts.queued)

    def put(self, message: QueuedMessage) -> None:
        """Let a message wait, the one that stands in the composer."""
        self._drafts.queued.append(message)
        self._composer.write("")
        self._drafts.bring_back()
        self._drafts.keep()

    def take_back(self) -> bool:
        """Put the last one into the draft, if that is empty; says whether there was one."""
        if self._composer.text or not self._drafts.queued:
            return False
        self._composer.write(self._drafts.queued.pop().draft)
        self._drafts.keep()
        return True

    def draw(self) -> None:
        """Show what waits, and when the reply has ended send the first of it; called often."""
        self.line.show([message.draft.text for message in self._drafts.queued])
        if not self._drafts.queued or self._session.busy or (self._sending and not self._sending.done()):
            return
        if self._was_answered():
            self._sending = asyncio.get_running_loop().create_task(self._send(self._drafts.queued[0]))
        else:
            self._give_back()
            self._notify_user(say("The reply did not end by itself; what was to follow it is in the draft again."))

    def _was_answered(self) -> bool:
        """Whether the latest reply ended as the model meant it to."""
        latest = self._session.conversation.latest
        whole = latest is not None and latest.role is Role.ASSISTANT and latest.status is Status.COMPLETE
        return whole and self._session.replies.interrupted is None and not self._session.replies.lacks_results

    async def _send(self, message: QueuedMessage) -> None:
        fits = await self._fits(message.parts)
        queued = self._drafts.queued
        if not queued or queued[0] is not message or self._session.busy:
            return  # taken back or left behind meanwhile
        if fits and self._message_actions.attempt(lambda: self._begin(message)):
            queued.pop(0)
            self._drafts.keep()
        else:
            self._give_back()

    def _begin(self, message: QueuedMessage) -> None:
        self._session.apply_soft_switch("".join(part.text for part in message.parts if not part.origin))
        self._message_actions.begin_turn(lambda: self._session.send(message.parts, message.typed), follow=False)

    def _give_back(self) -> None:
        """Put all that waits into the draft, before what is being written."""
        drafts = [message.draft for message in self._drafts.queued]
        self._drafts.queued.clear()
        self._composer.write(joined((*drafts, self._composer.draft)))
        self._drafts.keep()
