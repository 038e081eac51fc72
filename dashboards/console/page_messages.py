"""Generate the live page's TypeScript module of messages: types, validators, topics and versions.

python -m gridfleet.dashboards.console.page_messages >console/src/model/messages.ts

The schema of each message comes from pydantic, so that the page refuses what a device would refuse. Validators are
written for valibot, which derives the TypeScript types from them.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf, isinf
from typing import Any, Final

from pydantic import TypeAdapter

from gridfleet.broker.protocol import batch, codec, topics, units
from gridfleet.broker.protocol.messages import ID_PATTERN, MAX_TICKS, OUT_OF_SERVICE, AnyState, Role, State
from gridfleet.broker.protocol.topics import CLOCKS, MESSAGE_TYPES, CellRange, MessageType, Scope
from gridfleet.broker.readers.json_values import json_text
from gridfleet.dashboards.console.history.publications import READ
from gridfleet.dashboards.console.phase_steps import STEPS

_HEAD: Final = """\
// Types, validators and topics of the messages that the page reads.
// Generated from broker/protocol/messages by `python -m gridfleet.dashboards.console.page_messages`; do not edit.

import * as v from 'valibot';
"""
_HELPERS: Final = """\
const integer = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
const number = (min: number, max: number) => v.pipe(v.number(), v.finite(), v.minValue(min), v.maxValue(max));
/** Text of at most so many Unicode characters. */
const text = (max: number) =>
  v.pipe(v.string(), v.check((value) => value.length <= max || [...value].length <= max));
"""
_REFERENCE: Final = "#/$defs/"


def source() -> str:
    """Return the TypeScript module, as it is committed."""
    parts = [_HEAD, _constants(), _HELPERS]
    parts += [_enum(name, schema) for name, schema in _SCHEMAS.items() if "enum" in schema]
    parts += [_type(name, schema) for name, schema in _SCHEMAS.items() if "enum" not in schema]
    parts += [_setting_limits(), _steps(), _topics()]
    return "\n".join(parts)


def _schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of every message and of its parts, parts first."""
    found: dict[str, dict[str, Any]] = {}
    for message in READ:
        schema = TypeAdapter(AnyState if message is State else message).json_schema()
        found.update(schema.pop("$defs", {}))
        found[message.__name__] = schema
    ordered: dict[str, dict[str, Any]] = {}
    for name in found:
        _add_with_parts(name, found, ordered)
    return ordered


def _add_with_parts(
    name: str, schemas: Mapping[str, dict[str, Any]], ordered: dict[str, dict[str, Any]]
) -> None:
    if name in ordered:
        return
    for part in re.findall(rf'"{re.escape(_REFERENCE)}(\w+)"', json_text(schemas[name])):
        _add_with_parts(part, schemas, ordered)
    ordered[name] = schemas[name]


def _constants() -> str:
    values = {
        "ROOT": topics.ROOT,
        "BATCH": topics.BATCH,
        "CLOCK_ID": topics.CLOCK_ID,
        "SCHEMA_VERSION": codec.SCHEMA,
        "MAX_PAYLOAD_BYTES": codec.MAX_PAYLOAD,
        "BATCH_VERSION": batch.VERSION.decode(),
        "MAX_BATCH_MESSAGES": batch.MAX_MESSAGES,
        "TICK_MS": units.TICK_MS,
        "MAX_TICKS": MAX_TICKS,
        "OUT_OF_SERVICE": OUT_OF_SERVICE,
    }
    lines = [f"export const {name} = {_literal(value)};\n" for name, value in values.items()]
    return "".join([*lines, f"export const ID = {_regex(ID_PATTERN)};\n"])


def _setting_limits() -> str:
    """Return the smallest and largest value of each setting that is a number, and the length of those that are text."""
    lines = []
    for name, schema in _SCHEMAS["Settings"]["properties"].items():
        if schema.get("type") == "number":
            lines.append(f"  {name}: [{_bounds(schema)}],\n")
        elif "maxLength" in schema:
            lines.append(f"  {name}: {schema['maxLength']},\n")
    return (
        "/** Smallest and largest value of a setting, or the length of its text. */\n"
        f"export const SETTING_LIMITS = {{\n{''.join(lines)}}} as const;\n"
    )


def _enum(name: str, schema: Mapping[str, Any]) -> str:
    listed = _plural(name)
    return (
        f"export const {listed} = {_literals(schema['enum'])} as const;\n"
        f"export type {name} = (typeof {listed})[number];\n"
    )


def _type(name: str, schema: Mapping[str, Any]) -> str:
    return (
        f"export const {name}Schema = {_validator(schema)};\n"
        f"export type {name} = v.InferOutput<typeof {name}Schema>;\n"
    )


def _steps() -> str:
    lines = [f"  {phase}: {_literals(step)},\n" for phase, step in STEPS.items()]
    return (
        "/** Number and name of the step that a phase belongs to, as people see it. */\n"
        f"export const STEPS: Readonly<Record<Phase, readonly [number, string]>> = {{\n{''.join(lines)}}};\n"
    )


def _topics() -> str:
    lines = [
        f"  {each.name}: {{ scope: {_literals(each.scope.levels)}, clock: '{_clock_publishes(each)}', "
        f"senders: {_literals(sorted(each.senders))}, cells: '{_cells(each)}', "
        f"schema: {each.message_class.__name__}Schema }},\n"
        for each in map(_message_type, READ)
    ]
    return (
        "/**\n * Message types, as the third level of a topic names them: the scope levels that follow, whether the\n"
        " * clock publishes them alone (`only`), with others (`also`) or `never`, the roles of the senders, and to\n"
        " * which cells they publish: their `own`, `others` or `any`.\n */\n"
        f"export const MESSAGE_TYPES = {{\n{''.join(lines)}}} as const;\n"
        "export type MessageType = keyof typeof MESSAGE_TYPES;\n"
    )


def _clock_publishes(message_type: MessageType) -> str:
    if Role.CLOCK not in message_type.senders:
        return "never"
    return "only" if message_type.senders == CLOCKS else "also"


def _cells(message_type: MessageType) -> str:
    if message_type.scope is not Scope.CELL:
        return "any"
    return {CellRange.OWN: "own", CellRange.NEIGHBOURS: "others"}.get(message_type.to_cells, "any")


def _message_type(message: Any) -> MessageType:  # noqa: ANN401 - any message class
    return MESSAGE_TYPES[message.TYPE]


def _validator(schema: Mapping[str, Any]) -> str:
    """Return the valibot expression for a JSON schema; raise ValueError for a keyword without a rule here."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.removeprefix(_REFERENCE)
            return f"v.picklist({_plural(name)})" if "enum" in _SCHEMAS[name] else f"{name}Schema"
        case {"oneOf": list(choices), "discriminator": {"propertyName": str(key)}}:
            return f"v.variant({_literal(key)}, [{', '.join(map(_validator, choices))}])"
        case {"anyOf": list(choices)}:
            return _union(choices)
        case {"enum": list(values)}:
            return f"v.picklist({_literals(values)})"
        case {"const": value}:
            return f"v.literal({_literal(value)})"
    try:
        return _BY_TYPE[schema["type"]](schema)
    except KeyError:
        raise ValueError(f"no rule for this JSON schema: {json_text(schema)}") from None


def _object(schema: Mapping[str, Any]) -> str:
    if "properties" not in schema:
        return _record(schema)
    lines = "".join(f"  {line},\n" for line in _fields(schema["properties"], schema.get("required", [])))
    return f"v.strictObject({{\n{lines}}})"


def _record(schema: Mapping[str, Any]) -> str:
    keys = schema.get("propertyNames", {}) | {"type": "string"}
    values = schema.get("additionalProperties")
    if "patternProperties" in schema:
        [(keys["pattern"], values)] = schema["patternProperties"].items()
    if values is None:
        raise KeyError("additionalProperties")
    record = f"v.record({_validator(keys)}, {_validator(values)})"
    return (
        f"v.pipe({record}, v.maxEntries({schema['maxProperties']}))" if "maxProperties" in schema else record
    )


def _array(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"v.strictTuple([{', '.join(map(_validator, schema['prefixItems']))}])"
    array = f"v.array({_validator(schema['items'])})"
    return f"v.pipe({array}, v.maxLength({schema['maxItems']}))" if "maxItems" in schema else array


def _string(schema: Mapping[str, Any]) -> str:
    if "pattern" in schema:
        pattern = "ID" if schema["pattern"] == ID_PATTERN else _regex(schema["pattern"])
        return f"v.pipe(v.string(), v.regex({pattern}))"
    return f"text({schema['maxLength']})" if "maxLength" in schema else "v.string()"


_BY_TYPE: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": lambda schema: f"integer({_bounds(schema)})",
    "number": lambda schema: f"number({_bounds(schema)})",
    "boolean": lambda _: "v.boolean()",
}


def _fields(fields: Mapping[str, Mapping[str, Any]], required: list[str]) -> Iterator[str]:
    for name, schema in fields.items():
        validator = _validator(schema)
        if name not in required:
            validator = f"v.optional({validator}, {_literal(schema.get('default'))})"
        yield f"{name}: {validator}"


def _union(choices: list[Mapping[str, Any]]) -> str:
    present = [_validator(each) for each in choices if each != {"type": "null"}]
    union = present[0] if len(present) == 1 else f"v.union([{', '.join(present)}])"
    return union if len(present) == len(choices) else f"v.nullable({union})"


def _bounds(schema: Mapping[str, Any]) -> str:
    """Return the smallest and the largest value that are allowed."""
    # A float's smallest value above an exclusive bound of 0.
    step = 1 if schema["type"] == "integer" else sys.float_info.min
    low = schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else schema.get("minimum", -inf)
    high = schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else schema.get("maximum", inf)
    return f"{_number(low)}, {_number(high)}"


def _number(value: float) -> str:
    if isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return f"{value:_}" if isinstance(value, int) and abs(value) < 2**53 else f"{value:g}".replace("e+", "e")


def _plural(enum: str) -> str:
    return f"{enum.upper()}S"


def _regex(pattern: str) -> str:
    return "/" + pattern.replace("/", r"\/") + "/"


def _literal(value: object) -> str:
    """Return a value as TypeScript, text in single quotes."""
    if isinstance(value, list | tuple):
        return _literals(value)
    if isinstance(value, str):
        return "'" + json_text(value, ensure_ascii=False)[1:-1].replace("'", "\\'").replace('\\"', '"') + "'"
    return f"{value:_}" if type(value) is int else json_text(value)


def _literals(values: Iterable[object]) -> str:
    return f"[{', '.join(map(_literal, values))}]"


_SCHEMAS: Final = _schemas()

if __name__ == "__main__":
    sys.stdout.write(source())
