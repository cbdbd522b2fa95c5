"""For each setting its value now, and where that comes from."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid, NoThought, QwenchatError
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.answer_settings import NAMES, AnswerSettings, SettingSource
from qwenchat.session.session import Session
from qwenchat.settings.presets import Preset, built_in
from qwenchat.settings.settings import Settings
from tests.support.fake_engine import MODEL, FakeEngine

SETTINGS = Settings(system="From the file.", sampling=SamplingOverrides(top_p=0.5, temperature=0.9))
WARM = Preset("Warm", think=False, sampling=SamplingOverrides(temperature=1.5, top_k=7))


@pytest.fixture
def session() -> Iterator[Session]:
    overrides = SamplingOverrides(top_p=0.5, temperature=0.9, seed=4)
    session = Session(Worker(FakeEngine), Library.in_memory(), system="From the file.", overrides=overrides)
    yield session
    session.close()


@pytest.fixture
def answer_settings(session: Session) -> AnswerSettings:
    return AnswerSettings(session, flags={"seed": 4}, settings=SETTINGS, presets=(*built_in(), WARM))


def test_each_value_says_where_it_comes_from(answer_settings: AnswerSettings) -> None:
    answer_settings.handle("top_k 11")
    origins = {name: answer_settings.source(name) for name in ("seed", "top_p", "system", "top_k", "min_p", "think")}
    assert origins == {
        "seed": SettingSource.FLAG, "top_p": SettingSource.CONFIG, "system": SettingSource.CONFIG,
        "top_k": SettingSource.CHAT,
        "min_p": SettingSource.MODEL, "think": SettingSource.MODEL,
    }  # fmt: skip


@pytest.mark.parametrize(
    "typed",
    ["temperature 99", "temperature hot", "heat 1", "top_k 1.5", "think perhaps", "thinking_budget -3",
     "top_p=2 seed=1", "seed=1 heat=2", 'system "open'],
)  # fmt: skip
def test_a_wrong_value_is_refused_and_nothing_changes(answer_settings: AnswerSettings, typed: str) -> None:
    before = [answer_settings.value(name) for name in NAMES]
    with pytest.raises(QwenchatError):
        answer_settings.handle(typed)
    assert [answer_settings.value(name) for name in NAMES] == before


def test_what_is_typed_counts_and_is_said(answer_settings: AnswerSettings, session: Session) -> None:
    assert answer_settings.handle("temperature 0.25") == "temperature 0.25 (this chat)"
    assert session.overrides.temperature == 0.25
    said = answer_settings.handle("think=off thinking_budget=1,024 max-tokens=2,000")
    assert said == "think off (this chat)\nthinking_budget 1,024 (this chat)\nmax_tokens 2,000 (this chat)"
    answer_settings.handle("system Speak French.")
    assert session.system.text == "Speak French."
    assert answer_settings.handle("temperature default") == "temperature 0.9 (config.toml)"
    assert answer_settings.handle("min_p") == "min_p 0 (model's own)"


def test_back_goes_to_what_is_usual_and_from_there_to_the_models_own(
    answer_settings: AnswerSettings, session: Session
) -> None:
    answer_settings.set("temperature", 0.1)
    answer_settings.reset("temperature")
    assert (session.overrides.temperature, answer_settings.source("temperature")) == (0.9, SettingSource.CONFIG)
    answer_settings.reset("temperature")
    assert (session.overrides.temperature, answer_settings.source("temperature")) == (None, SettingSource.CHAT)
    answer_settings.reset("temperature")
    assert session.overrides.temperature == 0.9


def test_the_likeliest_word_each_time_is_warned_of_while_the_model_thinks(answer_settings: AnswerSettings) -> None:
    assert "Greedy decoding" in answer_settings.set("temperature", 0)
    assert answer_settings.set("think", False) == ""
    assert "Greedy decoding" in answer_settings.set("think", True)
    assert answer_settings.set("top_k", 3) == ""


def test_a_preset_lies_below_flags_and_above_the_file(answer_settings: AnswerSettings, session: Session) -> None:
    answer_settings.set("temperature", 0.2)
    answer_settings.set("top_k", 3)
    answer_settings.choose("warm")
    assert (session.overrides.temperature, session.overrides.top_k, session.thinks) == (1.5, 7, False)
    assert (session.overrides.top_p, session.overrides.seed) == (0.5, 4)
    assert answer_settings.source("temperature") is SettingSource.PRESET
    assert answer_settings.label == "Warm"
    answer_settings.set("top_p", 0.7)
    assert answer_settings.label == "Warm, changed"
    answer_settings.choose("Creative")
    assert session.overrides.top_k is None, "the preset before has no say any more"
    assert session.overrides.top_p == 0.95


def test_a_preset_says_what_it_would_change_and_changes_just_that(answer_settings: AnswerSettings) -> None:
    before = {name: answer_settings.value(name) for name in NAMES}
    changes = answer_settings.would_change(WARM)
    assert {change.name: (change.before, change.after) for change in changes} == {
        "temperature": (0.9, 1.5), "top_k": (None, 7), "think": (True, False),
    }  # fmt: skip
    assert {name: answer_settings.value(name) for name in NAMES} == before
    answer_settings.choose("Warm")
    assert {name: answer_settings.value(name) for name in NAMES} == before | {
        "temperature": 1.5,
        "top_k": 7,
        "think": False,
    }
    assert answer_settings.would_change(WARM) == ()


def test_a_budget_of_a_preset_is_that_of_new_conversations_too(
    answer_settings: AnswerSettings, session: Session
) -> None:
    answer_settings.presets = (Preset("Short", thinking_budget=100), Preset("Long", thinking_budget="off"))
    answer_settings.choose("short")
    session.new()
    assert session.thinking_budget == 100
    answer_settings.choose("long")
    session.new()
    assert session.thinking_budget is None


def test_an_unknown_preset_changes_nothing(answer_settings: AnswerSettings) -> None:
    with pytest.raises(ConfigInvalid):
        answer_settings.choose("nix")
    assert answer_settings.label == ""


def test_the_settings_as_they_are_make_a_preset_that_gives_them_back(
    answer_settings: AnswerSettings, session: Session
) -> None:
    answer_settings.handle("temperature=0.3 thinking_budget=50 think=off")
    answer_settings.add(answer_settings.as_preset("Now"))
    assert answer_settings.label == "Now"
    kept = [answer_settings.value(name) for name in NAMES]
    answer_settings.handle("temperature=1.3 thinking_budget=off think=on")
    answer_settings.choose("Now")
    assert [answer_settings.value(name) for name in NAMES] == kept


def test_a_model_without_a_switch_is_not_told_to_use_one() -> None:
    engine = FakeEngine(model=replace(MODEL, thinking=ThinkingSupport.NONE))
    session = Session(Worker(lambda: engine), Library.in_memory())
    try:
        session.model.load(LoadModel())
        while session.model.info is None:
            session.wait(0.05)
        answer_settings = AnswerSettings(session, presets=(WARM,))
        assert answer_settings.now("think") == "never, with this model"
        with pytest.raises(NoThought):
            answer_settings.set("think", True)
        answer_settings.choose("Warm")
        assert answer_settings.label == "Warm"
    finally:
        session.close()


@pytest.mark.parametrize("first", [*built_in(), WARM], ids=lambda preset: preset.name)
def test_a_preset_leaves_no_trace_once_another_is_on(session: Session, first: Preset) -> None:
    presets = (*built_in(), WARM)
    for second in presets:
        kept = []
        for chosen in ((second.name,), (first.name, second.name)):
            other = Session(
                session.model.worker, Library.in_memory(), system="s", overrides=SamplingOverrides(top_p=0.5)
            )
            settings = Settings(system="s", sampling=SamplingOverrides(top_p=0.5))
            answer_settings = AnswerSettings(other, settings=settings, presets=presets)
            for name in chosen:
                answer_settings.choose(name)
            assert answer_settings.label == second.name
            kept.append([answer_settings.value(name) for name in NAMES])
        assert kept[0] == kept[1], second.name


@pytest.mark.parametrize("flags", [{}, {"temperature": 0.9}, {"think": False, "system": "By flag."}])
def test_a_preset_just_saved_is_not_changed_nor_in_the_next_conversation(
    session: Session, flags: dict[str, object]
) -> None:
    answer_settings = AnswerSettings(session, flags=flags, settings=SETTINGS)
    answer_settings.handle("temperature=0.3 think=on thinking_budget=500")
    answer_settings.set("system", "By hand.")
    answer_settings.set("top_p", None)
    answer_settings.add(answer_settings.as_preset("Mine"))
    assert answer_settings.label == "Mine"
    session.new()
    assert answer_settings.label == "Mine"
    assert (answer_settings.value("temperature"), answer_settings.value("thinking_budget")) == (0.3, 500)
    assert answer_settings.value("top_p") != 0.5
