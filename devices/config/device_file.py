"""The device file: one device, its place, its broker and its pins. Errors give line, key, value and a remedy.

    id = "turbine-01"
    kind = "turbine"
    site = "germany"
    cell = "germany"
    place = [53.6, 10.0]
    backend = "synthetic"

    [broker]
    url = "mqtt://localhost"

Pins are BCM numbers (GPIO17 is 17), not positions on the header. `docs/reference/hardware.md` shows the wiring.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import create_model, field_validator, model_validator

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.protocol.messages import Id, Presence, Role
from gridfleet.devices.config.device_tables import (
    BrokerTable,
    ControlTable,
    Number,
    TelemetryTable,
)
from gridfleet.devices.config.sensor_tables import (
    AdcTable,
    AliveTable,
    AnemometerTable,
    BrakeTable,
    ContactorTable,
    CurrentTable,
    LampTable,
    MockTable,
    PinTable,
    PlugTable,
    SafetyTable,
    StopTable,
    VaneTable,
    VoltageTable,
)
from gridfleet.devices.config.shared_tables import MarketTable, Seed, Table
from gridfleet.devices.config.toml_errors import FileError, Problem, TomlText
from gridfleet.devices.config.toml_files import read_toml
from gridfleet.devices.kinds.agent_type import AgentSettings, AgentType
from gridfleet.devices.kinds.registry import AGENT_TYPES
from gridfleet.devices.plugins import PluginError

MAX_BYTES: Final = 65_536
SPI0: Final = {7: "CE1", 8: "CE0", 9: "MISO", 10: "MOSI", 11: "SCLK"}
"""The pins of the bus to which the converter is connected."""
_FORMER_KINDS: Final = {"household": "consumer"}
"""Kinds by the names that they had before; also the names of their tables."""
_MOVED: Final = {
    "market.vehicle_limit_eur_per_kwh": "price_limit_eur_per_kwh in the table [vehicle]",
    "turbine.temperature_c": "temperature_c in the table [anemometer]",
}
"""Keys that have moved, with the place where they are now."""
_PARTS: Final = ("anemometer", "vane", "brake", "plug", "contactor", "stop", "current", "voltage", "safety")
"""The tables that belong to some kinds only, which name them as their parts."""
_Mistake = tuple[tuple[str, ...], str]
"""A key, and the text that follows it."""


class DeviceFileError(FileError):
    """A device file that cannot be used; the text has one line for each problem."""


class DeviceFile(Table):
    """A device file, validated."""

    id: Id
    """The device's id: its name at the broker and the last level of its topics."""
    site: Id = "germany"
    """The site that it belongs to."""
    kind: str
    """A shipped kind, or one that an installed package adds; its settings are in the table of its name."""
    cell: Id = ""
    """The cell in which it trades; by default the site's only one."""
    neighbours: tuple[Id, ...] = ()
    """The cells beside its own."""
    place: tuple[Number, Number] = (0.0, 0.0)
    """Latitude and longitude in degrees."""
    label: str = ""
    """For people: a name on pages."""
    backend: Literal["gpio", "mock", "synthetic"]
    """`gpio`: the pins of a Raspberry Pi; `mock`: simulated pins; `synthetic`: no pins."""
    reactor: Id | None = None
    """The grid supply that a buyer asks for what its cell lacks."""
    seed: Seed = 1
    """Of everything that it draws at random."""
    broker: BrokerTable
    market: MarketTable = MarketTable()
    control: ControlTable = ControlTable()
    telemetry: TelemetryTable = TelemetryTable()
    adc: AdcTable | None = None
    anemometer: AnemometerTable | None = None
    vane: VaneTable | None = None
    brake: BrakeTable | None = None
    lamp: LampTable | None = None
    alive: AliveTable | None = None
    plug: PlugTable | None = None
    contactor: ContactorTable | None = None
    stop: StopTable | None = None
    current: CurrentTable | None = None
    voltage: VoltageTable | None = None
    safety: SafetyTable = SafetyTable()
    mock: MockTable | None = None
    folder: str = ""
    """The folder of the file; `broker.credentials` is relative to it. Not a key of the file."""

    @field_validator("place")
    @classmethod
    def _on_earth(cls, place: tuple[float, float]) -> tuple[float, float]:
        latitude, longitude = place
        if not -90 <= latitude <= 90 or not -180 <= longitude <= 180:
            raise ValueError("must be latitude (-90 to 90) and longitude (-180 to 180) in degrees")
        return place

    @model_validator(mode="after")
    def _has_cell(self) -> "DeviceFile":
        if not self.cell:
            object.__setattr__(self, "cell", self.site)
        return self

    @property
    def agent_type(self) -> AgentType[Any]:
        """The definition of its kind."""
        return AGENT_TYPES.get(self.kind)

    @property
    def settings(self) -> AgentSettings:
        """The settings of its kind."""
        found = getattr(self, self.kind)
        return found if isinstance(found, AgentSettings) else self.agent_type.settings()

    @property
    def role(self) -> Role:
        """The role that the device has in MQTT messages and access rules."""
        return self.agent_type.role

    @property
    def on_pins(self) -> bool:
        """Whether it has sensors, real or mocked."""
        return self.backend != "synthetic"

    @property
    def measured(self) -> bool:
        """Whether its readings come from real sensors."""
        return self.backend == "gpio"

    @property
    def credentials(self) -> Path | None:
        """The folder with `ca.crt` and the device's own credentials; None for a broker without login."""
        return Path(self.folder) / self.broker.credentials if self.broker.credentials else None

    def offline_presence(self) -> Presence:
        """Return the message that reports the device as offline."""
        latitude, longitude = self.place
        return Presence(False, self.role, self.cell, latitude, longitude, self.label, kind=self.kind)  # noqa: FBT003 - as in agents

    def address(self) -> BrokerAddress:
        """Return the broker's address."""
        return BrokerAddress.parse(self.broker.url)

    def pins(self) -> Iterator[tuple[tuple[str, str], int]]:
        """Yield every GPIO pin in use: its key and its BCM number."""
        for name in type(self).model_fields:
            table = getattr(self, name)
            if isinstance(table, PinTable):
                for key in table.PINS:
                    pin = getattr(table, key)
                    if pin is not None:
                        yield (name, key), pin

    def channels(self) -> Iterator[tuple[tuple[str, str], int]]:
        """Yield every channel of the converter in use: its key and its number."""
        for name in type(self).model_fields:
            table = getattr(self, name)
            if isinstance(table, PinTable):
                for key in table.CHANNELS:
                    channel = getattr(table, key)
                    if channel is not None:
                        yield (name, key), channel


def load(path: Path | str) -> DeviceFile:
    """Return the device that a file describes; raise DeviceFileError with a line for each problem."""
    return parse(*read_toml(path, DeviceFileError, MAX_BYTES))


def parse(text: str, source: str, folder: str = "") -> DeviceFile:
    """Return the device that a TOML text describes; `source` names the text in errors."""
    toml = TomlText(text, source, DeviceFileError)
    if "folder" in toml.document:
        raise toml.fail(toml.problem(("folder",), ": unknown key; remove it"))
    model = _model_of(toml)

    def explain(error: dict[str, Any]) -> Problem:
        new = _MOVED.get(".".join(map(str, error["loc"]))) if error["type"] == "extra_forbidden" else None
        problem = toml.explain(model, error)
        return problem if new is None else toml.problem(error["loc"], f": has moved; write it as {new}")

    device = toml.validate(model, {"folder": folder}, explain)
    problems = [toml.problem(key, text) for key, text in _contradictions(device, toml.document)]
    if problems:
        raise toml.fail(*problems)
    return device


def _model_of(toml: TomlText) -> type[DeviceFile]:
    """Return the model of a document: `DeviceFile` with the table of the document's kind.

    Raises DeviceFileError for a kind that nothing has, and for a table of another kind.
    """
    document = toml.document
    kind = document.get("kind")
    if not isinstance(kind, str):
        return DeviceFile  # whose validation says what is wrong with the key
    if kind in _FORMER_KINDS:
        former, kind = kind, _FORMER_KINDS[kind]
        document["kind"] = kind
        if former in document:
            document.setdefault(kind, document.pop(former))
    try:
        settings = AGENT_TYPES.get(kind).settings
    except PluginError as error:
        raise toml.fail(toml.problem(("kind",), f" = {kind!r}: {error}")) from None
    others = [name for name in document if name not in DeviceFile.model_fields and name != kind]
    wrong = [_FORMER_KINDS.get(name, name) for name in others]
    problems = [
        toml.problem(
            (name,), f": belongs to a {other}, and this is a {kind}; remove it, or set kind = {other!r}"
        )
        for name, other in zip(others, wrong, strict=True)
        if other in AGENT_TYPES
    ]
    if problems:
        raise toml.fail(*problems)
    if kind in DeviceFile.model_fields:
        return DeviceFile  # a reactor, which has no settings: `reactor` is the key of others
    fields: dict[str, Any] = {kind: (settings, settings())}
    return create_model("DeviceFile", __base__=DeviceFile, **fields)


def _contradictions(device: DeviceFile, document: dict[str, Any]) -> Iterator[_Mistake]:
    """Yield what is wrong between keys that are valid alone."""
    try:
        device.address()
    except BrokerError as error:
        yield ("broker", "url"), f": {error}"
    allowed = device.agent_type.parts
    for name in _PARTS:
        if name in document and name not in allowed:
            yield (name,), f": a {device.kind} has no such part; remove it ({_allowed_parts(allowed)})"
    if device.backend != "mock" and device.mock is not None:
        yield ("mock",), f": is for mocked sensors, and the backend is {device.backend!r}; remove it"
    if device.on_pins:
        yield from _hardware_mistakes(device)


def _allowed_parts(parts: tuple[str, ...]) -> str:
    return f"it may have {', '.join(parts)}" if parts else "it has no pins"


def _hardware_mistakes(device: DeviceFile) -> Iterator[_Mistake]:
    """Yield tables that the device needs on pins, and what is wrong with those that it has."""
    agent_type = device.agent_type
    if agent_type.control is None:
        yield (
            ("backend",),
            f" = {device.backend!r}: a {device.kind} has no sensors; set backend = 'synthetic'",
        )
        return
    for name in agent_type.needed_parts:
        if getattr(device, name) is None:
            yield (name,), f": missing; a {device.kind} on pins needs the table [{name}]"
    for key in agent_type.settings.NEEDED_ON_PINS:
        if getattr(device.settings, key) is None:
            yield (device.kind, key), f": missing; a {device.kind} on pins needs it"
    yield from _pin_conflicts(device)
    yield from _channel_conflicts(device)
    if device.adc is not None:
        yield from _range_mistakes(device, device.adc)


def _pin_conflicts(device: DeviceFile) -> Iterator[_Mistake]:
    """Yield pins that are used twice, or by the SPI bus."""
    taken: dict[int, str] = {}
    for key, pin in device.pins():
        if device.adc is not None and pin in SPI0:
            yield (
                key,
                f" = {pin}: GPIO{pin} is {SPI0[pin]} of the SPI bus that [adc] uses; choose another pin",
            )
        elif pin in taken:
            yield key, f" = {pin}: GPIO{pin} is already used by {taken[pin]}; choose another pin"
        taken.setdefault(pin, ".".join(key))


def _channel_conflicts(device: DeviceFile) -> Iterator[_Mistake]:
    """Yield channels that are used twice, or without a converter."""
    used: dict[int, str] = {}
    for key, channel in device.channels():
        if device.adc is None:
            yield key, f" = {channel}: needs a converter; add the table [adc]"
        elif channel in used:
            yield key, f" = {channel}: channel {channel} is already used by {used[channel]}; choose another"
        used.setdefault(channel, ".".join(key))


def _range_mistakes(device: DeviceFile, adc: AdcTable) -> Iterator[_Mistake]:
    """Yield sensors whose range the converter does not cover."""
    max_v = adc.reference_v
    for name, sensor, peak in (
        ("current", device.current, 1.1 * device.safety.max_current_a),
        ("voltage", device.voltage, device.safety.max_voltage_v),
    ):
        if sensor is None:
            continue
        zero_v = sensor.zero_v * sensor.divider
        if not 0.1 * max_v <= zero_v <= 0.9 * max_v:
            yield (
                (name, "zero_v"),
                (
                    f" = {sensor.zero_v:g}: behind the divider of {sensor.divider:g} that is {zero_v:.2f} V, and the "
                    f"zero of an alternating quantity must lie well within 0 to {max_v:g} V; correct zero_v or divider"
                ),
            )
            continue
        shown = min(zero_v, max_v - zero_v) / (sensor.volts_per_unit * sensor.divider) / 2**0.5
        if shown < peak:
            key = "max_current_a" if name == "current" else "max_voltage_v"
            yield (
                (name,),
                (
                    f": with this sensor the converter measures at most {shown:.1f} {sensor.UNIT} RMS, and {peak:g} "
                    f"are needed; lower safety.{key}, or take a less sensitive sensor or another divider"
                ),
            )
