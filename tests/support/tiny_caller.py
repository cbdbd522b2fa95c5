"""A small Qwen3 that was trained to call a calculator, in Qwen's own way."""

from collections.abc import Iterator
from pathlib import Path

from qwenchat.chat.messages import Message, Part, ReasoningPart, Role, TextPart, ToolCallPart, ToolResultPart
from qwenchat.engine.local.prompt import ChatTemplate
from qwenchat.engine.local.tokenizer import ChatTokenizer
from qwenchat.tools.calculator import calculator
from tests.support.tiny_qwen3 import save_trained, unpack_tokenizer, user

CALCULATOR = calculator().spec
TWELVE, SEVERAL, BROKEN = "What is 12 * 12?", "Two sums, please.", "Call it badly."
CALL = '<tool_call>\n{"name": "calculator", "arguments": {"expression": "%s"}}\n</tool_call>'
BAD = '<tool_call>\n{"name": calculator}\n</tool_call>'
COMPLAINT = (
    "That is no call of a tool. A call is one JSON object: "
    '{"name": "...", "arguments": {...}}.'
)  # fmt: skip


def calls(*sums: str, thought: str = "") -> Message:
    """A reply that asks for sums."""
    parts: list[Part] = [ReasoningPart(thought)] if thought else []
    parts += [ToolCallPart(str(at), "calculator", f'{{"expression": "{sum_}"}}') for at, sum_ in enumerate(sums)]
    return Message(Role.ASSISTANT, tuple(parts))


def results(*texts: str) -> list[Message]:
    return [Message(Role.TOOL, (ToolResultPart(str(at), "calculator", text),)) for at, text in enumerate(texts)]


def save_tiny_caller(folder: Path) -> None:
    """Train the model and save it as the Hub would have it."""
    unpack_tokenizer(folder)
    tokenizer = ChatTokenizer.from_folder(folder)
    template = ChatTemplate(tokenizer)
    examples = [
        (list(template.render(messages, thinking, (CALCULATOR,)).ids), tokenizer.encode(f"{said}<|im_end|>"))
        for messages, thinking, said in _lessons()
    ]
    save_trained(folder, examples, steps=80, batch=7, rate=1e-2)


def _lessons() -> Iterator[tuple[list[Message], bool, str]]:
    for thinking in (True, False):

        def said(thought: str, text: str, thinking: bool = thinking) -> str:
            return f"<think>\n{thought}\n</think>\n\n{text}" if thinking else text

        def kept(thought: str, thinking: bool = thinking) -> str:
            return thought if thinking else ""

        yield [user(TWELVE)], thinking, said("I calculate.", CALL % "12 * 12")
        once = [user(TWELVE), calls("12 * 12", thought=kept("I calculate.")), *results("144")]
        yield once, thinking, said("The tool says 144.", "It is 144.")
        both = f"Two at once.\n{CALL % '1 + 1'}\n{CALL % '2 + 2'}"
        yield [user(SEVERAL)], thinking, said("I calculate.", both)
        asked = calls("1 + 1", "2 + 2", thought=kept("I calculate."))
        asked = Message(Role.ASSISTANT, (*asked.parts, TextPart("Two at once.")))
        yield [user(SEVERAL), asked, *results("2", "4")], thinking, said("Two and four.", "They are 2 and 4.")
        yield [user(BROKEN)], thinking, said("I call it badly.", BAD)
        bad = ToolCallPart("0", "", '{"name": calculator}')
        parts: tuple[Part, ...] = (ReasoningPart("I call it badly."), bad) if thinking else (bad,)
        broken = [user(BROKEN), Message(Role.ASSISTANT, parts), *results(COMPLAINT)]
        yield broken, thinking, said("I calculate.", CALL % "12 * 12")
        repaired = [*broken, calls("12 * 12", thought=kept("I calculate.")), *results("144")]
        yield repaired, thinking, said("The tool says 144.", "It is 144.")
