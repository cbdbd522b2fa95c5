"""What a reader does to the messages: change one, ask again, go on, delete, bring back, walk between versions."""

from collections.abc import Callable, Mapping, Sequence

from qwenchat.chat.branch_point import ReplyPrefix
from qwenchat.chat.continuation import NOTHING
from qwenchat.chat.errors import MessageNotFound, PromptEmpty, QwenchatError
from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.chat.timeline import Tick
from qwenchat.chat.typed_settings import retry_settings
from qwenchat.i18n.texts import count, say
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.copying import Copying
from qwenchat.tui.chat.drafts import Drafts
from qwenchat.tui.chat.event_feed import EventFeed
from qwenchat.tui.chat.inspection import Inspection
from qwenchat.tui.text.pasted import draft_of
from qwenchat.tui.transcript.message_base import MessageWidget


class MessageActions:
    """Carries the reader's wishes to the session and shows what became of them."""

    def __init__(
        self, context: ChatContext, drafts: Drafts, feed: EventFeed, load: Callable[[str], None], looking: Inspection
    ) -> None:
        self._session, self._notify_user = context.session, context.notify_user
        self._transcript, self._composer = context.transcript, context.composer
        self._drafts = drafts
        self._feed = feed
        self._copying = Copying(context)
        self._load = load
        self._inspection = looking
        self.editing: str | None = None
        """The id of the message that is being changed in the composer."""
        self.acts: Mapping[str, Callable[[str | None], None]] = {
            "edit": self._begin_edit,
            "retry": self.retry,
            "continue": self._go_on,
            "copy": lambda at: self._copying.written(self._message(at, Role.ASSISTANT)),
            "copy_plain": lambda at: self._copying.plain(self._message(at, Role.ASSISTANT)),
            "code": lambda at: self._copying.code(self._message(at, Role.ASSISTANT)),
            "wrap": lambda at: self._wrap(self._message(at, Role.ASSISTANT)),
            "menu": lambda at: self._copying.menu(self.act, self.impossible(self._message(at, Role.ASSISTANT).id)),
            "inspect": lambda at: self._inspection.inspect(self._message(at, Role.ASSISTANT)),
            "lens": lambda at: self._inspection.lens(self._message(at, Role.ASSISTANT), self._go_on_from),
            "delete": lambda at: self._delete(at, self._session.conversation.delete),
            "delete_branch": lambda at: self._delete(at, self._session.conversation.delete_branch),
            "undo": lambda at: self._undo(),
        }
        """What can be done to a message, given its id or None for the latest that it can be done to."""

    def act(self, name: str) -> None:
        """One of `acts`, on the chosen message, or else the latest that it can be done to."""
        chosen = self._transcript.chosen
        message_id = chosen.message_id if chosen else None
        self.attempt(lambda: self.acts[name](message_id))

    def can(self, name: str) -> bool:
        """Whether one of `ACTS` can be done to the chosen message; without one, it says itself why it cannot."""
        chosen = self._transcript.chosen
        return chosen is None or name not in self.impossible(chosen.message_id)

    def impossible(self, message_id: str) -> frozenset[str]:
        """What cannot be done with a message, by the names of `ACTS`."""
        message, said = self._session.conversation.tree[message_id], self._transcript.said(message_id)
        latest, replies = message.id == self._session.conversation.tree.leaf, self._session.replies
        goes_on = latest and (replies.lacks_results or replies.interrupted not in (None, NOTHING))
        possible = {
            "edit": message.role is Role.USER,
            "retry": message.role is not Role.SYSTEM,
            "continue": goes_on and not replies.continued_in_vain,
            "code": said is not None and said.has_code,
            "wrap": said is not None and said.has_code,
            "lens": message.role is Role.ASSISTANT,
            "undo": self._session.conversation.can_undelete,
        }
        return frozenset(name for name, can in possible.items() if not can)

    def attempt(self, what: Callable[[], object]) -> bool:
        """Do something, or say why it cannot be done."""
        try:
            what()
        except QwenchatError as error:
            self._notify_user(str(error), "warning")
            return False
        return True

    def begin_turn(self, begin: Callable[[], object], *, follow: bool = True) -> None:
        """Begin a turn; raises what `begin` raises. Unless `follow`, the reader is left where he is."""
        begin()
        self._feed.show_path()
        if follow:
            self._composer.screen.set_focus(self._composer)
            self._transcript.follow()

    def retry(self, message_id: str | None, typed: str = "") -> None:
        """Ask again for a reply, with the settings that were typed."""
        again = retry_settings(typed)
        if again.model is not None:
            self._load(again.model)
        self.begin_turn(lambda: self._session.replies.retry(message_id, again.overrides, again.thinking))

    def turn(self, said: MessageWidget, by: int) -> None:
        """Read the version of a message before or after this one."""
        at = said.variants.index(said.message_id) + by
        if len(said.variants) == 1:
            self._notify_user(say("There is one version of this message."))
        elif 0 <= at < len(said.variants) and self.attempt(
            lambda: self._session.conversation.select(said.variants[at])
        ):
            self._show_and_choose(said.variants[at])

    def answer(self) -> None:
        """End the thought that is running and answer, or go on with an interrupted reply inside its thought."""
        answer = self._session.replies.answer_now
        self.attempt(answer if self._session.busy else lambda: self.begin_turn(answer))

    def copy_reply(self) -> None:
        """Copy the last reply that has words, as the model wrote it."""
        said = [
            message for message in self._session.conversation.path if message.role is Role.ASSISTANT and message.text
        ]
        if said:
            self._copying.written(said[-1])
            if (
                said[-1].id != self._session.conversation.tree.leaf
                and self._session.conversation.path[-1].role is Role.ASSISTANT
            ):
                self._notify_user(say("The last reply has no words; the one before it was copied."))
        else:
            self._notify_user(say("There is no reply to copy yet."))

    # Changing a message

    def send_edit(self, parts: Sequence[TextPart], typed: Sequence[Tick]) -> None:
        """Say this in place of the message that is being changed. Raises as `Session.edit`."""
        changed = self.editing
        if changed is None:
            return
        self.begin_turn(lambda: self._session.edit(changed, parts, typed))
        self._drafts.drop()
        self.forget_edit()
        self._drafts.enter(self._session.conversation.id)

    def leave_edit(self) -> None:
        """Leave the message as it is. What was changed in it is kept, and comes back when it is changed again."""
        if self.editing is None:
            return
        if self._composer.draft == draft_of(self._session.conversation.tree[self.editing]):
            self._drafts.drop()
        self.forget_edit()
        self._drafts.enter(self._session.conversation.id)

    def forget_edit(self) -> None:
        """Turn away from the message that is being changed, as when another conversation is opened."""
        if self.editing is not None:
            self._drafts.keep()
            self.editing = None
            self._composer.show_as_editing(False)

    def _begin_edit(self, message_id: str | None) -> None:
        message = self._message(message_id, Role.USER)
        if message.role is not Role.USER:
            raise PromptEmpty(say("Only your own messages can be changed."), say("R asks again for a reply."))
        if self.editing is not None:
            self.leave_edit()
        self._drafts.keep()
        self.editing = message.id
        self._drafts.enter(message.id, otherwise=draft_of(message))
        self._composer.show_as_editing(True)
        self._composer.screen.set_focus(self._composer)

    # The other acts

    def _wrap(self, message: Message) -> None:
        if (said := self._transcript.said(message.id)) is not None:
            said.wrap()

    def _go_on(self, message_id: str | None) -> None:
        if message_id not in (None, self._session.conversation.tree.leaf):
            raise PromptEmpty(say("Only the latest reply can go on."), say("R asks again for this one."))
        self.begin_turn(self._session.replies.go_on)

    def _go_on_from(self, message_id: str, other: ReplyPrefix) -> None:
        self.attempt(lambda: self.begin_turn(lambda: self._session.replies.branch(message_id, other)))

    def _delete(self, message_id: str | None, delete: Callable[[str], None]) -> None:
        message = self._message(message_id, None)
        if self.editing is not None and self.editing in self._session.conversation.tree.below(message.id):
            self.leave_edit()
        before = [shown.id for shown in self._session.conversation.path]
        delete(message.id)
        left = [shown.id for shown in self._session.conversation.path]
        choosing = self._transcript.chosen is not None and bool(left)
        if choosing:
            self._show_and_choose(left[min(before.index(message.id), len(left) - 1)])
        else:
            self._feed.show_path()
        self._notify_user(
            count(
                "One message deleted. /undo brings it back.",
                "{number} messages deleted. /undo brings them back.",
                len(set(before) - set(left)),
            )
        )

    def _undo(self) -> None:
        before = {message.id for message in self._session.conversation.path}
        self._session.conversation.undo_delete()
        self._composer.app.clear_notifications()
        back = next((message.id for message in self._session.conversation.path if message.id not in before), None)
        if self._transcript.chosen is not None and back is not None:
            self._show_and_choose(back)
        else:
            self._feed.show_path()

    def _message(self, message_id: str | None, role: Role | None) -> Message:
        """The message with that id; without one, the latest of that role."""
        if message_id is not None:
            return self._session.conversation.tree[message_id]
        found = next((said for said in reversed(self._session.conversation.path) if role in (None, said.role)), None)
        if found is None:
            raise MessageNotFound(say("There is no message yet."), say("Write one first."))
        return found

    def _show_and_choose(self, message_id: str) -> None:
        self._feed.show_path()
        self._transcript.choose(message_id)
