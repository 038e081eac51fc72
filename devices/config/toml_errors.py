"""Mistakes in a TOML file in words: file, line, key, value, and what is allowed. All our TOML files use it.

toml = TomlText(text, "turbine.toml", FileError)
device = toml.validate(DeviceFile)   # FileError: turbine.toml, line 7: brake.pin = 99: there are GPIO2 to …
"""

import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.validation_errors import what_is_allowed
from gridfleet.devices.config.toml_lines import line_of, lines_of

M = TypeVar("M", bound=BaseModel)
Key = Sequence[str | int]
"""The names of tables and key, with the number of an element in a list: ("events", 0, "hour")."""
ABSENT: Final = object()
SPREAD_FORMS: Final = ("·value", "·limits")
"""Parts of a location that say which form a setting has, a value or two limits; no keys of a file."""


_PLACE: Final = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)")


class Problem(NamedTuple):
    """One mistake: `key = value: what is wrong`, and the line of the key where there is one."""

    text: str
    line: int | None = None


class FileError(GridFleetError, ValueError):
    """A file that cannot be used; the text has one line for each problem."""

    def __init__(self, source: str, problems: Sequence[Problem | str]) -> None:
        found = [Problem(each) if isinstance(each, str) else each for each in problems]
        super().__init__(
            "\n".join(f"{source}{f', line {line}' if line else ''}: {text}" for text, line in found)
        )
        self.source = source
        self.problems = tuple(problem.text for problem in found)


def _syntax_problem(mistake: str, text: str) -> Problem:
    """Return the problem behind a message of `tomllib`, which ends with the place in brackets."""
    found = _PLACE.fullmatch(mistake)
    if found is None:
        return Problem(f"is not TOML: {mistake}")
    what, line, column = found.groups()
    what = f"{what[:1].lower()}{what[1:]}"
    if line is None:
        return Problem(f"is not TOML: {what} at the end", text.count("\n") + 1)
    return Problem(f"is not TOML: {what} in column {column}", int(line))


class TomlText:
    """A TOML text: its values in `document`, and the line of each key."""

    def __init__(self, text: str, source: str, error: type[FileError]) -> None:
        """Parse a text; `source` names it in errors, which are of the class `error`."""
        self._source = source
        self._error = error
        try:
            self.document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as mistake:
            raise error(source, [_syntax_problem(str(mistake), text)]) from None
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
            raise self.fail(*(explain(item) for item in found)) from None

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
    close = get_close_matches(str(key), allowed, 1)
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
    return value.isoformat() if isinstance(value, date | time) else repr(value)


def _table_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - the type of any field
    """Return the table in an annotation such as `Table | None` or `tuple[Table, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_table_in, get_args(annotation))), None)
