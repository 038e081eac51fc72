"""Replace a page's variables in a query, as Grafana's front end does before it queries the data source.

A client of Grafana's API has to do this itself, because the back end does not know variables.
"""

import re
from collections.abc import Mapping
from typing import Final

from gridfleet.broker.errors import GridFleetError

_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
_META: Final = re.compile(r"[\\^$*+?.()|{}\[\]/]")
ALL: Final = ".*"
"""The value of `All` in the pages' variables."""


class VariableError(GridFleetError, ValueError):
    """A query uses a variable without a value, or in a format that is not supported."""


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with every `${name}` and `${name:regex}` replaced; raise VariableError for others.

    >>> fill("r.run == ${run} and r.cell =~ /^${cell:regex}$/", {"run": "a", "cell": "north"})
    'r.run == a and r.cell =~ /^north$/'
    """

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
                raise VariableError(
                    f"variable {name}: the format {form} is not supported; use regex, or none"
                )

    return _VARIABLE.sub(value_of, text)
