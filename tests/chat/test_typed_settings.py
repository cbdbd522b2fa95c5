"""What is written after /retry."""

import pytest

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.typed_settings import RetrySettings, retry_settings


def test_settings_thinking_and_model_are_read_in_any_order_and_spelling() -> None:
    assert retry_settings("") == RetrySettings()
    assert retry_settings("think=off top-k=5 Temperature=0.2 model='a folder/x' seed=7") == RetrySettings(
        SamplingOverrides(temperature=0.2, top_k=5, seed=7), False, "a folder/x"
    )
    assert retry_settings("thinking=ON").thinking is True


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("warmth=3", "warmth=3 is no setting"),
        ("temperature", "temperature is no setting"),
        ("temperature=hot", "hot is no temperature"),
        ("top_k=1.5", "1.5 is no top-k"),
        ("temperature=99", "temperature is 99"),
        ("temperature=nan", "temperature is nan"),
        ("think=maybe", "think=maybe"),
        ("model=", "model="),
        ("model='x", "cannot be read"),
        ("make it shorter", "make is no setting"),
    ],
)
def test_what_makes_no_sense_is_named(typed: str, named: str) -> None:
    with pytest.raises(ConfigInvalid, match=named):
        retry_settings(typed)
