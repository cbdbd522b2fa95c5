"""What is typed in the composer is recorded, and F6 plays the open conversation."""

from qwenchat.chat.messages import Message

from .chat_driver import Chat, chat


def recorded(it: Chat, message: Message) -> list[int]:
    return [tick.characters for tick in it.session.library.timeline(message.id)]


class TestRecording:
    async def test_what_is_typed_is_saved_with_its_pace_but_not_what_was_deleted(self):
        async with chat() as it:
            await it.press(*"Hix", "backspace", *" you")
            await it.press("enter")
            await it.idle()
            question = it.session.path[0]
            assert question.text == "Hi you"
            assert recorded(it, question) == [1, 1, 1, 1, 1, 1, 0]
            times = [tick.at_ms for tick in it.session.library.timeline(question.id)]
            assert times == sorted(times)
            assert times[0] == 0

    async def test_a_paste_is_one_piece_and_the_next_message_begins_anew(self):
        async with chat() as it:
            await it.ask("A whole pasted page")
            await it.ask("More")
            said = [recorded(it, message) for message in it.session.path[::2]]
            assert said == [[len("A whole pasted page"), 0], [4, 0]]
