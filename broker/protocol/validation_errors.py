"""Pydantic's validation errors in our words: what a value must be, for payloads, files and options."""

from collections.abc import Mapping
from typing import Any, Final

from gridfleet.broker.protocol.messages import ID_PATTERN

_WORDS: Final = {
    "missing": "missing; add this key",
    "extra_forbidden": "unknown key",
    "unexpected_keyword_argument": "unknown key",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number with fewer digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text in quotes",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} character(s)",
    "string_pattern_mismatch": "must match {pattern}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "union_tag_invalid": "{discriminator} must be {expected_tags}",
    "union_tag_not_found": "{discriminator} is missing",
    "tuple_type": "must be a list in square brackets",
    "too_short": "must have at least {min_length} element(s), and has {actual_length}",
    "too_long": "must have at most {max_length} element(s), and has {actual_length}",
    "model_type": "must be a table of keys and values",
    "model_attributes_type": "must be a table of keys and values",
    "dataclass_type": "must be an object with keys and values",
    "dict_type": "must be a table of keys and values",
    "datetime_type": "must be a date and time such as 2025-06-02T06:00:00",
    "datetime_parsing": "must be a date and time such as 2025-06-02T06:00:00",
    "datetime_from_date_parsing": "must be a date and time such as 2025-06-02T06:00:00",
}
"""Pydantic's types of errors, and what we say."""
_MAX_SHOWN: Final = 40
"""Characters of a wrong text that are shown."""


def what_is_allowed(error: Mapping[str, Any]) -> str:
    """Return what a value must be, from one of pydantic's errors."""
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    limits = error.get("ctx", {})
    if limits.get("pattern") == ID_PATTERN:
        return "must be at most 48 letters, digits, '_', '.' and '-', and begin with a letter or digit"
    words = _WORDS.get(error["type"])
    if words is None:
        return str(error["msg"]).replace("Input should be", "must be")
    return words.format(**{name: _plain(limit) for name, limit in limits.items()})


def shown_value(value: object) -> str:
    """Return ` = value` of a simple value, shortened; nothing for a list, an object or a very long number."""
    if isinstance(value, str):
        return f" = {value[:_MAX_SHOWN]!r}{'…' if len(value) > _MAX_SHOWN else ''}"
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 10**18):
        return f" = {value!r}"
    return ""


def _plain(limit: object) -> object:
    """Return a whole number without decimals, anything else as it is."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit
