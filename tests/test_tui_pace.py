"""The interface leaves the interpreter to the model while a reply grows."""

import sys

import pytest
from textual.app import App

from qwenchat.chat.commands import LoadModel
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session import Session
from qwenchat.tui.app import SWITCH_S, QwenChat
from qwenchat.tui.feed import SHARE, Pace

from .fake_engine import FakeEngine


def test_what_costs_more_to_draw_is_drawn_less_often() -> None:
    for cost in (0.001, 0.02, 0.1, 0.5):
        now = spent = 0.0
        pace = Pace(lambda: now, lambda: spent)  # noqa: B023  (read while they hold)
        drawn = 0
        while now < 10.0:
            now += 0.05
            if pace.allows():
                drawn += 1
                spent += cost
                now += cost
        assert spent <= SHARE * now + cost
        assert drawn >= min(0.9 * 10 / (0.05 + cost), 0.8 * SHARE * 10 / cost)


def test_the_model_need_not_wait_for_the_interpreter_while_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sys.getswitchinterval()
    during = []
    monkeypatch.setattr(App, "run", lambda self: during.append(sys.getswitchinterval()))
    QwenChat(Session(Worker(FakeEngine), Library.in_memory()), LoadModel()).run()
    assert during == [pytest.approx(SWITCH_S)]
    assert sys.getswitchinterval() == pytest.approx(before)
