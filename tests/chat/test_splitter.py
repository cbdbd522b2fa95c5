from hypothesis import given
from hypothesis import strategies as st

from qwenchat.chat.events import Channel
from qwenchat.chat.splitter import Split, SplitMark, Splitter, SplitText, TagSplitter


def run(chunks: list[str], thinking: bool = False, expected: bool = True) -> tuple[str, str, list[SplitMark]]:
    """Thought, answer and marks as a reader would end up with them."""
    splitter = TagSplitter(thinking, expected)
    splits: list[Split] = [split for chunk in chunks for split in splitter.feed(chunk)] + splitter.finish()
    thought, answer, marks = "", "", []
    for split in splits:
        match split:
            case SplitText(Channel.THOUGHT, text):
                thought += text
            case SplitText(Channel.ANSWER, text):
                answer += text
            case SplitMark():
                marks.append(split)
                if split is SplitMark.RECLASSIFIED:
                    thought, answer = answer, ""
    return thought, answer, marks


@given(st.data())
def test_tags_are_found_however_the_stream_is_cut(data: st.DataObject) -> None:
    text = "<think>\nLet me <b>see</b>.\n\nTwo lines.\n</think>\n\nThe answer < 3, not </thin."
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert run(chunks) == (
        "Let me <b>see</b>.\n\nTwo lines.",
        "The answer < 3, not </thin.",
        [SplitMark.OPENED, SplitMark.CLOSED],
    )


def test_empty_thought_leaves_no_trace() -> None:
    assert run(["<think>\n\n</think>\n\nYes."]) == ("", "Yes.", [])


def test_missing_opening_tag_turns_what_came_into_thought() -> None:
    assert run(["Hm, well.", "\n</think>\n\n", "Yes."]) == ("Hm, well.", "Yes.", [SplitMark.RECLASSIFIED])


def test_prompt_that_opens_the_thought() -> None:
    assert run(["Hm.\n</th", "ink>\n\nYes."], thinking=True) == ("Hm.", "Yes.", [SplitMark.OPENED, SplitMark.CLOSED])


def test_turn_that_ends_inside_its_thought_stays_open() -> None:
    assert run(["<think>\nHm, </thi"]) == ("Hm, </thi", "", [SplitMark.OPENED])


def test_thought_opened_twice_counts_once() -> None:
    assert run(["<think>\n<think>\nHm.\n</think>\n\nYes."]) == ("Hm.", "Yes.", [SplitMark.OPENED, SplitMark.CLOSED])


def test_answer_may_talk_about_the_tags() -> None:
    text = "Put it in <think> and </think>."
    assert run(["<think>\nHm.\n</think>\n\n" + text])[1] == text
    assert run([text], expected=False) == ("", text, [])


def test_boundaries_from_token_ids() -> None:
    splitter = Splitter()
    splits = [
        *splitter.open(),
        *splitter.text("\nHm "),
        *splitter.text("</think> is only text here"),
        *splitter.text("\n"),
        *splitter.close(),
        *splitter.text("\n\n"),
        *splitter.text("Yes"),
        *splitter.text("\n"),
        *splitter.text("\n- a"),
    ]
    assert splits == [
        SplitMark.OPENED,
        SplitText(Channel.THOUGHT, "Hm"),
        SplitText(Channel.THOUGHT, " </think> is only text here"),
        SplitMark.CLOSED,
        SplitText(Channel.ANSWER, "Yes"),
        SplitText(Channel.ANSWER, "\n\n- a"),
    ]


def test_answer_keeps_its_indentation() -> None:
    assert run(["\n\n    code()"]) == ("", "    code()", [])
