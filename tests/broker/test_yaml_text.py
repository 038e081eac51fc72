"""YAML that every parser reads back as it was written: cloud-init's, netplan's, Kubernetes' and AsyncAPI's."""

import doctest
from enum import StrEnum
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from gridfleet.broker import yaml_text as module
from gridfleet.broker.yaml_text import yaml_documents, yaml_text

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
LINES = st.lists(st.sampled_from(["", "a", " b", "c ", "# d", "- e", "\t"])).map("\n".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT | LINES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
HARD: dict[str, Any] = {
    "a": ["no", "Yes", "null", "1", "- x", "x: y", "#", "", " x", "ünï\tcode", "a\nb\n", "{", "~", "1.0"],
    "empty": {"list": [], "map": {}},
    "deep": [[1, [2, {"x": [3]}]], {"y": {"z": None}}, True, 1.5, -2],
}


@given(st.dictionaries(TEXT, VALUES, max_size=3))
@example({"null": {"no": [{"y": "yes"}, [], {}]}, "a": "\x7f\n\t\x85\u2028 # : -"})
@example({"a": "one\n  two\n\nthree\n\n", "b": " one\ntwo", "c\nd": 1})
@example(HARD)
def test_yaml_reads_back_as_it_was_written(document: dict[str, Any]) -> None:
    assert yaml.safe_load(yaml_text(document)) == document


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "NO", "On", "off", "y", "N", "true", "False", "null", "Null", "~", "", "nan", "Inf", ".inf"),
        *("1e3", "0777", "0o17", "0x1F", "0b1", "1_000", "12:30:45", "1.5", "+1", "-1", ".5", "2026-11-26"),
        *(
            "=",
            "<<",
            "a: b",
            "a:",
            "a #b",
            "#a",
            "- a",
            "? a",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "{a",
            "[a",
        ),
        *("'a'", '"a"', "| a", "> a", " a", "a ", "a,b", "a\tb", "---", "..."),
    ],
)
def test_a_text_that_a_parser_could_misread_is_quoted(text: str) -> None:
    (line,) = yaml_text({"key": text}).splitlines()
    assert line.startswith('key: "')
    assert line.endswith('"')
    assert yaml.safe_load(line) == {"key": text}
    assert yaml_text({text: 1}).removeprefix("? ").startswith('"')


def test_long_text_stays_on_one_line_and_lines_stay_lines() -> None:
    assert yaml_text({"key": "word " * 100}).count("\n") == 1
    assert yaml_text({"query": "from\n  to\n"}) == "query: |\n  from\n    to\n"


def test_enums_are_text_and_shared_values_are_written_twice() -> None:
    class Answer(StrEnum):
        NO = "no"

    shared = {"x": 1}
    assert yaml_text({"a": Answer.NO, "b": shared, "c": shared}) == 'a: "no"\nb:\n  x: 1\nc:\n  x: 1\n'


def test_documents_are_one_stream() -> None:
    assert list(yaml.safe_load_all(yaml_documents([{"a": 1}, {"b": 2}]))) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("value", [b"", {1}, object()], ids=["bytes", "set", "object"])
def test_values_that_are_not_plain_data_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match=f"{type(value).__name__} has no place in YAML"):
        yaml_text({"x": [value]})


def test_the_examples_are_right() -> None:
    result = doctest.testmod(module)
    assert (result.failed, result.attempted > 0) == (0, True)
