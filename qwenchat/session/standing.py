"""Where a chat stands: its messages, its model, and the turn that runs."""

import time
from collections.abc import Callable

from qwenchat.chat.calls import balanced, open_calls
from qwenchat.chat.commands import LoadModel, StartTurn
from qwenchat.chat.continuation import Begun, begun_in
from qwenchat.chat.errors import QwenchatError, TurnInProgress
from qwenchat.chat.events import DraftWeighed, Event, LoadProgressed
from qwenchat.chat.messages import Message, Role, TextPart, ToolCallPart
from qwenchat.chat.provenance import FinishReason, ModelInfo, ThinkingSupport
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.thinking import ThinkingSwitch, soft_switch_in_force, thinks
from qwenchat.chat.tools import ToolSpec
from qwenchat.chat.tree import MessageTree
from qwenchat.engine.worker import Worker
from qwenchat.i18n.texts import say, sentences
from qwenchat.library.library import Library
from qwenchat.session.comparison import Comparison
from qwenchat.session.model_slot import Loading
from qwenchat.session.open_conversation import Record
from qwenchat.session.token_scores import Scoring
from qwenchat.session.tool_calls import Calling
from qwenchat.session.turn import Phase, Turn
from qwenchat.session.turn_runner import Running
from qwenchat.tools.base import ToolRunner

CHARACTERS_PER_TOKEN = 4
"""Of English, as long as nobody has counted."""


class Standing:
    """What there is to see of a chat. Nothing here changes it but the settings of the next turn."""

    def __init__(
        self,
        worker: Worker,
        library: Library,
        *,
        system: str = "",
        thinking: bool = True,
        thinking_budget: int | None = None,
        overrides: SamplingOverrides = SamplingOverrides(),
        private: bool = False,
        tools: ToolRunner | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.library = library
        self.system = system
        self.overrides = overrides
        self.private = private
        """Whether the library is in memory alone, as the user wants it."""
        self.thinking_budget = thinking_budget
        """Most tokens of thought in this conversation from the next turn on; None for no limit."""
        self.schema: str | None = None
        """A JSON schema, as text, that answers must be JSON of."""
        self.usual_budget = thinking_budget
        """What the budget is at the start of a conversation."""
        self._out: list[Event] = []
        self._record = Record(library, self._out.append)
        self._clock = clock
        self._switch = ThinkingSwitch(thinking)
        self._answer_by(worker, Loading(worker))
        self.comparison: Comparison | None = None
        """The models that answer side by side; None while only one does."""
        self._tools = tools
        self._calling = Calling(tools, self._keep_result, self._out.append, lambda event: self._hear(event))
        self._asked_for: Turn | None = None
        """The turn whose calls run: what was set for it is set for the steps after it."""
        self._turns = 0
        """How many turns were begun."""
        self._ahead_due = False
        """Whether there is something new that the model could read ahead."""
        self._system_due = False
        """Whether the system prompt was changed in mid-conversation, so that it goes before the next message."""
        self._system_read: tuple[tuple[Message, ...], str] = (), ""
        """The path that was looked through for its system prompt, which is asked for at every look at the chat."""
        self._context_read: tuple[tuple[Message, ...], int] = (), 0
        """The path whose tokens were counted, likewise."""
        self._draft = ""
        """The next message, as far as the model may read it."""
        self._pieces: tuple[str, ...] = ()
        """Parts of it that are weighed one by one."""
        self._ahead_number = 0
        self._draft_ahead = ""
        """The draft that the model was last given to read."""
        self._weighed: tuple[str, DraftWeighed] | None = None
        """The draft that was weighed last, and what it weighs."""
        self._closed = False

    def _answer_by(self, worker: Worker, loading: Loading, turn: Turn | None = None) -> None:
        """From here on that worker answers, in which that is loaded and that turn runs."""
        self._worker = worker
        self._loading = loading
        self._running = Running(worker, self._record, self._asked, self._out.append, self._clock)
        self._running.turn = turn
        self.scoring = Scoring(worker)
        """The reply whose tokens are looked at."""

    def _hear(self, event: Event) -> None:
        """Take what is reported on another thread; `poll` sees it."""
        self._worker.events.put(event)

    @property
    def conversation(self) -> str | None:
        """The id of the saved conversation; None until the first message."""
        return self._record.conversation

    @property
    def tree(self) -> MessageTree:
        """All messages of the conversation."""
        return self._record.tree

    @property
    def path(self) -> tuple[Message, ...]:
        """The messages being read, from the first to the latest."""
        return self.tree.path()

    @property
    def latest(self) -> Message | None:
        """The last message of those being read."""
        return self.tree[self.tree.leaf] if self.tree.leaf is not None else None

    @property
    def lost(self) -> tuple[str, ...]:
        """What was to be kept and cannot be, in words; empty in a private chat, where nothing was to be."""
        if self.private:
            return ()
        reply = say("The last reply could not be saved.") if self.unsaved else ""
        said = ""
        if self.library.in_memory_only and self._record.written:
            said = sentences(say("What was said in this chat is not saved."), self.library.notice)
        return tuple(filter(None, (reply, said)))

    @property
    def unsaved(self) -> int:
        """How many replies could not be written yet and are only in memory."""
        return self._record.unsaved

    @property
    def model(self) -> ModelInfo | None:
        """The model that answers; None while there is none."""
        return self._loading.model

    @property
    def loading(self) -> LoadProgressed | None:
        """The latest word about the model being loaded; None when none is."""
        return self._loading.progress

    @property
    def load_error(self) -> QwenchatError | None:
        """Why the latest load that was asked for failed, also when the model before it is back."""
        return self._loading.error

    @property
    def load_command(self) -> LoadModel | None:
        """What is loaded or being loaded; None until a model was asked for."""
        return self._loading.command

    def weighed(self, draft: str) -> DraftWeighed | None:
        """How much of the context that draft takes; None while that is not known exactly."""
        return self._weighed[1] if self._weighed is not None and self._weighed[0] == draft else None

    @property
    def last_weighed(self) -> tuple[str, DraftWeighed] | None:
        """The latest draft of this conversation that was weighed, and what it weighs."""
        return self._weighed

    @property
    def busy(self) -> bool:
        """Whether a turn is running, or several, or a tool, or the user is asked about one."""
        return self._turn is not None or self._calling.active or self.comparison is not None

    @property
    def phase(self) -> Phase:
        """What is going on."""
        if self._turn is not None:
            return self._turn.phase
        return Phase.CALLING if self._calling.active else Phase.IDLE

    @property
    def growing(self) -> GrowingReply | None:
        """The reply that is being written, live."""
        return self._turn.growing if self._turn else None

    @property
    def reply_id(self) -> str | None:
        """The id of the reply that is being written."""
        return self._turn.reply.id if self._turn else None

    @property
    def support(self) -> ThinkingSupport:
        """Which thinking switches the model has; before one is loaded, those of Qwen3."""
        return support_of(self.model)

    @property
    def thinks(self) -> bool:
        """Whether the model will think about the next message, unless that message switches it."""
        return self._switch.thinks(self.support, self.path or self._system_message())

    @property
    def context_tokens(self) -> int:
        """How many tokens of the context window the latest finished turn took; about as many where no turn was told."""
        if self.path is not self._context_read[0]:
            self._context_read = self.path, _context_of(self.path)
        return self._context_read[1]

    @property
    def begun(self) -> Begun | None:
        """What of the latest reply is there, if it broke off and the model can go on with it."""
        if self.busy or self.latest is None:
            return None
        begun = begun_in(self.latest)
        if begun is not None and begun.thinking and self.support is ThinkingSupport.NONE:
            return None
        return begun

    @property
    def broken_off(self) -> bool:
        """Whether the latest reply broke off inside its thought, so that `answer_now` makes it answer from there."""
        return self.begun is not None and self.begun.thinking

    @property
    def tools_on(self) -> tuple[str, ...]:
        """The names of the tools, and of the servers of tools, that are switched on for this chat."""
        return self._calling.on

    @property
    def tools_there(self) -> tuple[str, ...]:
        """The names of all tools, and of all servers of tools, that could be switched on."""
        return self._tools.names if self._tools is not None else ()

    @property
    def tools_ready(self) -> bool:
        """Whether all tools that are on were made ready, or could not be."""
        return self._calling.ready

    def runs_unasked(self, name: str) -> bool:
        """Whether a tool may run without asking, by what the user said here or for good."""
        return self._calling.may_run(name)

    @property
    def tools_offered(self) -> tuple[ToolSpec, ...]:
        """What the model may call, as far as it is ready."""
        return self._calling.offered

    @property
    def pending_calls(self) -> tuple[ToolCallPart, ...]:
        """The calls that wait until the user permits or refuses them."""
        return self._calling.waiting

    @property
    def unanswered(self) -> bool:
        """Whether calls of tools, or what they gave, came last: the model can go on from there."""
        if self.busy or self.latest is None:
            return False
        return self.latest.role is Role.TOOL or bool(open_calls(self.path))

    @property
    def repeats(self) -> bool:
        """Whether the latest reply ended because it repeated itself; `retry` then asks with a penalty on that."""
        return self.latest is not None and repeats(self.latest)

    @property
    def _turn(self) -> Turn | None:
        return self._running.turn

    def _require_idle(self) -> None:
        if self.busy:
            raise TurnInProgress(say("The model is still answering."), say("Wait for it or stop it first."))

    @property
    def system_in_force(self) -> str:
        """The system prompt that the next message will be answered under."""
        if self._system_due or not self.path:
            return self.system
        if self.path is not self._system_read[0]:
            said = (message.text for message in reversed(self.path) if message.role is Role.SYSTEM)
            self._system_read = self.path, next(said, "")
        return self._system_read[1]

    def _system_message(self, parent: str | None = None) -> tuple[Message, ...]:
        return (Message(Role.SYSTEM, (TextPart(self.system),), parent=parent),) if self.system else ()

    def _system_before(self, parent: str | None) -> tuple[Message, ...]:
        """The system message that goes before one that is said after `parent`: at the start, and once it was changed.

        A message that is changed may stand right below a system message; then the new one is a version of that.
        """
        if parent is None:
            return self._system_message()
        if not self._system_due:
            return ()
        return self._system_message(self.tree[parent].parent if self.tree[parent].role is Role.SYSTEM else parent)

    def _asked(self, turn: Turn) -> StartTurn:
        """The command for a turn."""
        return self._asked_of(self.model, turn, self._callable())

    def _asked_of(self, model: ModelInfo | None, turn: Turn, tools: tuple[ToolSpec, ...] = ()) -> StartTurn:
        """The command that asks that model. Without a soft switch the model is asked as the hard one says.

        An earlier /no_think holds on, also when the message it stands in does not fit the context any more: the hard
        switch is off then too.
        """
        history = balanced(self.tree.path(turn.reply.parent))
        switched = self._switch.on if turn.thinking is None else turn.thinking
        hard = switched and soft_switch_in_force(history) is not False
        return turn.ask(
            history,
            model,
            self.overrides,
            hard=hard,
            will_think=thinks(support_of(model), hard, history),
            budget=self.thinking_budget,
            schema=self.schema,
            tools=tools,
        )

    def _callable(self) -> tuple[ToolSpec, ...]:
        """What the model may call in its next turn."""
        able = self.model is not None and self.model.tools and not self._calling.exhausted
        return self._calling.offered if able else ()

    def _keep_result(self, message: Message) -> None:
        """Put the result of a call below what is there, and on disk."""
        self.tree.add(message)
        self._record.keep(message, (), self._clock())


def _context_of(path: tuple[Message, ...]) -> int:
    for message in reversed(path):
        if message.provenance and message.provenance.usage.prompt_tokens:
            usage = message.provenance.usage
            return usage.prompt_tokens + usage.answer_tokens
    return sum(len(message.text) for message in path) // CHARACTERS_PER_TOKEN


def support_of(model: ModelInfo | None) -> ThinkingSupport:
    """Which thinking switches a model has; those of Qwen3 for one that is not loaded yet."""
    return model.thinking if model else ThinkingSupport.SWITCHED


def repeats(message: Message) -> bool:
    """Whether the model did nothing but repeat itself."""
    return message.provenance is not None and message.provenance.finish_reason is FinishReason.REPETITION
