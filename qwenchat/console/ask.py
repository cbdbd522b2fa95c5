"""One question from a script or a shell, and its answer."""

from collections.abc import Iterator, Sequence
from typing import Any, assert_never

from qwenchat.chat.calls import calls_in
from qwenchat.chat.endings import NextStep
from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import QwenchatError, ServerUnreachable
from qwenchat.chat.events import TurnEnded, TurnFailed
from qwenchat.chat.messages import Message, Status, ToolResultPart
from qwenchat.chat.text import safe_json
from qwenchat.console.notice import notify
from qwenchat.console.turn_printer import Printer
from qwenchat.i18n.texts import say
from qwenchat.session.session import Session

INTERRUPTED = 130


def ask(session: Session, load: LoadModel, prompt: str, *, as_json: bool, saved: bool) -> int:
    """Ask once and print the reply, as text or as one JSON object; the exit code."""
    if session.library.notice and saved:
        notify(session.library.notice)
    printer = Printer(quiet=as_json)
    code = 0
    try:
        session.model.load(load)
        session.send(prompt)
        ended = printer.run(session)
        code = 1 if isinstance(ended, TurnFailed) else 0
    except KeyboardInterrupt:
        session.stop()
        ended = printer.run(session)
        code = INTERRUPTED
    except BaseException:  # a signal, or nobody reads: the question goes no further
        if session.model.info is None:
            _forget(session)
        raise
    reached = _was_reached(session, ended)
    for helps in filter(None, map(what_helps, session.replies.next_steps if code == 0 else ())):
        notify(helps)
    if as_json:
        print(safe_json(_report(session, session.conversation.path[-1], saved and reached)))
    if not reached:
        _forget(session)
    return code


def what_helps(step: NextStep) -> str:
    """What a script can do about a reply by flags; empty for nothing."""
    match step:
        case NextStep.ANSWER | NextStep.RETRY_THOUGHT:
            return say(
                "The reply ended inside its thought, so there is no answer. --thinking-budget keeps thoughts shorter."
            )
        case NextStep.RETRY_WITH_PENALTY:
            return say("Try --presence-penalty 1.5.")
        case NextStep.FOLLOW_TOOLS | NextStep.CONTINUE | NextStep.RETRY:
            return ""
        case _:
            assert_never(step)


def _forget(session: Session) -> None:
    """Keep nothing of a question that no model had."""
    asked = session.conversation.id
    session.new()
    if asked is not None:
        session.library.delete(asked)


def _was_reached(session: Session, ended: TurnEnded) -> bool:
    """Whether the model had the question at all: it was loaded, and its server answered."""
    failed = isinstance(ended, TurnFailed) and type(ended.error) is ServerUnreachable  # not one that broke off
    return session.model.info is not None and not (failed and not session.conversation.path[-1].parts)


def failure(error: QwenchatError) -> dict[str, Any]:
    """The object for a question that could not even be asked."""
    return {"answer": "", "thinking": "", "finish_reason": "error", "error": str(error)}


def _report(session: Session, reply: Message, saved: bool) -> dict[str, Any]:
    """The answer and how it was made; null stands for what is not known."""
    report: dict[str, Any] = {"answer": reply.text, "thinking": reply.reasoning}
    made = reply.provenance
    if made is None:
        report["finish_reason"] = "error" if reply.status is Status.FAILED else "stopped"
    else:
        names = ("name", "revision", "quantization", "device", "server")
        counts = ("prompt_tokens", "cached_tokens", "thinking_tokens", "answer_tokens")
        report |= {
            "finish_reason": made.finish_reason,
            "model": {name: getattr(made.model, name) for name in names},
            "usage": {name: getattr(made.usage, name) for name in counts}
            | ({} if made.counted else dict.fromkeys(counts)),
            "timing": {
                "load_s": round(made.model.load_s, 3),
                "first_token_s": round(made.timing.first_token_s, 3) or None,
                "tokens_per_s": round(made.timing.tokens_per_s * made.counted, 2) or None,
            },
            "seed": made.sampling.seed,
            "not_sent": list(made.omitted),
            "thinking_budget": made.thinking_budget,
            "thought_cut": made.thought_cut,
        }
    if calls := list(_calls(session.conversation.path)):
        report["tool_calls"] = calls
    lasting = saved and not session.conversation.unsaved and not session.library.in_memory_only
    report["conversation"] = session.conversation.id if lasting else None
    if reply.status is Status.FAILED:
        report["error"] = reply.note
    return report


def _calls(path: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """What the model called on the way to its answer, and what that gave."""
    results = {part.call_id: part for message in path for part in message.parts if isinstance(part, ToolResultPart)}
    for call in (call for message in path for call in calls_in(message)):
        result = results.get(call.id)
        yield {
            "name": call.name,
            "arguments": call.arguments,
            "result": result.text if result else None,
            "failed": result.failed if result else True,
        }
