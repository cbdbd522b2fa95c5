"""Pictures of every screen, compared with those that were looked at: dark and wide, light and narrow; then any size.

After a wanted change: pytest tests/tui/test_snapshots.py --snapshot-update, and look at what git says is different.
"""

import re
from contextlib import aclosing

import pytest
from pytest_textual_snapshot import SVGImageExtension
from syrupy.assertion import SnapshotAssertion

from tests.support.chat_driver import Chat
from tests.support.views import VIEWS, lives_through_any_size, looks_of, still

__all__ = ["still"]

pytestmark = pytest.mark.usefixtures("still")
STEADY = [view for view in VIEWS if view.steady]
LOOKS = (("qwenchat-dark", (140, 44)), ("high-contrast-light", (80, 24)))


@pytest.mark.parametrize("view", STEADY, ids=str)
async def test_it_looks_as_it_did(view, snapshot: SnapshotAssertion):
    snapshot = snapshot.use_extension(SVGImageExtension)
    async with aclosing(looks_of(view, LOOKS)) as looks:
        async for theme, it in looks:
            assert await _picture(it) == snapshot(name=theme)
            if theme == LOOKS[-1][0]:
                await lives_through_any_size(it)


async def _picture(it: Chat) -> str:
    """The screen as SVG, once it no longer changes."""
    last = ""
    while True:
        await it.pilot.pause(0.06)
        picture = it.app.export_screenshot(simplify=True)
        picture = re.sub(r"terminal-\d+-", "terminal-", picture)
        if picture == last:
            return picture
        last = picture
