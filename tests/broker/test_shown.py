"""What others have named is shown without control characters and shortened."""

import pytest

from gridfleet.broker.errors import TopicError, shown
from gridfleet.broker.protocol.decoder import SiteDecoder


def test_a_short_name_is_shown_as_it_is() -> None:
    assert shown("gridfleet/home/bid/north/Köln") == "gridfleet/home/bid/north/Köln"


def test_a_long_name_is_shortened() -> None:
    assert shown("x" * 300) == "x" * 200 + "… (300 characters)"


@pytest.mark.parametrize("letter", ["\x1b", "\n", "\x00", "\x9b", "\u202e"])
def test_control_characters_are_replaced(letter: str) -> None:
    assert shown(f"a{letter}b") == "a?b"


@pytest.mark.parametrize(
    "topic", ["gridfleet/home/bid/north/" + "x" * 60_000, "gridfleet/home/" + "x" * 60_000, "y" * 60_000]
)
def test_the_error_of_a_long_topic_is_short(topic: str) -> None:
    errors: list[Exception] = []
    assert list(SiteDecoder("home").decode(topic, b"", lambda _, error: errors.append(error))) == []
    (error,) = errors
    assert isinstance(error, TopicError)
    assert len(str(error)) < 800
