"""What a reply answers, and whether it may be asked for as wanted."""

from collections.abc import Sequence

from qwenchat.chat.calls import calls_in
from qwenchat.chat.errors import NoThought, PromptEmpty
from qwenchat.chat.messages import Message, Role
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.thinking import soft_switch_in_force
from qwenchat.chat.tree import MessageTree
from qwenchat.i18n.texts import say


def question_before(tree: MessageTree, message_id: str | None) -> str:
    """The id of the message of the user's that this one answers, or is. Raises PromptEmpty."""
    at = message_id
    if at is not None and tree[at].role is Role.ASSISTANT:
        at = tree[at].parent
    while at is not None and _belongs_to_a_reply(tree[at]):
        at = tree[at].parent
    if at is None or tree[at].role is not Role.USER:
        raise PromptEmpty(say("There is no message to answer."), say("Write one first."))
    if at in tree.hidden:
        raise PromptEmpty(
            say("The message that this answers was deleted."), say("/undo brings back what was deleted last.")
        )
    return at


def require_thinking(support: ThinkingSupport, wanted: bool | None, path: Sequence[Message]) -> None:
    """Refuse what the model, or a switch in the messages, does not allow. Raises NoThought."""
    if wanted is True and support is ThinkingSupport.NONE:
        raise NoThought(say("This model does not think before it answers."))
    if wanted is False and support is ThinkingSupport.ALWAYS:
        raise NoThought(say("This model always thinks."))
    if wanted is True and soft_switch_in_force(path) is False:
        raise NoThought(say("The message, or one before it, says /no_think."), say("Edit it to take that out."))


def _belongs_to_a_reply(message: Message) -> bool:
    """Whether a message is a step on the way to a reply: a call of a tool, or what that gave."""
    return message.role is Role.TOOL or bool(calls_in(message))
