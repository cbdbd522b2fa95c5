"""The interface leaves the interpreter to the model while a reply grows."""

import gc
import re
import sys

import pytest
from textual.app import App
from textual.css.stylesheet import Stylesheet
from textual.widgets._markdown import MarkdownBlock

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from qwenchat.tui.app import SWITCH_S, QwenChat
from qwenchat.tui.chat.event_feed import DrawPace
from qwenchat.tui.gc_pause import AT_MOST, QUIET_S, GcPause
from tests.support.chat_driver import chat
from tests.support.fake_engine import FakeEngine, Script


@pytest.mark.parametrize(("cost", "waits"), [(0.001, 0.004), (0.02, 0.08), (0.1, 0.4), (0.4, 0.5), (30.0, 0.5)])
def test_what_costs_more_to_draw_is_drawn_less_often_but_the_text_goes_on(cost: float, waits: float) -> None:
    now = spent = 0.0
    pace = DrawPace(lambda: now, lambda: spent)
    assert pace.allows()
    spent += cost
    while not pace.allows():
        now += 0.05
    assert waits <= now <= waits + 0.051


def test_the_model_need_not_wait_for_the_interpreter_while_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sys.getswitchinterval()
    during = []
    monkeypatch.setattr(App, "run", lambda self: during.append(sys.getswitchinterval()))
    QwenChat(Session(Worker(FakeEngine), Library.in_memory()), LoadModel()).run()
    assert during == [pytest.approx(SWITCH_S)]
    assert sys.getswitchinterval() == pytest.approx(before)


def test_a_full_search_for_garbage_waits_until_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    now, searches = 0.0, []
    monkeypatch.setattr(gc, "collect", lambda: searches.append(now))
    monkeypatch.setattr(gc, "get_count", lambda: (0, 0, 50))
    before = gc.get_threshold()
    garbage = GcPause(lambda: now)
    garbage.begin()
    assert gc.get_threshold() == (*before[:2], AT_MOST)
    now = QUIET_S - 1
    garbage.look()
    garbage.note_activity()
    now += QUIET_S - 1
    garbage.look()
    assert searches == []
    now += 1
    garbage.look()
    assert searches == [now]
    garbage.end()
    assert gc.get_threshold() == before


async def test_a_reply_of_many_screens_is_whole_wherever_one_reads():
    script = Script("".join(f"- item {n} of the list\n" for n in range(160)), thought="Let me see. ")
    async with chat(script, size=(80, 30)) as it:
        await it.ask("List them")
        await it.sees("item 159 of")
        seen = {int(found) for found in re.findall(r"item (\d+) of", it.screen)}
        while it.transcript.scroll_y > 0:
            before = it.transcript.scroll_y
            await it.press("pageup")
            await it.until(lambda before=before: it.transcript.scroll_y < before, "the page above")
            await it.until(lambda: not it.transcript.is_scrolling, "the end of scrolling")
            shown = [int(found) for found in re.findall(r"item (\d+) of", it.screen)]
            assert shown == list(range(shown[0], shown[-1] + 1))
            seen.update(shown)
        assert seen == set(range(160))


async def test_a_thought_far_above_is_opened_in_view():
    script = Script("".join(f"Paragraph {n}.\n\n" for n in range(120)), thought="Let me see.")
    async with chat(script, Script("Short.\n\n" * 60), size=(80, 30)) as it:
        await it.ask("Long")
        await it.press("ctrl+t")
        await it.ask("Short")
        await it.press("ctrl+o")
        await it.sees("Let me see.")


async def test_choosing_a_long_reply_styles_nothing_inside_it_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async with chat(Script("\n\n".join(f"Paragraph {n}." for n in range(50)))) as it:
        reply = await it.ask("Go")
        styled: list[object] = []
        apply = Stylesheet.apply
        monkeypatch.setattr(
            Stylesheet, "apply", lambda self, node, **options: (styled.append(node), apply(self, node, **options))
        )
        await it.press("ctrl+up")
        await it.sees("r again")
        assert reply in styled
        assert not [node for node in styled if isinstance(node, MarkdownBlock)]
