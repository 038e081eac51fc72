"""Mistakes in a TOML file in words: file, line, key, value, and what is allowed. All our TOML files use it.

toml = TomlText(text, "turbine.toml", FileError)
device = toml.validate(DeviceFile)   # FileError: turbine.toml, line 7: brake.pin = 99: there are GPIO2 to …
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from gridfleet.broker.errors import GridFleetError, printable, shown
from gridfleet.broker.protocol.validation_errors import what_is_allowed
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.broker.readers.toml_text import parse_toml
from gridfleet.devices.config.toml_lines import line_of, lines_of

M = TypeVar("M", bound=BaseModel)
Key = Sequence[str | int]
"""The names of tables and key, with the number of an element in a list: ("events", 0, "hour")."""
ABSENT: Final = object()
SPREAD_FORMS: Final = ("·value", "·limits")
"""Parts of a location that say which form a setting has, a value or two limits; no keys of a file."""
MOST_SHOWN: Final = 20
"""Most problems of a file that its error shows; the others are counted."""
MOST_LETTERS: Final = 300
"""Most characters that are shown of a problem."""
MOST_VALUE: Final = 100
"""Most characters that are shown of a value."""
MOST_EXPLAINED: Final = 200
"""Most mistakes that are put into words: a file with thousands of them is no file of ours."""


class Problem(NamedTuple):
    """One mistake: `key = value: what is wrong`, and the line of the key where there is one."""

    text: str
    line: int | None = None


class FileError(GridFleetError, ValueError):
    """A file that cannot be used; the text has one line for each problem, for the first MOST_SHOWN of them.

    What comes from the file is shortened, and shown without control characters.
    """

    def __init__(self, source: str, problems: Sequence[Problem | str]) -> None:
        found = [Problem(each) if isinstance(each, str) else each for each in problems]
        name = shown(source)
        lines = [
            f"{name}{f', line {line}' if line else ''}: {_shortened(text)}"
            for text, line in found[:MOST_SHOWN]
        ]
        if len(found) > MOST_SHOWN:
            lines.append(f"{name}: {len(found) - MOST_SHOWN} more mistakes; correct these first")
        super().__init__("\n".join(lines))
        self.source = source
        self.problems = tuple(problem.text for problem in found)


def _shortened(text: str) -> str:
    """Return the problem on one line, with its beginning and its end where it is long: the end says what is allowed."""
    if len(text) > MOST_LETTERS:
        half = MOST_LETTERS // 2
        text = f"{text[:half]} … {text[-half:]}"
    return printable(text)


class TomlText:
    """A TOML text: its values in `document`, and the line of each key."""

    def __init__(self, text: str, source: str, error: type[FileError]) -> None:
        """Parse a text; `source` names it in errors, which are of the class `error`."""
        self._source = source
        self._error = error
        try:
            self.document = parse_toml(text)
        except ReadError as mistake:
            raise error(source, [Problem(mistake.problem, mistake.line)]) from None
        self._lines = lines_of(text)

    def problem(self, key: Key, text: str) -> Problem:
        """Return a problem of a key; `text` follows the key, and so begins with `:` or ` =`."""
        shown = ".".join(map(str, key)) + text if key else text.removeprefix(": ")
        return Problem(shown, line_of(self._lines, key))

    def fail(self, *problems: Problem) -> FileError:
        """Return the error with these problems, in the order of their lines."""
        in_order: list[Problem] = sorted(problems, key=lambda each: each.line or sys.maxsize)
        return self._error(self._source, in_order)

    def validate(
        self,
        model: type[M],
        extra: Mapping[str, Any] | None = None,
        problem: Callable[[dict[str, Any]], Problem] | None = None,
    ) -> M:
        """Return the model with the document's values and `extra`; raise the error with every problem.

        `problem` turns one of pydantic's errors into ours, instead of `explain`.
        """
        try:
            return model.model_validate({**self.document, **(extra or {})})
        except ValidationError as error:
            found = [dict(item) for item in error.errors(include_url=False)]
            explain = problem or (lambda item: self.explain(model, item))
            explained = [explain(item) for item in found[:MOST_EXPLAINED]]
            rest = [Problem("one more mistake")] * (len(found) - len(explained))
            raise self.fail(*explained, *rest) from None

    def explain(self, model: type[BaseModel], error: Mapping[str, Any]) -> Problem:
        """Return one of pydantic's errors as a problem."""
        key = [part for part in error["loc"] if part not in SPREAD_FORMS] or list(error["loc"])
        if error["type"] == "extra_forbidden":
            return self.problem(key, f": {unknown_key(key[-1], allowed_keys(model, key[:-1]))}")
        return self.problem(key, wrong_value(self.document, key, error))


def unknown_key(key: object, allowed: Sequence[str]) -> str:
    """Return that a key is unknown, with the one that was meant or those that are allowed.

    >>> unknown_key("tick", ["seed", "ticks"])
    "unknown key; did you mean 'ticks'?"
    """
    close = get_close_matches(str(key)[:MOST_LETTERS], allowed, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"allowed are {', '.join(allowed)}"
    return f"unknown key; {hint}"


def allowed_keys(model: type[BaseModel], key: Key) -> list[str]:
    """Return the keys that a model allows in the table at that key, but `folder`, which no file may give."""
    for part in key:
        if isinstance(part, str):
            model = _table_in(model.model_fields[part].annotation) or model
    return sorted(set(model.model_fields) - {"folder"})


def value_at(document: object, key: Key) -> object:
    """Return the value of a key in a document, or ABSENT."""
    for part in key:
        try:
            document = document[part]  # type: ignore[index] # whatever the file contains; its errors are caught
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return document


def wrong_value(document: object, key: Key, error: Mapping[str, Any]) -> str:
    """Return ` = value: what is allowed`, to follow a key; without the value of a table or a missing key."""
    value = value_at(document, key)
    shown = (
        ""
        if value is ABSENT or isinstance(value, dict) or (isinstance(value, list) and value)
        else f" = {_spelled(value)}"
    )
    return f"{shown}: {what_is_allowed(error)}"


def _spelled(value: object) -> str:
    """Return a value as TOML spells it, but texts in the quotes that fit."""
    if isinstance(value, bool):
        return str(value).lower()
    text = value.isoformat() if isinstance(value, date | time) else repr(value)
    return text if len(text) <= MOST_VALUE else f"{text[:MOST_VALUE]}…"


def _table_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - the type of any field
    """Return the table in an annotation such as `Table | None` or `tuple[Table, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_table_in, get_args(annotation))), None)
