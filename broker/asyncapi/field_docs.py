"""The texts below the fields of a class, for generated documents."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from textwrap import dedent


@cache
def field_docs(documented: type) -> dict[str, str]:
    """Return the text below each field in the source of a class and its bases, by field.

    A class that redefines a field without a text keeps the text of its base.
    """
    texts: dict[str, str] = {}
    for base in reversed(documented.__mro__):
        try:
            source = dedent(inspect.getsource(base))
        except (OSError, TypeError):  # built in, or made at run time
            continue
        (definition,) = ast.parse(source).body
        if isinstance(definition, ast.ClassDef):
            texts.update(_documented_fields(definition.body))
    return texts


def _documented_fields(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a class that a text follows, with that text."""
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                yield name, one_line(words)


def one_line(text: str | None) -> str:
    """Return a docstring as one line."""
    return " ".join((text or "").split())
