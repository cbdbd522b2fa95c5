"""What is written, on its way: sent, heeded as a command, changed in an editor, brought back from earlier."""

from collections.abc import Callable

from qwenchat.session import Session
from qwenchat.texts import say
from qwenchat.tui.branches import Branches
from qwenchat.tui.commands import Commands
from qwenchat.tui.drafts import Drafts
from qwenchat.tui.editor import edited
from qwenchat.tui.history import History
from qwenchat.tui.slash import command_of
from qwenchat.tui.widgets.composer import Composer


class Writing:
    """Carries what stands in the composer to where it belongs; `tell` is given what there is to say."""

    def __init__(
        self, session: Session, composer: Composer, drafts: Drafts, branches: Branches, commands: Commands,
        tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._session = session
        self._composer = composer
        self._drafts = drafts
        self._branches = branches
        self._commands = commands
        self._tell = tell
        self._history = History(session.library, composer)

    def changed(self) -> None:
        """Something was written."""
        self._drafts.changed()

    def draw(self) -> None:
        """Save the draft when it is due, and let the model read it when the writing has paused."""
        self._drafts.keep_if_due()
        if self._drafts.comes_to_rest() and self._branches.editing is None:
            text = self._composer.draft.whole
            self._session.drafted("" if text.startswith("/") else text)

    def send(self) -> bool:
        """Send what is written as a message, or heed the command that it is; says whether that was done."""
        draft = self._composer.draft
        return bool(draft.text.strip()) and self._branches.attempt(self._say)

    def recall(self, by: int) -> bool:
        """Bring back the message before (-1) or after (1) the one that was brought back; False if that is not meant."""
        return self._history.go(by)

    def edit_elsewhere(self) -> None:
        """Go on writing in the user's editor; the labels of what was pasted stay labels there."""
        self._branches.attempt(self._edit_elsewhere)

    def _edit_elsewhere(self) -> None:
        draft = self._composer.draft
        self._composer.write(draft.of(edited(self._composer.app, draft.text), draft.blocks))

    def _say(self) -> None:
        draft = self._composer.draft
        if self._branches.editing is None and (command := command_of(draft.whole)):
            self._composer.write("")
            self._commands.heed(*command, self._branches)
        elif self._session.busy:
            self._tell(say("The model is still answering; the draft is kept. Esc stops the reply."))
        elif self._branches.editing is not None:
            self._branches.send_edit()
        else:
            self._branches.begin_turn(lambda: self._session.send(draft.parts(), self._composer.typed()))
            self._drafts.drop()
            self._drafts.enter(self._session.conversation)
