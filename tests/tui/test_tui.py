"""The chat screen, driven by keys, over a scripted engine."""

from dataclasses import replace

from textual.document._wrapped_document import WrappedDocument
from textual.widgets import Markdown, Static

from qwenchat.chat.errors import EngineFailed, LibraryUnwritable, ModelNotFound
from qwenchat.chat.events import LoadProgressed
from qwenchat.chat.messages import Role, Status
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.library.library import Library
from qwenchat.tui.screens.help import HelpScreen
from qwenchat.tui.widgets.sidebar import Sidebar
from tests.support.chat_driver import chat
from tests.support.fake_engine import MODEL, FakeEngine, Script

WORDS = " ".join(f"word{n}" for n in range(40))
LONG = "\n\n".join(f"Paragraph {n} of a long answer." for n in range(60))


def _clipboard(it) -> str:
    return it.app.clipboard


def _all_text(widget) -> str:
    """What a widget and all below it say, also what is scrolled away."""
    return "\n".join(str(static.render()) for static in widget.query(Static))


class TestExport:
    async def test_the_conversation_is_written_into_a_file_here(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        async with chat() as it:
            await it.send("/export")
            await it.sees("nothing to export")
            await it.send("What is the capital of France?")
            await it.sees("Paris is the capital of France.")
            await it.until(lambda: not it.session.busy)
            await it.send("/export txt")
            await it.sees("Formats are md, json, jsonl")
            assert it.draft == "/export txt"
            it.composer.write("")
            await it.send("/export")
            await it.sees("Written to")
        (file,) = tmp_path.glob("*.md")
        assert "Paris is the capital of France." in file.read_text("utf-8")


class TestWriting:
    async def test_the_composer_takes_text_while_the_model_loads(self):
        async with chat(engine=FakeEngine(loading_holds=True), ready=False) as it:
            await it.press("h", "i")
            assert it.draft == "hi"
            assert it.session.model.info is None

    async def test_a_message_sent_while_loading_is_answered_when_the_model_is_there(self):
        async with chat(engine=FakeEngine(loading_holds=True), ready=False) as it:
            await it.send("What is the capital of France?")
            await it.sees("What is the capital of France?", "waiting for the model to load")
            it.engine.release()
            await it.sees("Paris is the capital of France.")
            assert "waiting for the model" not in it.screen

    async def test_the_model_reads_what_is_written_before_it_is_sent(self):
        async with chat() as it:
            await it.press("h", "i")
            await it.until(lambda: it.engine.ahead and it.engine.ahead[-1].draft == "hi", "the draft read ahead")

    async def test_what_may_become_a_command_is_not_read_by_the_model(self):
        async with chat() as it:
            for key in ("slash", "f", "o"):
                await it.press(key)
            await it.pilot.pause(0.8)
            assert it.engine.ahead == []
            await it.press("ctrl+c")
            assert it.draft == ""

    async def test_the_composer_takes_text_while_the_model_answers(self):
        async with chat(Script(WORDS, hold_at=3)) as it:
            await it.send("Go")
            await it.sees("word2")
            await it.press("n", "e", "x", "t")
            assert it.draft == "next"

    async def test_enter_sends_and_ctrl_j_breaks_the_line(self):
        async with chat() as it:
            await it.press("a", "ctrl+j", "b")
            assert it.draft == "a\nb"
            await it.press("enter")
            await it.sees("Paris")
            assert it.engine.turns[0].messages[-1].text == "a\nb"
            assert it.draft == ""

    async def test_a_paste_is_never_sent_by_itself(self):
        async with chat() as it:
            await it.paste("one\r\ntwo\r\n\x1b[31mred\x1b[0m")
            assert it.draft == "one\ntwo\nred"
            assert it.engine.turns == []

    async def test_a_book_that_is_pasted_and_sent_is_shown_in_part_and_sent_whole(self):
        book = "some words of the book\n" * 20_000
        async with chat(engine=FakeEngine(model=replace(MODEL, context_window=200_000))) as it:
            await it.paste(book)
            await it.press("enter")
            await it.sees("Pasted  20,000 lines, 460 kB")
            await it.idle()
            assert it.engine.turns[0].messages[-1].text == book
            await it.click_text("Pasted")
            await it.sees("▾ Pasted")
            await it.press("ctrl+end")
            await it.sees("more characters, which the model reads too")

    async def test_a_pasted_book_is_wrapped_once(self, monkeypatch):
        wrapped = []

        def count(document, *args, whole=WrappedDocument.wrap, **options):
            wrapped.append(document.document.line_count)
            return whole(document, *args, **options)

        monkeypatch.setattr(WrappedDocument, "wrap", count)
        async with chat(size=(80, 24)) as it:
            await it.paste("some words of the book\n" * 500)
            await it.press("alt+e")
            await it.sees("some words of the book")
            await it.pilot.pause()
            assert max(wrapped) == 1, "the paste itself wraps what it adds; all of it is not wrapped again"

    async def test_a_draft_is_wrapped_anew_when_the_terminal_gets_narrower(self):
        async with chat(size=(100, 24)) as it:
            await it.paste(" ".join(f"word{n}" for n in range(20)))
            await it.pilot.resize_terminal(40, 24)
            await it.sees("word0", "word19")
            for line in it.screen.splitlines():
                assert len(line) <= 40

    async def test_an_empty_message_is_not_sent(self):
        async with chat() as it:
            await it.press("space", "enter", "ctrl+j", "enter")
            assert it.session.conversation.path == ()

    async def test_up_brings_the_last_message_back_into_an_empty_composer(self):
        async with chat() as it:
            await it.ask("Say it again")
            await it.press("up")
            assert it.draft == "Say it again"

    async def test_undo_brings_deleted_text_back(self):
        async with chat() as it:
            await it.press("a", "b", "ctrl+u")
            assert it.draft == ""
            await it.press("ctrl+underscore")
            assert it.draft == "ab"


class TestThinking:
    async def test_the_pane_is_open_and_timed_while_the_model_thinks(self):
        async with chat(Script("Answer.", thought="Let me see what I know about it", hold_at=4)) as it:
            await it.send("Go")
            await it.sees("▾ thinking for 0 s, 4 tokens", "Let me see what")
            await it.sees("thinking for 1 s")

    async def test_it_folds_to_a_line_when_the_answer_begins(self):
        async with chat(Script("The answer is here.", thought="Let me see what", hold_at=5)) as it:
            await it.send("Go")
            await it.sees("▸ thought for 0.0 s, 4 tokens", "The")
            assert it.session.busy
            assert "Let me see what" not in it.screen

    async def test_ctrl_o_opens_and_folds_it(self):
        async with chat(Script("Answer.", thought="Let me see what")) as it:
            await it.ask("Go")
            await it.press("ctrl+o")
            await it.sees("▾ thought for 0.0 s, 4 tokens", "Let me see what")
            await it.press("ctrl+o")
            await it.no_longer_sees("Let me see what")

    async def test_opening_it_keeps_its_heading_in_view(self):
        async with chat(Script(LONG, thought="\n".join(WORDS.split())), size=(80, 24)) as it:
            await it.ask("Go")
            await it.press("ctrl+o")
            await it.sees("▾ thought for", "word0")
            await it.press("ctrl+o")
            await it.sees("▸ thought for")
            await it.press("ctrl+end")
            await it.sees("Paragraph 59")

    async def test_a_short_conversation_stays_where_it_is_when_scrolled(self):
        async with chat() as it:
            await it.ask("Go")
            before = it.screen
            await it.press("pageup")
            await it.pilot.pause(0.1)
            assert it.screen == before

    async def test_a_click_on_its_heading_opens_and_folds_it(self):
        async with chat(Script("Answer.", thought="Let me see what")) as it:
            await it.ask("Go")
            await it.click_text("thought for 0.0 s")
            await it.sees("Let me see what")
            await it.click_text("thought for 0.0 s")
            await it.no_longer_sees("Let me see what")

    async def test_a_thought_folded_by_hand_stays_folded_while_it_grows(self):
        async with chat(Script("Answer.", thought=WORDS, hold_at=5)) as it:
            await it.send("Go")
            await it.sees("word4")
            await it.press("ctrl+o")
            await it.no_longer_sees("word4")
            it.engine.release()
            await it.idle()
            assert "word4" not in it.screen

    async def test_a_thought_without_an_opening_tag_moves_to_the_pane(self):
        async with chat(Script("The answer.", thought_untagged="Hidden musings here")) as it:
            await it.ask("Go")
            await it.sees("▸ thought for", "3 tokens", "The answer.")
            assert "Hidden musings" not in it.screen
            await it.press("ctrl+o")
            await it.sees("Hidden musings here")

    async def test_a_thought_that_broke_off_says_so(self):
        async with chat(Script("Answer.", thought=WORDS, hold_at=5)) as it:
            await it.send("Go")
            await it.sees("word4")
            await it.press("escape")
            await it.idle()
            await it.sees("broken off", "stopped")

    async def test_a_long_thought_is_all_there(self):
        thought = "\n".join(f"Step {n} of the thought goes here." for n in range(150))
        async with chat(Script("Answer.", thought=thought, hold_at=800)) as it:
            await it.send("Go")
            await it.sees("Step 130 of the thought")
            shown = "\n".join(str(w.render()) for w in it.replies[-1].reasoning.query(".text"))
            assert shown.startswith("Step 0 of the thought goes here.\nStep 1 of")
            for n in range(131):
                assert shown.count(f"Step {n} of") == 1

    async def test_ctrl_t_switches_thinking_and_the_status_line_says_which(self):
        async with chat(Script("Answer.", thought="Let me see")) as it:
            await it.sees("thinking on")
            await it.press("ctrl+t")
            await it.sees("thinking off")
            await it.ask("Go")
            assert it.engine.turns[-1].thinking is False
            assert "thought for" not in it.screen
            await it.press("ctrl+t")
            await it.sees("thinking on")
            await it.ask("Go")
            assert it.engine.turns[-1].thinking is True

    async def test_the_thinking_state_stays_on_a_narrow_status_line(self):
        async with chat(size=(40, 12)) as it:
            await it.ask("Go")
            assert "thinking on" in it.status

    async def test_a_model_without_thinking_says_so(self):
        async with chat(engine=FakeEngine(model=replace(MODEL, thinking=ThinkingSupport.NONE))) as it:
            await it.sees("thinking not supported")
            await it.press("ctrl+t")
            await it.sees("This model does not think before it answers.")

    async def test_a_model_that_always_thinks_says_so(self):
        async with chat(engine=FakeEngine(model=replace(MODEL, thinking=ThinkingSupport.ALWAYS))) as it:
            await it.sees("thinking always on")
            await it.press("ctrl+t")
            await it.sees("it has no switch")


class TestStopping:
    async def test_escape_stops_and_keeps_what_came_marked(self):
        async with chat(Script(WORDS, hold_at=5)) as it:
            await it.send("Go")
            await it.sees("word4")
            await it.press("escape")
            await it.idle()
            await it.sees("word4", "stopped")
            assert it.session.conversation.path[-1].status is Status.STOPPED

    async def test_a_stopped_thought_in_a_message_that_waits_for_the_model_ends_at_once(self):
        async with chat(engine=FakeEngine(loading_holds=True), ready=False) as it:
            await it.send("Go")
            await it.sees("waiting for the model to load")
            await it.press("escape")
            await it.idle()
            await it.sees("stopped")

    async def test_ctrl_c_copies_a_selection_first(self):
        async with chat(Script(WORDS, hold_at=5)) as it:
            await it.send("Go")
            await it.sees("word4")
            await it.press("d", "r", "a", "f", "t", "shift+home", "ctrl+c")
            assert _clipboard(it) == "draft"
            assert it.session.busy
            assert it.draft == "draft"

    async def test_ctrl_c_copies_what_the_mouse_selected_in_a_reply(self):
        async with chat() as it:
            await it.ask("Go")
            lines = it.screen.splitlines()
            y = next(n for n, line in enumerate(lines) if "Paris is the capital" in line)
            x = lines[y].index("Paris")
            await it.pilot.mouse_down(offset=(x, y))
            await it.pilot.hover(offset=(x + 8, y))
            await it.pilot.mouse_up(offset=(x + 8, y))
            await it.press("ctrl+c")
            assert _clipboard(it).startswith("Paris is")
            assert len(_clipboard(it)) < 12
            await it.press("x")
            assert it.draft == "x"

    async def test_ctrl_c_stops_then_clears_then_asks_then_quits(self):
        async with chat(Script(WORDS, hold_at=5)) as it:
            await it.send("Go")
            await it.sees("word4")
            await it.press("x", "ctrl+c")
            await it.idle()
            assert it.draft == "x"
            await it.press("ctrl+c")
            assert it.draft == ""
            assert it.app.is_running
            await it.press("ctrl+c")
            await it.sees("Ctrl+C again to quit")
            await it.press("ctrl+c")
            await it.until(lambda: it.app._exit, "the end")

    async def test_quitting_while_generating_saves_what_came(self, tmp_path):
        async with chat(Script(WORDS, hold_at=5), library=Library.open(tmp_path / "db")) as it:
            await it.send("Go")
            await it.sees("word4")
            await it.press("ctrl+q")
            conversation = it.session.conversation.id
        stored = Library.open(tmp_path / "db").read(conversation)
        assert [m.text.strip() for m in stored.messages] == ["Go", "word0 word1 word2 word3 word4"]
        assert stored.messages[-1].status is Status.STOPPED
        assert it.engine.closed


class TestConversations:
    async def test_retry_makes_another_branch_and_keeps_the_first(self):
        async with chat(Script("First answer."), Script("Second answer.")) as it:
            await it.ask("Go")
            await it.press("ctrl+r")
            await it.sees("Second answer.")
            await it.idle()
            assert "First answer." not in it.screen
            replies = [m.text for m in it.session.library.read(it.session.conversation.id).messages]
            assert replies == ["Go", "First answer.", "Second answer."]

    async def test_retry_with_nothing_to_answer_says_so(self):
        async with chat() as it:
            await it.press("ctrl+r")
            await it.sees("There is no message to answer.")

    async def test_a_new_chat_is_empty_and_the_old_one_is_saved(self):
        async with chat() as it:
            await it.ask("Old question")
            await it.press("ctrl+n")
            await it.no_longer_sees("Old question")
            assert it.session.library.conversations()[0].title == "Old question"

    async def test_a_new_chat_in_the_middle_of_a_reply_keeps_what_came(self):
        async with chat(Script(WORDS, hold_at=5), Script("Fresh.")) as it:
            await it.send("Old question")
            await it.sees("word4")
            old = it.session.conversation.id
            await it.press("ctrl+n")
            await it.no_longer_sees("word4")
            assert "word4" in it.session.library.read(old).messages[-1].text
            await it.ask("New question")
            await it.sees("Fresh.")

    async def test_the_sidebar_lists_conversations_and_resumes_one(self):
        async with chat(Script("First answer."), Script("Second answer.")) as it:
            await it.ask("First question")
            await it.press("ctrl+n")
            await it.ask("Second question")
            await it.press("ctrl+b")
            await it.sees("Conversations", "First question", "2 messages", "just now")
            await it.press("down", "enter")
            await it.sees("First answer.")
            await it.no_longer_sees("Second answer.")
            assert not it.app.screen.query_one(Sidebar).display
            await it.press("o", "k")
            assert it.draft == "ok"

    async def test_escape_closes_the_sidebar(self):
        async with chat() as it:
            await it.press("ctrl+b")
            await it.sees("Nothing saved yet")
            await it.press("escape")
            await it.no_longer_sees("Nothing saved yet")

    async def test_a_conversation_chosen_while_the_model_answers_drops_no_text(self):
        async with chat(Script("First answer."), Script(WORDS, hold_at=5)) as it:
            await it.ask("First question")
            await it.press("ctrl+n")
            await it.send("Second question")
            await it.sees("word4")
            second = it.session.conversation.id
            await it.press("ctrl+b", "down", "enter")
            await it.sees("First answer.")
            assert "word4" in it.session.library.read(second).messages[-1].text

    async def test_a_resumed_conversation_shows_everything(self):
        library = Library.in_memory()
        async with chat(Script("The **answer**.", thought="Let me see"), library=library) as it:
            await it.ask("The question")
            conversation = it.session.conversation.id
            await it.press("ctrl+n")
            await it.no_longer_sees("The question")
            it.app._chat.opening.open(conversation)
            await it.sees("The question", "The answer.", "▸ thought for 0.0 s, 3 tokens")

    async def test_a_conversation_named_at_the_start_is_resumed(self, tmp_path):
        async with chat(library=Library.open(tmp_path / "db")) as it:
            await it.ask("The question")
            conversation = it.session.conversation.id
        async with chat(library=Library.open(tmp_path / "db"), resume=conversation) as it:
            await it.sees("The question", "Paris is the capital of France.")

    async def test_an_unknown_conversation_at_the_start_is_said(self):
        async with chat(resume="nosuch") as it:
            await it.sees("There is no conversation nosuch.")

    async def test_a_draft_is_kept_for_each_conversation(self):
        async with chat() as it:
            await it.ask("First question")
            await it.paste("draft one")
            await it.press("ctrl+n")
            assert it.draft == ""
            await it.paste("draft two")
            await it.press("ctrl+b", "enter")
            await it.until(lambda: it.draft == "draft one", "the first draft")
            await it.press("ctrl+n")
            await it.until(lambda: it.draft == "draft two", "the second draft")

    async def test_a_draft_survives_the_end_of_the_program(self, tmp_path):
        async with chat(library=Library.open(tmp_path / "db")) as it:
            await it.paste("not yet sent")
            await it.press("ctrl+q")
        async with chat(library=Library.open(tmp_path / "db")) as it:
            await it.until(lambda: it.draft == "not yet sent", "the draft")

    async def test_a_draft_is_saved_while_it_is_written(self):
        async with chat() as it:
            await it.paste("being written")
            await it.until(lambda: it.session.library.draft(None).whole == "being written", "the draft on disk")

    async def test_a_sent_message_is_no_draft_any_more(self):
        async with chat() as it:
            await it.paste("being written")
            await it.until(lambda: it.session.library.draft(None).whole, "the draft on disk")
            await it.press("enter")
            await it.sees("Paris")
            assert it.session.library.draft(None).whole == ""

    async def test_a_conversation_that_vanished_keeps_the_draft(self):
        async with chat() as it:
            await it.ask("First question")
            first = it.session.conversation.id
            await it.press("ctrl+n")
            await it.paste("precious")
            await it.press("ctrl+b")
            it.session.library.delete(first)
            await it.press("enter")
            await it.sees("There is no conversation")
            assert it.draft == "precious"

    async def test_copying_a_reply_gives_what_the_model_wrote(self):
        async with chat(Script("A **bold** word.", thought="Let me see")) as it:
            await it.ask("Go")
            await it.press("ctrl+y")
            await it.sees("Copied 16 characters")
            assert _clipboard(it) == "A **bold** word."

    async def test_copying_uses_the_tool_of_the_system_and_says_so(self, tmp_path, monkeypatch):
        (tmp_path / "wl-copy").write_text(f"#!/bin/sh\nexec /bin/cat > {tmp_path}/copied\n")
        (tmp_path / "wl-copy").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
        async with chat(Script("A **bold** wörd.")) as it:
            await it.ask("Go")
            await it.press("ctrl+y")
            await it.sees("Copied 16 characters", "wl-copy")
            assert (tmp_path / "copied").read_text("utf-8") == "A **bold** wörd."

    async def test_copying_without_a_tool_or_with_one_that_fails_leaves_it_to_the_terminal(self, tmp_path, monkeypatch):
        (tmp_path / "xclip").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "xclip").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        async with chat() as it:
            await it.ask("Go")
            await it.press("ctrl+y")
            await it.sees("Copied 31 characters", "OSC 52")

    async def test_copying_without_a_reply_says_so(self):
        async with chat() as it:
            await it.press("ctrl+y")
            await it.sees("There is no reply to copy yet.")


class TestCommands:
    async def test_the_help_lists_every_key_and_f1_closes_it(self):
        async with chat(size=(100, 120)) as it:
            await it.press("f1")
            await it.sees("Keys and commands")
            for key in (
                "Enter", "Ctrl+J", "Shift+Enter", "Ctrl+T", "Ctrl+O", "Esc", "Ctrl+R", "Ctrl+N", "Ctrl+B", "Ctrl+Y",
                "Ctrl+End", "Ctrl+Home", "Ctrl+C", "PgUp", "F1", "Ctrl+P", "Ctrl+Z", "Ctrl+Q", "/new", "/retry",
                "/no_think", "Up", "Ctrl+G", "Ctrl+S",
            ):  # fmt: skip
                assert key in it.screen, key
            await it.press("f1")
            await it.until(lambda: not isinstance(it.app.screen, HelpScreen), "the help closed")
            await it.press("o", "k")
            assert it.draft == "ok"

    async def test_a_slash_command_never_reaches_the_model(self):
        async with chat() as it:
            await it.ask("First question")
            await it.send("/new")
            await it.no_longer_sees("First question")
            assert len(it.engine.turns) == 1
            assert it.draft == ""

    async def test_every_slash_command_does_something(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("Go")
            await it.send("/retry")
            await it.sees("Second.")
            await it.idle()
            await it.send("/model")
            await it.sees("On this machine")
            await it.press("escape")
            await it.send("/preset")
            await it.sees("Presets")
            await it.press("escape")
            await it.send("/set top_k 5")
            await it.sees("top_k 5 (this chat)")
            await it.send("/system")
            await it.sees("There is no system prompt.")
            await it.send("/answer")
            await it.sees("No reply was interrupted")
            await it.send("/budget 500")
            await it.sees("Thoughts end after 500 tokens.")
            await it.send("/copy")
            await it.until(lambda: _clipboard(it) == "Second.", "the copy")
            await it.send("/help")
            await it.sees("Keys and commands")
            await it.press("escape")
            await it.send("/stop")
            await it.send("/quit")
            await it.until(lambda: it.app._exit, "the end")
            assert len(it.engine.turns) == 2

    async def test_an_unknown_command_keeps_the_draft(self):
        async with chat() as it:
            await it.send("/nonsense please")
            await it.sees("There is no command /nonsense.", "/retry")
            assert it.draft == "/nonsense please"
            assert it.engine.turns == []

    async def test_the_soft_switches_of_the_model_stay_in_the_message(self):
        async with chat() as it:
            await it.ask("/no_think What is it?")
            assert it.engine.turns[0].messages[-1].text == "/no_think What is it?"

    async def test_a_path_is_not_a_command(self):
        async with chat() as it:
            await it.ask("/etc/passwd is what?")
            assert len(it.engine.turns) == 1

    async def test_the_palette_finds_what_has_a_key(self):
        async with chat() as it:
            await it.ask("First question")
            await it.press("ctrl+p")
            await it.press(*"new conv")
            await it.sees("New conversation")
            await it.press("down", "enter")
            await it.no_longer_sees("First question")


class TestTrouble:
    async def test_loading_shows_the_step_the_amount_and_the_share(self):
        steps = (LoadProgressed("downloading Qwen/Qwen3-0.6B", 300_000_000, 1_200_000_000),)
        async with chat(engine=FakeEngine(progress=steps, loading_holds=True), ready=False) as it:
            await it.sees("downloading Qwen/Qwen3-0.6B", "300 MB of 1.2 GB, 25 %")

    async def test_a_failed_load_is_shown_with_its_way_out_and_the_program_lives(self):
        error = ModelNotFound("There is no model nosuch/model.", "`qwenchat models` lists what there is.")
        async with chat(engine=FakeEngine(load_error=error), ready=False) as it:
            await it.sees("There is no model nosuch/model.", "`qwenchat models` lists what there is.", "no model")
            await it.send("Hello?")
            await it.sees("failed: There is no model nosuch/model.")
            await it.press("o", "k")
            assert it.draft == "ok"

    async def test_a_message_that_waited_for_a_failed_load_is_kept(self):
        error = ModelNotFound("There is no model nosuch/model.")
        async with chat(engine=FakeEngine(load_error=error, loading_holds=True), ready=False) as it:
            await it.send("Hello?")
            await it.sees("waiting for the model to load")
            it.engine.release()
            await it.sees("Hello?", "failed: There is no model nosuch/model.")

    async def test_after_a_failed_load_another_model_can_be_loaded_and_the_conversation_goes_on(self):
        error = ModelNotFound("There is no model nosuch/model.", "`qwenchat models` lists what there is.")
        engine = FakeEngine(load_error=error)
        async with chat(engine=engine, ready=False) as it:
            await it.send("Hello?")
            await it.sees("failed: There is no model", "/model NAME loads another")
            engine.load_error, engine.loading_holds = None, True
            engine.progress = (LoadProgressed("reading weights", 300_000_000, 1_200_000_000),)
            await it.send("/model other/model")
            await it.sees("reading weights", "300 MB of 1.2 GB")
            assert "There is no model nosuch" not in it.screen.replace("failed: There is no model nosuch", "")
            await it.press("ctrl+r")
            await it.sees("waiting for the model to load")
            engine.release()
            await it.sees("Paris is the capital of France.", "other/model")
            assert [load.name for load in engine.loads] == [None, "other/model"]
            assert [m.text for m in engine.turns[0].messages] == ["Hello?"]

    async def test_a_failed_load_can_be_tried_again(self):
        engine = FakeEngine(load_error=ModelNotFound("There is no model nosuch/model."))
        async with chat(engine=engine, ready=False) as it:
            await it.sees("/model tries again")
            engine.load_error = None
            await it.send("/model")
            await it.sees("● Qwen/Qwen3-0.6B")

    async def test_another_model_is_loaded_in_mid_conversation(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("One")
            await it.send("/model other/model")
            await it.sees("● other/model")
            await it.ask("Two")
            await it.sees("One", "First.", "Two", "Second.")
            assert [m.text for m in it.engine.turns[-1].messages] == ["One", "First.", "Two"]

    async def test_failing_in_mid_reply_keeps_what_came(self):
        script = Script(WORDS, error=EngineFailed("The device was lost.", "Try again."), error_at=5)
        async with chat(script) as it:
            await it.send("Go")
            await it.sees("word0 word1 word2 word3 word4", "failed: The device was lost. Try again.")
            assert it.session.conversation.path[-1].status is Status.FAILED

    async def test_an_engine_that_raises_anything_is_a_failed_reply(self):
        async with chat(Script(WORDS, error=ZeroDivisionError("boom"), error_at=0), Script("Fine now.")) as it:
            await it.send("Go")
            await it.sees("failed:", "boom")
            await it.press("ctrl+r")
            await it.sees("Fine now.")

    async def test_a_reply_that_cannot_be_saved_is_said_and_stays(self, monkeypatch):
        async with chat(Script(WORDS, hold_at=3)) as it:
            await it.send("Go")
            await it.sees("word2")

            def full(*args: object) -> None:
                raise LibraryUnwritable("The disk is full.", "Free some space.")

            monkeypatch.setattr(it.session.library, "save", full)
            it.engine.release()
            await it.sees("is not saved yet", "The disk is full. Free some space.", "word39")
            monkeypatch.undo()
            await it.ask("Again")
            await it.no_longer_sees("The disk is full.")

    async def test_a_message_that_cannot_be_saved_stays_a_draft(self, monkeypatch):
        async with chat() as it:

            def full(*args: object) -> None:
                raise LibraryUnwritable("The disk is full.", "Free some space.")

            monkeypatch.setattr(it.session.library, "save_all", full)
            await it.send("precious")
            await it.sees("The disk is full.")
            assert it.draft == "precious"

    async def test_a_draft_that_cannot_be_saved_is_said(self, monkeypatch):
        async with chat() as it:

            def full(*args: object) -> None:
                raise LibraryUnwritable("The disk is full.", "Free some space.")

            monkeypatch.setattr(it.session.library, "save_draft", full)
            await it.paste("precious")
            await it.sees("The draft could not be saved. The disk is full.")
            monkeypatch.undo()
            await it.press("x")
            await it.no_longer_sees("The disk is full.")

    async def test_left_out_history_is_said(self):
        async with chat(Script(trimmed=3)) as it:
            await it.ask("Go")
            await it.sees("no longer reads the oldest 3 messages")
            await it.press("ctrl+n")
            await it.no_longer_sees("no longer reads")

    async def test_reading_the_prompt_shows_how_far_it_is(self):
        async with chat(Script(prefill_holds=0.4)) as it:
            await it.send("Go")
            await it.sees("reading the prompt, 40 %")
            it.engine.release()
            await it.sees("Paris")
            assert "reading the prompt" not in it.screen

    async def test_notices_of_the_start_are_shown_until_put_away(self):
        async with chat(notices=["config.toml: theme cannot be used.", "Something else."]) as it:
            await it.sees("config.toml: theme cannot be used.", "Something else.")
            await it.press("escape")
            await it.no_longer_sees("config.toml")

    async def test_the_model_that_was_not_asked_for_says_why_it_talks(self):
        model = replace(MODEL, name="SmolLM2", reason="Qwen3 is not here; SmolLM2 talks until it is.")
        async with chat(engine=FakeEngine(model=model)) as it:
            await it.sees("Qwen3 is not here; SmolLM2 talks until it is.")

    async def test_the_status_line_shows_speed_first_token_and_context(self):
        async with chat(Script(WORDS), size=(120, 30)) as it:
            await it.ask("Go")
            await it.sees("50.0 tok/s", "first token 0.01 s", "context", "1 %")

    async def test_a_reply_cut_off_at_the_limit_says_so(self):
        from qwenchat.chat.provenance import FinishReason

        async with chat(Script("Half a sen", finish=FinishReason.LENGTH)) as it:
            await it.ask("Go")
            await it.sees("cut off at the length limit")

    async def test_an_empty_reply_says_so(self):
        async with chat(Script("")) as it:
            await it.ask("Go")
            await it.sees("no answer")


async def test_the_roles_of_the_saved_messages_are_right():
    async with chat() as it:
        await it.ask("Go")
        assert [m.role for m in it.session.conversation.path] == [Role.USER, Role.ASSISTANT]
        assert isinstance(it.markdown_of(it.replies[0]), Markdown)
        await it.press("ctrl+b")
        await it.sees("Conversations", "2 messages")
