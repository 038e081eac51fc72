"""Replaces a page's variables in a query, as Grafana's front end does before it asks the data source.

Whoever asks Grafana's API for a panel's data has to do this, for the back end knows nothing of variables.
"""

import re
from collections.abc import Mapping
from typing import Final

from gridfleet.broker.errors import GridFleetError

_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
_META: Final = re.compile(r"[\\^$*+?.()|{}\[\]/]")
ALL: Final = ".*"
"""What `All` stands for in our variables."""


class VariableError(GridFleetError, ValueError):
    """A query that uses a variable without a value, or in a way that we do not."""


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with every `${name}` and `${name:regex}` replaced; raise VariableError for others."""

    def value_of(found: re.Match[str]) -> str:
        name, form = found.groups()
        if name not in values:
            raise VariableError(
                f"variable {name} has no value; known are {', '.join(sorted(values)) or 'none'}"
            )
        value = values[name]
        match form:
            case None:
                return value
            case "regex":
                return value if value == ALL else _META.sub(r"\\\g<0>", value)
            case _:
                raise VariableError(f"variable {name}: the form {form} is none of ours; use regex, or none")

    return _VARIABLE.sub(value_of, text)
