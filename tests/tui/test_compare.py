"""The same message answered by several models side by side."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import EngineFailed, ModelNotFound, OutOfMemory, PromptEmpty, ServerError
from qwenchat.chat.messages import Message, Role, Status, TextPart
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.server_profile import Server
from qwenchat.engine.remote import discovery
from qwenchat.engine.remote.offer import ServedModel
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.comparison import compare
from qwenchat.session.session import Session
from qwenchat.session.turn import CHECKPOINT_S
from qwenchat.settings.settings import Settings
from qwenchat.tui.models.compare_screen import CompareScreen
from tests.support.cast import Cast
from tests.support.chat_driver import PATIENCE_S, Chat, chat
from tests.support.fake_engine import MODEL, FakeEngine, Script
from tests.tui.test_hostile import ESCAPES, MARKUP, SHOWN, _clean

SERVERS = {name: Server(f"http://{name}.test/v1", name) for name in ("alpha", "beta")}


@asynccontextmanager
async def comparing(cast: Cast, **options: Any) -> AsyncIterator[Chat]:
    """The chat over several models; `usual` is loaded."""
    cast.engines.setdefault("usual", FakeEngine([Script("The usual answer.")]))
    try:
        async with chat(make_engine=cast.make, settings=Settings(servers=SERVERS), **options) as it:
            yield it
            cast.release()
    finally:
        cast.release()


async def all_ended(it: Chat) -> None:
    comparison = it.session.comparison
    assert comparison is not None
    await it.until(lambda: not comparison.running, "the end of all replies")


def versions_of(it: Chat) -> list[Message]:
    """The latest reply and its other versions."""
    assert it.session.conversation.tree.leaf is not None
    return [
        it.session.conversation.tree[at]
        for at in it.session.conversation.tree.siblings(it.session.conversation.tree.leaf)
    ]


class TestSideBySide:
    async def test_servers_answer_at_once_each_in_its_column(self):
        cast = Cast(alpha=Script("Alpha says one two.", hold_at=2), beta=Script("Beta says three four.", hold_at=2))
        async with comparing(cast) as it:
            await it.send("/compare alpha beta\nCount!")
            await it.sees("1 alpha", "2 beta", "Count!", "Alpha says", "Beta says", "answering")
            line = next(line for line in it.screen.splitlines() if "Alpha says" in line)
            assert "Beta says" in line
            cast.release()
            await it.sees("one two.", "three four.", "4 tokens", "tok/s", "first token")

    async def test_models_on_this_machine_answer_one_after_another(self):
        cast = Cast(
            usual=Script("The usual answer.", hold_at=2), smollm2=Script("A small answer."), alpha=Script("Far.")
        )
        async with comparing(cast, size=(130, 30)) as it:
            await it.send("/compare usual smollm2 alpha\nGo")
            await it.sees("The usual", "Far.", "waits for the others on this machine")
            assert not cast["smollm2"].loads
            cast.release()
            await it.sees("usual answer.", "A small answer.")
            assert len(cast["usual"].loads) == 1

    async def test_thoughts_are_folded_when_the_answer_comes_and_open_on_demand(self):
        cast = Cast(alpha=Script("Yes.", thought="Let me see."), beta=Script("No.", thought="Hm hm."))
        async with comparing(cast) as it:
            await it.send("/compare alpha beta\nGo")
            await it.sees("Yes.", "No.", "▸ thought for", "3 tokens")
            assert "Let me see." not in it.screen
            await it.press("o")
            await it.sees("Let me see.", "Hm hm.")
            await it.press("o")
            await it.no_longer_sees("Let me see.")

    async def test_one_that_thinks_can_be_made_to_answer(self):
        cast = Cast(alpha=Script("Yes.", thought="Let me see this.", hold_at=2), beta=Script("No."))
        async with comparing(cast) as it:
            await it.send("/compare alpha beta\nGo")
            await it.sees("thinking", "No.")
            await it.press("ctrl+s")
            await it.sees("Yes.")

    async def test_one_that_cannot_answer_costs_its_column_alone(self):
        cast = Cast(
            alpha=FakeEngine(load_error=ServerError("The server alpha does not answer.", "Start it.")),
            beta=Script("Beta begins well.", error=EngineFailed("It broke."), error_at=2),
        )
        async with comparing(cast, size=(200, 30)) as it:
            await it.send("/compare usual alpha beta\nGo")
            await it.sees(
                "failed: The server alpha does not answer.", "Beta begins", "failed: It broke.", "The usual answer."
            )
            await it.sees("Start it.")
            await it.press("2")
            await it.sees("It failed, so there is no reply to go on with.")
            assert it.screen.count("Start it.") == 1
            assert isinstance(it.app.screen, CompareScreen)
            await it.press("1")
            await it.sees("1/3")
            assert [reply.status for reply in versions_of(it)] == [Status.COMPLETE, Status.FAILED, Status.FAILED]

    async def test_what_does_not_fit_says_so(self):
        large = FakeEngine(load_error=OutOfMemory("large does not fit.", "What fits: --model smollm2."))
        cast = Cast(**{"lab/large": large})
        async with comparing(cast, size=(160, 30)) as it:
            await it.send("/compare lab/large\nGo")
            await it.sees("The usual answer.", "failed: large does not fit.", "What fits: --model smollm2.")

    async def test_the_same_seed_goes_to_all(self):
        cast = Cast(alpha=Script("One."), beta=Script("Two."))
        async with comparing(cast) as it:
            it.session.overrides = SamplingOverrides(seed=7)
            await it.send("/compare alpha beta\nGo")
            await it.sees("One.", "Two.")
            assert [cast[name].turns[0].sampling.seed for name in ("alpha", "beta")] == [7, 7]


class TestChoosing:
    async def test_the_chosen_model_goes_on_and_the_others_are_versions(self):
        cast = Cast(alpha=Script("Alpha answers."), beta=Script("Beta answers."))
        async with comparing(cast) as it:
            await it.send("/compare alpha beta\nGo")
            await it.sees("Alpha answers.", "Beta answers.")
            await all_ended(it)
            await it.press("right", "enter")
            await it.sees("2/2", "Beta answers.", "● beta")
            await it.ask("And now?")
            assert [turn.messages[-1].text for turn in cast["beta"].turns] == ["Go", "And now?"]
            assert cast["beta"].turns[-1].messages[-2].text == "Beta answers."
            assert len(cast["beta"].loads) == 1
            assert cast["alpha"].closed
            assert cast["usual"].closed
            assert not cast["beta"].closed
            await it.press(*["ctrl+up"] * 3, "left")
            await it.sees("1/2", "Alpha answers.")
            made = [reply.provenance for reply in versions_of(it)]
            assert [(each.model.name, each.model.server) for each in made if each] == [
                ("alpha", "alpha"),
                ("beta", "beta"),
            ]

    async def test_a_digit_chooses_and_what_is_still_written_goes_on_in_the_chat(self):
        cast = Cast(alpha=Script("Alpha says one two.", hold_at=2), beta=Script("Beta says three four.", hold_at=2))
        async with comparing(cast) as it:
            await it.send("/compare alpha beta\nGo")
            await it.sees("Alpha says", "Beta says")
            await it.press("2")
            await it.sees("2/2", "Beta says")
            cast["beta"].release()
            await it.sees("three four.")
            await it.idle()
            assert [(reply.status, reply.text.strip()) for reply in versions_of(it)] == [
                (Status.STOPPED, "Alpha says"),
                (Status.COMPLETE, "Beta says three four."),
            ]

    async def test_one_that_waits_for_its_turn_begins_when_it_is_chosen(self):
        cast = Cast(usual=Script("The usual answer.", hold_at=2), smollm2=Script("A small answer."))
        async with comparing(cast) as it:
            await it.send("/compare usual smollm2\nGo")
            await it.sees("The usual", "waits for")
            await it.press("2")
            await it.sees("● smollm2", "A small answer.")

    async def test_where_the_chosen_one_turns_out_to_be_missing_the_model_before_goes_on(self):
        missing = FakeEngine(load_error=ModelNotFound("There is no model lab/nope.", "Press F3 for what there is."))
        cast = Cast(usual=Script("The usual answer.", hold_at=2), **{"lab/nope": missing})
        async with comparing(cast) as it:
            await it.send("/compare usual lab/nope\nGo")
            await it.sees("The usual", "waits for")
            await it.press("2")
            await it.sees("There is no model lab/nope.", "● usual", "2/2")
            cast.release()
            await it.ask("Who is there?")
            await it.sees("The usual answer.")

    async def test_escape_stops_all_and_then_leaves_with_everything_kept(self):
        cast = Cast(alpha=Script("Alpha says one two.", hold_at=2), beta=Script("Beta says three four.", hold_at=2))
        async with comparing(cast) as it:
            await it.send("/compare alpha beta\nGo")
            await it.sees("Alpha says", "Beta says")
            await it.press("escape")
            await it.sees("stopped", "Esc leaves")
            await all_ended(it)
            await it.press("escape")
            await it.sees("● usual", "1/2", "Alpha says")
            assert [reply.status for reply in versions_of(it)] == [Status.STOPPED, Status.STOPPED]
            await it.ask("Go on")
            assert len(cast["usual"].turns) == 1
            assert len(cast["usual"].loads) == 1

    async def test_one_alone_can_be_stopped(self):
        cast = Cast(usual=Script("The usual answer.", hold_at=2), smollm2=Script("A small answer."))
        async with comparing(cast) as it:
            await it.send("/compare smollm2 usual\nGo")
            await it.sees("A small answer.", "The usual")
            await it.press("right", "s")
            await it.sees("stopped")
            await it.press("1")
            await it.sees("● smollm2")

    async def test_with_nothing_written_the_last_message_is_asked_again_and_its_reply_counts(self):
        cast = Cast(alpha=Script("Alpha answers."))
        async with comparing(cast) as it:
            await it.ask("What is it?")
            await it.send("/compare alpha")
            await it.sees("1 usual", "2 alpha", "The usual answer.", "Alpha answers.")
            assert len(cast["usual"].turns) == 1
            await all_ended(it)
            await it.press("escape")
            await it.sees("1/2", "The usual answer.")

    async def test_a_conversation_that_is_left_ends_the_comparison(self):
        cast = Cast(alpha=Script("Alpha says one two.", hold_at=2), beta=Script("Beta.", hold_at=0))
        async with comparing(cast) as it:
            await it.send("/compare alpha beta\nGo")
            await it.sees("Alpha says")
            it.app._chat.action_new()
            await it.sees("Write a message")
            assert not it.session.conversation.path
            assert not it.session.busy


class TestChooser:
    @pytest.fixture(autouse=True)
    def servers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Alpha lists two models, beta does not answer, and nothing else runs here."""

        def served(server: Server, unwanted: object) -> tuple[ServedModel, ...]:
            if server.name == "beta":
                raise ServerError("Beta is gone.")
            return ServedModel("qwen3:4b"), ServedModel("qwen3:8b")

        monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
        monkeypatch.setattr(discovery, "served", served)
        monkeypatch.setattr(discovery.nearby, "__defaults__", ({},))

    async def test_f7_lists_what_can_be_asked_and_remembers_the_choice(self):
        cast = Cast(alpha=Script("Alpha answers."))
        async with comparing(cast) as it:
            await it.paste("What is it?")
            await it.press("f7")
            await it.sees("✓ usual", "qwen3:4b", "qwen3:8b", "beta · Beta is gone.")
            await it.press("enter")
            await it.sees("Tick two or more")
            await it.press("down", "down", "space")
            await it.sees("✓ qwen3:8b")
            await it.press("enter")
            await it.sees("1 usual", "2 alpha", "The usual answer.", "Alpha answers.")
            assert cast["alpha"].loads[0].name == "qwen3:8b"
            assert cast["alpha"].turns[0].messages[-1].text == "What is it?"
            await all_ended(it)
            await it.press("1", "f7")
            await it.sees("✓ usual", "✓ qwen3:8b")
            await it.press("escape")
            await it.no_longer_sees("✓")

    async def test_two_models_of_one_server_by_name(self):
        cast = Cast(alpha=Script("Alpha answers."))
        async with comparing(cast) as it:
            await it.send('/compare "alpha qwen3:4b" "alpha qwen3:8b"\nGo')
            await it.until(lambda: it.screen.count("Alpha answers.") == 2, "two answers")
            assert {command.name for command in cast["alpha"].loads} == {"qwen3:4b", "qwen3:8b"}

    async def test_without_any_message_it_says_so(self):
        async with comparing(Cast(alpha=Script("A."), beta=Script("B."))) as it:
            for way in (it.send("/compare alpha beta"), it.send("/compare"), it.press("f7")):
                await way
                await it.sees("There is no message to answer.")
                await it.press("escape", "ctrl+c")
                assert not it.app.screen.is_modal

    async def test_a_name_that_no_model_can_have_is_refused_at_once_with_the_message_kept(self):
        async with comparing(Cast()) as it:
            await it.ask("What is it?")
            await it.send("/compare usual qwen3-0.6\nMy long question")
            await it.sees("There is no model qwen3-0.6", "Did you mean qwen3-0.6b")
            assert it.draft == "/compare usual qwen3-0.6\nMy long question"
            assert not it.session.busy
            await it.press("ctrl+c", "f7")
            await it.sees("Compare two or more models", "✓ usual")
            assert "✓ qwen3-0.6" not in it.screen

    async def test_the_same_model_twice_is_one_and_that_is_said(self):
        async with comparing(Cast()) as it:
            await it.ask("What is it?")
            await it.send("/compare usual usual")
            await it.sees("Each model answers once", "Name another beside it.")
            assert it.draft == "/compare usual usual"

    async def test_one_that_could_not_answer_is_not_proposed_again(self):
        cast = Cast(alpha=Script("Alpha answers."), **{"lab/nope": FakeEngine(load_error=ModelNotFound("None."))})
        async with comparing(cast, size=(160, 30)) as it:
            await it.send("/compare usual alpha lab/nope\nGo")
            await it.sees("Alpha answers.", "The usual answer.", "failed: None.")
            await all_ended(it)
            await it.press("1", "f7")
            await it.sees("✓ usual", "alpha")
            assert "✓ nope" not in it.screen

    async def test_a_draft_that_cannot_be_asked_now_is_kept(self):
        cast = Cast(usual=Script("The usual answer.", hold_at=1), alpha=Script("A."), beta=Script("B."))
        async with comparing(cast) as it:
            await it.send("Go")
            await it.sees("The")
            await it.send("/compare alpha beta\nMy long question")
            await it.sees("still answering")
            assert it.draft == "My long question"


async def test_a_narrow_terminal_shows_one_at_a_time_and_the_others_on_one_line():
    cast = Cast(alpha=Script("Alpha answers."), beta=Script("Beta says three.", hold_at=2))
    async with comparing(cast, size=(60, 20)) as it:
        await it.send("/compare alpha beta\nGo")
        await it.sees("▸1 alpha", "Alpha answers.", "2 beta answering")
        assert "Beta says" not in it.screen
        await it.press("right")
        await it.sees("▸2 beta", "Beta says")
        assert "Alpha answers." not in it.screen
        await it.pilot.resize_terminal(100, 20)
        await it.sees("Alpha answers.", "Beta says")


@pytest.mark.parametrize(("hostile", "shown"), [(ESCAPES, SHOWN), (MARKUP, MARKUP)], ids=["escapes", "markup"])
async def test_hostile_text_is_shown_as_text(hostile, shown):
    cast = Cast(
        alpha=FakeEngine([Script(f"```\n{hostile}\n```", thought=hostile)], model=replace(MODEL, name=hostile)),
        beta=FakeEngine(load_error=ServerError(hostile)),
    )
    async with comparing(cast, size=(240, 40)) as it:
        await it.send(f"/compare alpha beta\n{shown}")
        await it.sees(f"failed: {shown[:30]}")
        await all_ended(it)
        await it.press("o")
        await it.until(lambda: it.screen.count(shown[:20]) >= 4, "the text in all places")
        await _clean(it)


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[tuple[Session, Path]]:
    """A session over a library on disk, in which two servers have said two words each."""
    cast = Cast(alpha=Script("Alpha says one two.", hold_at=2), beta=Script("Beta says three.", hold_at=2))
    session = Session(Worker(cast.make), Library.open(tmp_path / "chats.db"))
    comparison = compare(session, [LoadModel(server=server) for server in SERVERS.values()], (TextPart("Go"),))
    deadline = time.monotonic() + PATIENCE_S
    while not all(each.turn.growing.answer_tokens == 2 for each in comparison.compared_models):
        comparison.poll()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield session, tmp_path / "chats.db"
    cast.release()
    session.close()


def replies_in(path: Path, session: Session) -> list[tuple[Status, str]]:
    """What another program finds in the library: the replies, all to the user's message."""
    library = Library.open(path)
    said, *replies = library.read(session.conversation.id or "").messages
    library.close()
    assert said.role is Role.USER
    assert {reply.parent for reply in replies} == {said.id}
    return [(reply.status, reply.text.strip()) for reply in replies]


def test_killed_in_the_middle_what_came_until_a_second_ago_is_there(begun: tuple[Session, Path]) -> None:
    session, path = begun
    session._clock, now = (lambda: now), time.monotonic() + CHECKPOINT_S
    assert session.comparison is not None
    for compared in session.comparison.compared_models:
        compared.slot.turn._clock = session._clock
    session.comparison.poll()
    assert replies_in(path, session) == [(Status.STREAMING, "Alpha says"), (Status.STREAMING, "Beta says")]


def test_quitting_in_the_middle_saves_all_that_came(begun: tuple[Session, Path]) -> None:
    session, path = begun
    session.close()
    assert replies_in(path, session) == [(Status.STOPPED, "Alpha says"), (Status.STOPPED, "Beta says")]


def test_without_a_message_nothing_is_compared() -> None:
    session = Session(Worker(Cast().make), Library.in_memory())
    with pytest.raises(PromptEmpty):
        compare(session, [LoadModel(server=server) for server in SERVERS.values()])
    assert not session.busy
    session.close()
