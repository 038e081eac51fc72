"""What a JSON schema allows, in words: limits, choices, forms."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gridfleet.broker.protocol.messages import ID_PATTERN

Schema = Mapping[str, Any]
_TYPES: Final = {
    "boolean": "`true`, `false`",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "object": "a table",
}


def allowed(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    """Return what a schema allows; `definitions` has the schemas to which it refers."""
    for form in ("anyOf", "oneOf", "allOf"):
        if form in schema:
            return _one_of(schema[form], definitions)
    if "$ref" in schema:
        return _reference(str(schema["$ref"]).rsplit("/", 1)[-1], definitions)
    if schema.get("type") == "array":
        return _array(schema, definitions)
    return _plain(schema)


def _plain(schema: Schema) -> str:
    """Return what the schema of a text, a number or a truth value allows."""
    choices = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if choices:
        return ", ".join(f"`{each}`" for each in choices)
    if schema.get("pattern") == ID_PATTERN:
        return "an id"
    return ", ".join(_limits(schema)) or _TYPES[str(schema["type"])]


def _reference(name: str, definitions: Mapping[str, Schema]) -> str:
    """Return a link to the section of a part, or the choices of an enumeration."""
    found = definitions[name]
    return _plain(found) if "enum" in found else f"[{name}](#{name.lower()})"


def _one_of(forms: list[Schema], definitions: Mapping[str, Schema]) -> str:
    """Return the forms without null, which a file cannot have; equal ones once."""
    found = [allowed(each, definitions) for each in forms if each.get("type") != "null"]
    return ", or ".join(dict.fromkeys(found))


def _array(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    items = schema.get("prefixItems", schema.get("items"))
    if not isinstance(items, list):
        return f"a list; each {allowed(items, definitions)}"
    forms = list(dict.fromkeys(allowed(each, definitions) for each in items))
    return f"{len(items)} values, each {forms[0]}" if len(forms) == 1 else f"[{', '.join(forms)}]"


def _limits(schema: Schema) -> Iterator[str]:
    """Yield the limits of a number or of a text's length."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        yield f"{_number(low)} to {_number(high)}"
    else:
        bounds = (("at least", low), ("above", above), ("below", below), ("at most", high))
        yield from (f"{word} {_number(bound)}" for word, bound in bounds if bound is not None)
    if "maxLength" in schema:
        yield f"up to {schema['maxLength']} characters"


def _number(value: float) -> str:
    """Return a limit; large round ones as powers.

    >>> _number(0.5), _number(1e6), _number(2**63), _number(-(10**12))
    ('0.5', '1000000', '2^63', '−10^12')
    """
    if value < 0:
        return f"−{_number(-value)}"
    if value >= 10**9 and value == 10 ** (len(str(int(value))) - 1):
        return f"10^{len(str(int(value))) - 1}"
    if value >= 2**31 and value.bit_count() == 1 if isinstance(value, int) else False:
        return f"2^{int(value).bit_length() - 1}"
    if isinstance(value, int) and value >= 2**31 and (value + 1).bit_count() == 1:
        return f"2^{value.bit_length()} − 1"
    return str(int(value)) if value == int(value) else repr(value)
