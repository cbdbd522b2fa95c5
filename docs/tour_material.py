"""What the pictures of the tour talk about: what a tiny model is taught, and conversations as of other days."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from qwenchat.chat.messages import Message, ReasoningPart, Role, TextPart, ToolCallPart, new_id
from qwenchat.chat.provenance import FinishReason, ModelInfo, Provenance, ThinkingSupport, Timing, Usage
from qwenchat.chat.sampling import THINKING
from qwenchat.chat.tools import ToolSpec
from qwenchat.engine.local.prompt import ChatTemplate
from qwenchat.engine.local.tokenizer import ChatTokenizer
from qwenchat.library.library import Conversation, Library
from tests.support.tiny_caller import CALCULATOR, CALL, results
from tests.support.tiny_qwen3 import save_trained, unpack_tokenizer, user

STEPS = 300
SORTING = "I sort words by length in Python. Why do words of the same length keep their old order?"
SORTING_THOUGHT = (
    "The user sorts with key=len and sees that ties are not shuffled. Python's sort is Timsort, which merges runs and "
    "never swaps two items whose keys are equal, so it is stable. The documentation promises it, so code may rely on "
    "it. I should say that, show a short example whose result I can check by hand, and add what it is good for: "
    "sorting twice. pear, fig, plum, kiwi by length: fig has 3 letters, the others 4, in their old order. Good."
)
_SORTING_ANSWER = (
    "Because Python's sort is **stable**: items with equal keys are never swapped.\n\n"
    "```python\n"
    'words = ["pear", "fig", "plum", "kiwi"]\n'
    'sorted(words, key=len)  # ["fig", "pear", "plum", "kiwi"]\n'
    "```\n\n"
    "That is a "
)
SORTING_ANSWERS = tuple(
    _SORTING_ANSWER + end
    for end in (
        "promise of the language, so you may build on it: sort by name first, then by age, and people of the same age "
        "stay sorted by name.",
        "rule of the language, so you may rely on it: sort your mail by date first, then by sender, and what each "
        "sender wrote stays sorted by date.",
        "guarantee of the language, so you may count on it: sort bills by number first, then by customer, and the "
        "bills of each customer stay sorted by number.",
    )
)
"""Answers that part at a word, so that asking again gives another one, and the token lens shows a doubt."""
OTHER_ANSWER = (
    "It is a stable sort. In such a sort, items that compare as equal stay in the order in which they came:\n\n"
    "- `fig` is the shortest, so it comes first.\n"
    "- `pear`, `plum` and `kiwi` all have four letters, so they follow as they stood in your list.\n\n"
    "`sort` and `sorted` both promise it."
)
RENT = "A flat of 68 m² costs 1,190 a month. What is that per square metre?"
RENT_THOUGHT = "That is 1190 divided by 68. I should not do it in my head; there is a calculator."
RENT_SUM = "1190 / 68"
RENT_RESULT = "17.5"
RENT_ANSWER = "It is **17.50 a month** for each square metre."
CHINESE = "为什么天空是蓝色的？"
CHINESE_THOUGHT = "阳光里有各种颜色。空气分子对短波的散射最强，所以要讲瑞利散射，再说明日落时为什么变红。"
CHINESE_ANSWER = (
    "因为空气把**蓝光**散射得最多，这叫做瑞利散射。\n\n"
    "- 白天，散射的蓝光从四面八方进入眼睛。\n"
    "- 日落时，光要穿过更厚的大气，蓝光散尽，剩下红光。"
)

_Lesson = tuple[Sequence[Message], tuple[ToolSpec, ...], str, str]
"""What was said before, the tools there are, the thought, and the answer or the call."""


def save_model(folder: Path) -> None:
    """Train a Qwen3 of two layers on what is above, and save it as the Hub would have it."""
    _save(folder, [*_sorting(*SORTING_ANSWERS), *_others()])


def save_other_model(folder: Path) -> None:
    """Train another one, which is sure of its answer."""
    _save(folder, _sorting(OTHER_ANSWER))


def _save(folder: Path, lessons: Iterable[_Lesson]) -> None:
    unpack_tokenizer(folder)
    tokenizer = ChatTokenizer.from_folder(folder)
    template = ChatTemplate(tokenizer)
    examples = []
    for messages, tools, thought, said in lessons:
        prompt = template.render(messages, True, tools)
        examples.append((list(prompt.ids), tokenizer.encode(f"<think>\n{thought}\n</think>\n\n{said}<|im_end|>")))
    save_trained(folder, examples, STEPS, sure=True)


def _sorting(*answers: str) -> Iterator[_Lesson]:
    for answer in answers:
        yield [user(SORTING)], (), SORTING_THOUGHT, answer


def _others() -> Iterator[_Lesson]:
    yield [user(CHINESE)], (), CHINESE_THOUGHT, CHINESE_ANSWER
    yield [user(RENT)], (CALCULATOR,), RENT_THOUGHT, CALL % RENT_SUM
    asked = ToolCallPart("0", "calculator", f'{{"expression": "{RENT_SUM}"}}')
    called = Message(Role.ASSISTANT, (ReasoningPart(RENT_THOUGHT), asked))
    yield [user(RENT), called, *results(RENT_RESULT)], (CALCULATOR,), "The calculator says 17.5.", RENT_ANSWER


SMALL = ModelInfo("Qwen3-0.6B", "c1899de", "int8", "cpu", 32_768, ThinkingSupport.SWITCHED, 596_049_920)
LARGE = replace(SMALL, name="Qwen3-4B", revision="1cfa9a7", parameters=4_022_468_096)
SAVED = (
    (0, "Which lens for the northern lights?",
     "A wide one that lets in much light: 14 to 24 mm at f/2.8 or below, and 5 to 15 seconds."),
    (1, "Why is the sky blue?",
     "Air scatters blue light far more than red light, so blue reaches your eyes from everywhere."),
    (1, "Rename files with their date",
     "`exiftool '-FileName<CreateDate' -d %Y-%m-%d.%%e *.jpg` does it for photographs."),
    (3, "How far is a light year?", "About 9.46 trillion kilometres: what light travels in a year at 299,792 km/s."),
    (5, "A letter to the landlord", "Dear Ms Hansen, the light in the staircase has been out since Monday."),
    (8, "Tomatoes on a balcony",
     "They need six hours of direct light a day, a pot of ten litres and water at the roots."),
    (9, "What does `git rebase --onto` do?", "It takes the commits after one point and puts them onto another."),
    (12, "Bread without kneading", "Stir, let it rest for eighteen hours, fold it twice, and bake it in a hot pot."),
    (16, "Norwegian for a weekend", "Takk, unnskyld, and *lyset* is the light: you will see a lot of it in June."),
    (21, "Explain a B-tree to me", "A sorted tree with many keys in each node, so that a search reads few blocks."),
    (33, "Why do cats' eyes shine?", "A layer behind the retina sends the light back through it a second time."),
)  # fmt: skip
"""Days ago, question, answer."""
PINNED = "Bread without kneading"


def fill(library: Library) -> None:
    """Put conversations of the last weeks into a library."""
    for days, question, answer in SAVED:
        at = min(datetime.now().replace(hour=9, minute=30), datetime.now() - timedelta(minutes=1)).timestamp()
        at -= timedelta(days=days).total_seconds()
        asked = Message(Role.USER, (TextPart(question),), created=at)
        account = _details(SMALL if days % 3 else LARGE, 160 + 10 * days, 5 * len(answer.split()))
        said = Message(Role.ASSISTANT, (TextPart(answer),), asked.id, created=at + 20, provenance=account)
        conversation = Conversation(new_id(), question, at, at + 20, (asked, said), said.id, "")
        library.pin(library.import_conversation(conversation), question == PINNED)


def fill_with_weeks(library: Library) -> None:
    """Put four weeks of talk into a library, busier on some days and at some hours than on others."""
    dice = random.Random(3)
    today = datetime.now().replace(minute=0, second=0, microsecond=0)
    for days in range(1, 29):
        begun = (today - timedelta(days=days)).replace(hour=dice.choice((8, 9, 10, 11, 14, 15, 16, 20, 21, 22)))
        parent = None
        for turn in range(0 if begun.weekday() == 6 else dice.randint(2, 7)):
            at = (begun + timedelta(minutes=4 * turn)).timestamp()
            asked = Message(Role.USER, (TextPart("A question"),), parent, created=at)
            model = LARGE if dice.random() < 0.3 else SMALL
            account = _details(model, dice.randint(80, 600), dice.randint(60, 400), dice.uniform(0.9, 1.1))
            said = Message(Role.ASSISTANT, (TextPart("An answer"),), asked.id, created=at + 20, provenance=account)
            for message in (asked, said):
                library.save(f"day {days}", message)
            parent = said.id


def _details(model: ModelInfo, thinking: int, answer: int, pace: float = 1.0) -> Provenance:
    speed = pace * (9.0 if model is LARGE else 42.0)
    timing = Timing(0.3 / pace, thinking / speed, (thinking + answer) / speed, speed)
    return Provenance(model, THINKING, True, Usage(220, 0, thinking, answer), timing, FinishReason.STOP)
