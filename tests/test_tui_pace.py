"""The interface leaves the interpreter to the model while a reply grows."""

import sys

import pytest
from textual.app import App

from qwenchat.chat.commands import LoadModel
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session import Session
from qwenchat.tui.app import SWITCH_S, QwenChat
from qwenchat.tui.feed import Pace

from .fake_engine import FakeEngine


@pytest.mark.parametrize(("cost", "waits"), [(0.001, 0.004), (0.02, 0.08), (0.1, 0.4), (0.4, 0.5), (30.0, 0.5)])
def test_what_costs_more_to_draw_is_drawn_less_often_but_the_text_goes_on(cost: float, waits: float) -> None:
    now = spent = 0.0
    pace = Pace(lambda: now, lambda: spent)
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
