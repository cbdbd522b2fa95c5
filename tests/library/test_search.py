"""Search finds every word of every conversation, in any script, and is never what breaks."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwenchat.chat.messages import Message, Part, ReasoningPart, Role, Status, TextPart, ToolCallPart, ToolResultPart
from qwenchat.library.index import index_of
from qwenchat.library.library import Hit, Library
from qwenchat.library.query import SearchQuery
from qwenchat.library.words import fold, tokens
from tests.support.examples import examples


def message(*parts: Part | str, role: Role = Role.USER, id_: str = "", status: Status = Status.COMPLETE) -> Message:
    typed = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return Message(role, typed, status=status) if not id_ else Message(role, typed, id=id_, status=status)


def library_of(**texts: str) -> Library:
    library = Library.in_memory()
    for name, text in texts.items():
        library.save(name, message(text))
    return library


def found(library: Library, typed: str, **options: bool) -> list[str]:
    return [hit.conversation for hit in library.search(typed, **options)]


def marked(hit: Hit) -> list[str]:
    return [piece.text for piece in hit.excerpt if piece.hit]


SAID = {
    "english": "Hello wörld, foo_bar() is in a Café",
    "chinese": "我们今天去北京大学图书馆",
    "thai": "ภาษาไทยง่ายนิดเดียว",
    "hindi": "हिन्दी में लिखो",
    "korean": "한국어는 어렵다",
    "japanese": "日本語を勉強しています がく",
    "pictures": "I ❤️ this 😀🧠 and C++",
    "accents": "ÉCOLE e\u0301cole",
    "wide": "ＡＢＣ",
    "russian": "Ёжик в тумане",
    "rare": "\U00020000\U00020001",
}


@pytest.mark.parametrize(
    ("typed", "where", "marks"),
    [
        ("hello", "english", ["Hello"]),
        ("WÖR", "english", ["wör"]),
        ("world caf", "english", ["wörld", "Caf"]),
        ("foo_bar", "english", ["foo_bar"]),
        ('"foo bar"', "english", ["foo_bar"]),
        ('"hello wor', "english", ["Hello wör"]),
        ("京", "chinese", ["京"]),
        ("北京", "chinese", ["北京"]),
        ("大学图", "chinese", ["大学图"]),
        ("今天 图书", "chinese", ["今天", "图书"]),
        ("ไทย", "thai", ["ไทย"]),
        ("हिन्दी", "hindi", ["हिन्दी"]),
        ("국어", "korean", ["국어"]),
        ("が", "japanese", ["が"]),
        ("勉強", "japanese", ["勉強"]),
        ("❤", "pictures", ["❤️"]),
        ("🧠", "pictures", ["🧠"]),
        ("c++", "pictures", ["C"]),
        ("ecole", "accents", ["ÉCOLE", "e\u0301cole"]),
        ("abc", "wide", ["ＡＢＣ"]),
        ("ежик", "russian", ["Ёжик"]),
        ("\U00020001", "rare", ["\U00020001"]),
    ],
)
def test_words_of_every_script_are_found_and_marked(typed: str, where: str, marks: list[str]) -> None:
    (hit,) = library_of(**SAID).search(typed)
    assert hit.conversation == where
    assert marked(hit) == marks


@pytest.mark.parametrize("typed", ["北大", "hello nowhere", '"world hello"', '"hel"', "か", "", " ", '"', "++", "h"])
def test_what_was_not_said_is_not_found(typed: str) -> None:
    assert library_of(**SAID).search(typed) == []


def test_a_letter_that_is_only_begun_takes_no_hit_away_and_lifts_its_own() -> None:
    library = library_of(a="vitamin c in a lemon", b="vitamin d in an egg", c="a vitamin for all")
    assert sorted(found(library, "vitamin q")) == ["a", "b", "c"]
    assert found(library, "vitamin d")[0] == "b"
    assert found(library, "vitamin d ") == ["b"]
    assert found(library, 'vitamin "d"') == ["b"]


@settings(max_examples=examples(300))
@given(st.text() | st.text("\"*()-+:^{}AND OR NOT NEAR,\0\\' ab"))
def test_whatever_is_typed_is_only_searched_for(typed: str) -> None:
    library = LIBRARY
    for thoughts in (False, True):
        library.search(typed, thoughts=thoughts)
    assert found(library, "hello") == ["english"]


LIBRARY = library_of(**SAID)


@settings(max_examples=examples(300))
@given(st.text(max_size=30))
def test_folding_keeps_every_place(text: str) -> None:
    assert len(fold(text)) == len(text)


@settings(max_examples=examples(300))
@given(st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), max_size=30))
def test_whatever_was_said_is_found_by_its_own_words(text: str) -> None:
    library = library_of(a=text)
    if words := tokens(text)[:20]:
        assert found(library, '"' + '" "'.join(words) + '"') == ["a"]
        assert all(piece.text for hit in library.search(" ".join(words)) for piece in hit.excerpt)


def test_a_pasted_page_is_searched_for_in_reasonable_bounds() -> None:
    page = "hello " * 100_000
    assert found(library_of(**SAID), page) == ["english"]


def test_thoughts_are_found_only_when_they_are_asked_for() -> None:
    library = Library.in_memory()
    library.save("a", message(ReasoningPart("Perhaps scattering"), "Because of the air.", role=Role.ASSISTANT))
    assert found(library, "scatter") == []
    (hit,) = library.search("scatter", thoughts=True)
    assert marked(hit) == ["scatter"]
    assert hit.role == "assistant"
    assert found(library, "scattering air", thoughts=True) == ["a"]


def test_what_tools_were_asked_and_said_is_found() -> None:
    library = Library.in_memory()
    library.save("a", message(ToolCallPart("1", "weather", '{"city": "Reykjavik"}'), role=Role.ASSISTANT))
    library.save("a", message(ToolResultPart("1", "weather", "Drizzle"), role=Role.TOOL))
    assert [hit.role for hit in library.search("reykjavik")] == ["assistant"]
    assert [hit.role for hit in library.search("drizzle")] == ["tool"]


def test_better_matches_come_first() -> None:
    library = library_of(long="blue " + "and so on " * 200, short="Blue sky", none="Red")
    assert found(library, "blue") == ["short", "long"]


def test_archived_conversations_are_found_and_deleted_ones_are_not() -> None:
    library = library_of(a="blue one", b="blue two")
    library.archive("a", True)
    library.delete("b")
    assert found(library, "blue") == ["a"]
    library.undelete("b")
    assert sorted(found(library, "blue")) == ["a", "b"]


def test_hidden_messages_are_not_found() -> None:
    library = Library.in_memory()
    first, second = message("blue one"), message("blue two")
    library.save_all("a", (first, second))
    library.hide([first.id])
    assert [hit.message for hit in library.search("blue")] == [second.id]
    library.unhide([first.id])
    assert len(library.search("blue")) == 2


def test_a_title_that_was_chosen_is_found_and_opens_at_what_is_read() -> None:
    library = library_of(a="one", b="two")
    library.rename("a", "Täxes of 2026")
    (hit,) = library.search("tax 2026")
    assert (hit.conversation, hit.message) == ("a", library.read("a").leaf)
    assert marked(hit) == ["Täx", "2026"]


def test_a_reply_is_searched_when_it_has_ended_and_as_it_ended() -> None:
    library = Library.in_memory()
    for text in ("first", "first second"):
        library.save("a", message(text, id_="m", status=Status.STREAMING))
        assert library.search("first") == []
    library.save("a", message("first second", id_="m", status=Status.STOPPED))
    assert found(library, "second") == ["a"]
    library.save("a", message("first second third", id_="m"))
    assert found(library, "third") == ["a"]
    assert len(library.search("second")) == 1
    library.save("a", message("another", id_="m"))
    assert library.search("second") == []


def test_what_is_indexed_once_is_not_indexed_again_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library.save("a", message("first"))
    library.search("first")
    library.close()
    before = index_of(path).read_bytes()
    assert found(Library.open(path), "first") == ["a"]
    assert index_of(path).read_bytes() == before


def test_a_checkpoint_leaves_the_index_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library.save("a", message("first"))
    library.search("first")
    before = index_of(path).read_bytes()
    for length in range(1, 30):
        library.save("a", message("word " * length, id_="m", status=Status.STREAMING))
    library.search("word")
    assert index_of(path).read_bytes() == before
    assert library._connection.execute("select count(*) from unsearched").fetchone() == (0,)


def test_an_interrupted_reply_is_found_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    dead = Library.open(path)
    dead.save("a", message("unfinished business", id_="m", status=Status.STREAMING))
    dead._writer.close()
    dead._connection.close()
    assert found(Library.open(path), "business") == ["a"]


def test_an_excerpt_is_short_one_line_and_around_what_was_found() -> None:
    library = library_of(a="many words\n" * 500 + "the needle\tin  it \x1b[31m[red]\n" + "more words " * 500)
    (hit,) = library.search("needle")
    text = "".join(piece.text for piece in hit.excerpt)
    assert "words the needle in it \x1b[31m[red] more" in text
    assert text.startswith("…")
    assert text.endswith("…")
    assert len(text) < 260


def test_no_more_hits_than_asked_for() -> None:
    library = library_of(**{f"c{at}": f"blue {at}" for at in range(30)})
    assert len(library.search("blue", limit=7)) == 7
    assert library.search("blue", limit=0) == []


@pytest.mark.parametrize(
    "damage", ["noise", "truncated", "not a database", "dropped", "another version", "removed", "entries"]
)
def test_a_damaged_index_is_made_again_and_harms_no_conversation(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    for at in range(200):
        library.save(f"c{at}", message(f"blue {at} " + f"word{at} " * 50))
    assert len(library.search("blue", limit=500)) == 200
    library.close()
    before = path.read_bytes()
    index = index_of(path)
    data = bytearray(index.read_bytes())
    if damage == "noise":
        for at in range(4096, len(data), 4096):
            data[at : at + 64] = b"\xa5" * 64
        index.write_bytes(data)
    elif damage == "truncated":
        index.write_bytes(data[: len(data) // 2])
    elif damage == "not a database":
        index.write_bytes(b"not a database" * 1000)
    elif damage == "removed":
        index.unlink()
    else:
        statement = {
            "dropped": "drop table words_data",
            "another version": "pragma user_version=77",
            "entries": "update entries set said = 'nonsense'",
        }[damage]
        with closing(sqlite3.connect(index)) as connection:
            connection.execute("pragma writable_schema=on")
            connection.execute(statement)
            connection.commit()
    assert path.read_bytes() == before
    library = Library.open(path)
    assert library.notice == ""
    library.search("blue")
    library.save("c5", message("blue again", id_=library.read("c5").messages[0].id))
    library.search("blue")
    assert len(library.search("blue", limit=500)) == 200
    assert found(library, '"word7"') == ["c7"]


def test_a_full_disk_makes_search_incomplete_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library.save("a", message("first"))
    assert found(library, "first") == ["a"]
    index = library._index._opened()
    index.execute(f"pragma max_page_count={index.execute('pragma page_count').fetchone()[0]}")
    library.save("b", message("second " + " ".join(map(str, range(20_000)))))
    assert found(library, "second") == []
    assert found(library, "first") == ["a"]
    assert library.read("b").messages[0].text.startswith("second")
    index.execute("pragma max_page_count=100000")
    assert found(library, "second") == ["b"]


def test_without_fts5_nothing_is_found_and_all_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwenchat.library.index._SCHEMA", "create virtual table words using fts99(said)")
    library = library_of(a="first")
    assert library.search("first") == []
    assert library.read("a").messages[0].text == "first"


def test_purged_words_leave_the_index_too(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    for at in range(50):
        library.save(f"c{at}", message(f"word{at} and more"))
        library.search("more")
    library.save("gone", message("qqunmistakable"))
    assert found(library, "qqunmistakable") == ["gone"]
    assert b"qqunmistakable" in index_of(path).read_bytes()
    library.delete("gone")
    library.close()
    assert b"unmistakable" not in index_of(path).read_bytes()
    assert len(Library.open(path).search("more", limit=99)) == 50


def test_several_programs_search_what_the_others_say(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    one, two = Library.open(path), Library.open(path)
    for at in range(5):
        one.save("a", message(f"blue{at} one"))
        assert len(two.search(f"blue{at}")) == 1
        two.save("b", message(f"red{at} two"))
        assert len(one.search(f"red{at}")) == 1
    index_of(path).unlink()
    one.save("a", message("green"))
    assert found(two, "green") == ["a"]
    assert found(one, "green") == ["a"]
    assert len(one.search("two")) == 5


def test_the_search_in_one_conversation_gives_its_hits_in_their_order() -> None:
    library = Library.in_memory()
    for at in range(5):
        library.save("a", message(f"blue{at} " + "blue " * (5 - at)))
        library.save("b", message("blue elsewhere"))
    hits = library.search("blue", conversation="a")
    assert [hit.excerpt[0].text for hit in hits] == [f"blue{at}"[:4] for at in range(5)]
    assert {hit.conversation for hit in hits} == {"a"}
    assert len(library.search("blue", conversation="a", limit=2)) == 2
    assert library.search("elsewhere", conversation="a") == []
    assert library.search("blue", conversation="nosuch") == []
    assert library.search("", conversation="a") == []


def test_hits_in_one_conversation_are_found_among_thousands_of_newer_ones() -> None:
    library = Library.in_memory()
    library.save("old", message("a needle here"))
    for at in range(2100):
        library.save("new", message(f"needle {at}"))
    assert [hit.conversation for hit in library.search("needle", conversation="old")] == ["old"]


@pytest.mark.parametrize(
    ("typed", "text", "found"),
    [
        ("moon sea", "The Moon pulls at the sea.", ["Moon", "sea"]),
        ("mo", "moon, Möwe, amok", ["mo", "Mö"]),
        ('"the sea"', "The  sea, the seagull", ["The  sea"]),
        ("引力", "月の引力によって", ["引力"]),
        ("python", "使用Python编程", ["Python"]),
        ('"python"', "使用Python编程", ["Python"]),
        ("", "anything", []),
        ("na nan", "nanana", ["nan"]),
    ],
)
def test_what_is_sought_is_found_in_a_text_as_the_search_finds_it(typed: str, text: str, found: list[str]) -> None:
    assert [text[start:stop] for start, stop in SearchQuery(typed).spans(text)] == found
    assert SearchQuery(typed).is_in(text) == bool(found)
    assert not SearchQuery(typed).is_in("The seat")
