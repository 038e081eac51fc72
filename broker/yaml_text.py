"""Writes plain values as YAML that every parser reads back as the same values.

PyYAML writes text without quotes where its own rules (YAML 1.1) read text; other parsers read a number in `1e3` or
`0o17`. So here every text is quoted unless it is one word that no parser reads as something else.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

_PLAIN: Final = re.compile(r"[A-Za-z_$/][A-Za-z0-9_.$/-]*")
_RESERVED: Final = frozenset(
    {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"}
)
"""Words that YAML 1.1, YAML 1.2 or one of their parsers takes for something else than text, in any case."""
_TEXT: Final = "tag:yaml.org,2002:str"


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML ships no types
    """Quotes text unless it is plain; writes no anchors; refuses every type that is not plain data."""

    yaml_representers: Final = {
        type(None): yaml.SafeDumper.represent_none,
        bool: yaml.SafeDumper.represent_bool,
        int: yaml.SafeDumper.represent_int,
        float: yaml.SafeDumper.represent_float,
        list: yaml.SafeDumper.represent_list,
        tuple: yaml.SafeDumper.represent_list,
        dict: yaml.SafeDumper.represent_dict,
        None: yaml.SafeDumper.represent_undefined,
    }
    yaml_multi_representers: Final = {
        str: lambda dumper, text: dumper.represent_scalar(_TEXT, str(text), _style(text)),
    }

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write a value that stands in two places twice."""
        return True


def yaml_text(document: Mapping[str, Any]) -> str:
    """Return a document as YAML, its keys in the order they have; raise TypeError for a value that is not plain data.

    >>> print(yaml_text({"name": "pi", "mode": "0777", "groups": ["adm", "no"]}), end="")
    name: pi
    mode: "0777"
    groups:
    - adm
    - "no"
    """
    return yaml_documents([document])


def yaml_documents(documents: Iterable[Mapping[str, Any]]) -> str:
    """Return several documents as one YAML stream, with `---` between them; raise TypeError as `yaml_text` does."""
    try:
        texts = [
            yaml.dump(each, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
            for each in documents
        ]
    except yaml.representer.RepresenterError as error:
        raise TypeError(f"{type(error.args[-1]).__name__} has no place in YAML") from None
    return "---\n".join(texts)


def _style(text: str) -> str | None:
    """Return how a text is written: plain (None), as a block of lines, or in double quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return None
    lines = text.split("\n")
    readable = all(line.isprintable() and line == line.rstrip() for line in lines)
    return "|" if len(lines) > 1 and readable and lines[0][:1].strip() else '"'
