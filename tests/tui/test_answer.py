"""Answers that are drawn piece by piece: what becomes of them when they are taken away meanwhile."""

import asyncio

import pytest
from textual.app import App

from qwenchat.tui.transcript.answer import Answer

PIECES = "\n\n".join(f"Paragraph {number} of the answer.\n\n- one\n- two" for number in range(20))


@pytest.mark.parametrize("turns", [0, 1, 5])
async def test_a_program_that_ends_while_an_answer_is_drawn_ends_in_peace(turns: int) -> None:
    app: App[None] = App()
    async with app.run_test():
        answer = Answer()
        await app.mount(answer)
        answer.settle(PIECES)
        for _ in range(turns):
            await asyncio.sleep(0)
        app.exit()


async def test_an_answer_that_is_taken_away_while_it_is_drawn_is_given_up() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        answer = Answer()
        await app.mount(answer)
        answer.settle(PIECES)
        await answer.remove()
        await pilot.pause()
        assert answer.settled
