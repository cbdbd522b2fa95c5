"""Each patch of Textual: the fault is there without it, and gone with it. Where the fault is gone, so can the patch."""

from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction

import pytest
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.notifications import Notification, Notify
from textual.screen import Screen
from textual.widgets import Static
from textual.widgets._toast import ToastHolder

from qwenchat.tui.base.textual_patches import unpatched


class Growing(App[None]):
    """Some text in a container that scrolls."""

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static("one", id="text")


@pytest.fixture(params=[False, True], ids=["as it is", "patched"])
def patched(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def textual(patched: bool) -> AbstractContextManager[None]:
    return nullcontext() if patched else unpatched()


def height(text: Static) -> Fraction:
    return text._get_box_model(Size(20, 10), Size(20, 10), Fraction(1), Fraction(1)).height


async def test_a_text_that_changed_twice_is_measured_anew(patched: bool) -> None:
    with textual(patched):
        async with Growing().run_test() as pilot:
            text = pilot.app.query_one("#text", Static)
            text.update("one")
            assert height(text) == 1
            text.update("one\ntwo")
            assert (height(text) == 2) is patched


async def test_a_growing_text_is_laid_out_once(patched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with textual(patched):
        async with Growing().run_test() as pilot:
            text = pilot.app.query_one("#text", Static)
            await pilot.pause()
            made = 0
            refresh = Screen._refresh_layout

            def count(self: Screen[object], *args: object, **options: object) -> None:
                nonlocal made
                made += 1
                refresh(self, *args, **options)  # type: ignore[arg-type]

            monkeypatch.setattr(Screen, "_refresh_layout", count)
            text.update("one\ntwo\nthree")
            await pilot.pause(0.2)
            assert (made == 1) is patched, made


async def test_a_message_that_is_taken_away_leaves_no_room(patched: bool) -> None:
    with textual(patched):
        async with Growing().run_test(notifications=True) as pilot:
            said = Notification("Something.")
            pilot.app.post_message(Notify(said))
            await pilot.pause(0.1)
            pilot.app._unnotify(said)
            await pilot.pause(0.1)
            assert (not pilot.app.screen.query(ToastHolder)) is patched
