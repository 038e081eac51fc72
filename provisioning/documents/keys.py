"""Tables of the keys of scenarios, device files and faults, from their models."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gridfleet.broker.asyncapi.field_docs import field_docs, one_line
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.kinds.registry import AGENT_TYPES
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.provisioning.documents.units import unit
from gridfleet.provisioning.documents.value_ranges import allowed

KINDS: Final = ("turbine", "consumer", "charger", "vehicle", "battery", "reactor")
"""The shipped kinds."""
_HEAD: Final = "| key | unit | allowed | default | meaning |\n| --- | --- | --- | --- | --- |"
_LONG: Final = 3
"""A default list of more values is shown by its first."""


def scenario_keys() -> str:
    """Return the keys of a scenario: those outside of tables, then each table."""
    return "\n".join(_model(Scenario, lambda name: "[[events]]" if name == "events" else f"[{name}]"))


def battery_keys() -> str:
    """Return the table of the battery, which a scenario has only where the file does."""
    return "\n".join(_table("[battery]", AGENT_TYPES.get("battery").settings))


def device_keys() -> str:
    """Return the keys of a device file: those outside of tables, then each table."""
    return "\n".join(_model(DeviceFile, lambda name: f"[{name}]"))


def kind_keys() -> str:
    """Return the tables of the shipped kinds in a device file."""
    return "\n".join(line for kind in KINDS for line in _kind(kind))


def fault_keys() -> str:
    """Return the keys of `--faults`."""
    return "\n".join((_HEAD, *_rows(Faults)))


def _kind(kind: str) -> Iterator[str]:
    agent_type = AGENT_TYPES.get(kind)
    yield from _table(f"[{kind}]", agent_type.settings)
    if agent_type.parts:
        needed = ", ".join(f"`[{part}]`" for part in agent_type.needed_parts)
        parts = ", ".join(f"`[{part}]`" for part in agent_type.parts)
        yield f"\nOn pins it has the tables {parts}; needed are {needed}."


def _model(model: type[BaseModel], title: Callable[[str], str]) -> Iterator[str]:
    yield from (_HEAD, *_rows(model))
    for name, field in model.model_fields.items():
        table = _table_of(field)
        if table is not None:
            yield from _table(title(name), table)


def _table(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"\n### `{title}`\n{one_line(model.__doc__)}\n"
    rows = list(_rows(model))
    if rows:
        yield from (_HEAD, *rows)


def _rows(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    schema = model.model_json_schema()
    texts = field_docs(model)
    for name, field in model.model_fields.items():
        inner = _table_of(field)
        if name == "folder" and _is_a_file(model):
            continue  # not a key: where the file is
        if inner is not None:
            if prefix or not _is_a_file(model):
                yield from _rows(inner, f"{prefix}{name}.")
            continue
        values = allowed(schema["properties"][name], schema.get("$defs", {}))
        meaning = texts[name].replace("|", "\\|")
        yield f"| `{prefix}{name}` | {unit(name)} | {values} | {_default(field)} | {meaning} |"


def _is_a_file(model: type[BaseModel]) -> bool:
    """Return whether a model is a whole file, whose tables are shown on their own."""
    return issubclass(model, Scenario | DeviceFile)


def _table_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a key that is a table, or an array of tables."""
    pending: list[Any] = [field.annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        pending += getattr(annotation, "__args__", ())
    return None


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ("", ()):
        return ""
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:  # noqa: ANN401 - any value of a key
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        shown = [_toml(each) for each in value[:_LONG]]
        return f"[{', '.join(shown)}{', …' if len(value) > _LONG else ''}]"
    if isinstance(value, float | int):
        return f"{value:.10g}"
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return f'"{value}"'
