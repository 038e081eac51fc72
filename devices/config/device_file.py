"""What a device file may say: one device, its place, its broker and its pins; errors name line, key and mend.

    id = "turbine-01"
    kind = "turbine"
    site = "germany"
    cell = "germany"
    place = [53.6, 10.0]
    backend = "synthetic"

    [broker]
    url = "mqtt://localhost"

Pins are BCM numbers (GPIO17 is 17), never positions on the header. `docs/hardware.md` has the wiring.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError, field_validator, model_validator

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError, GridFleetError, error_reason
from gridfleet.devices.config.device_tables import (
    BrokerTable,
    ControlTable,
    HouseholdTable,
    Id,
    MarketTable,
    Number,
    TelemetryTable,
    TurbineTable,
    VehicleTable,
)
from gridfleet.devices.config.file_errors import unknown_key, wrong_value
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
from gridfleet.devices.config.shared_tables import BufferTable, Seed, Table
from gridfleet.devices.config.toml_lines import line_of, lines_of

MOST_BYTES: Final = 65_536
SPI0: Final = {7: "CE1", 8: "CE0", 9: "MISO", 10: "MOSI", 11: "SCLK"}
"""The pins of the bus on which the converter sits."""
_OF_KIND: Final[dict[str, frozenset[str]]] = {
    "turbine": frozenset({"turbine", "anemometer", "vane", "brake"}),
    "charger": frozenset({"charger", "plug", "contactor", "stop", "current", "voltage", "safety"}),
    "household": frozenset({"household"}),
    "vehicle": frozenset({"vehicle"}),
    "reactor": frozenset(),
}
"""The tables that only one kind of device has."""
_NEEDED: Final = {
    "turbine": ("anemometer",),
    "charger": ("plug", "contactor", "stop", "current", "adc"),
}
"""Without these a kind cannot be run on pins."""


class DeviceFileError(GridFleetError, ValueError):
    """A device file that cannot be used; the text has one line for each mistake."""

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{source}{problem}" for problem in problems))
        self.source = source
        self.problems = tuple(problems)


class DeviceFile(Table):
    """One device, every value checked."""

    id: Id
    site: Id = "germany"
    kind: Literal["turbine", "charger", "household", "vehicle", "reactor"]
    cell: Id = ""
    neighbours: tuple[Id, ...] = ()
    """The cells beside its own."""
    place: tuple[Number, Number] = (0.0, 0.0)
    """Latitude and longitude in degrees."""
    label: str = ""
    backend: Literal["gpio", "mock", "synthetic"]
    """`gpio` is a Raspberry Pi's pins, `mock` pins that exist in memory only, `synthetic` none at all."""
    reactor: Id | None = None
    """Whom a consumer or charger asks for what the wind does not give."""
    seed: Seed = 1
    broker: BrokerTable
    market: MarketTable = MarketTable()
    control: ControlTable = ControlTable()
    telemetry: TelemetryTable = TelemetryTable()
    turbine: TurbineTable = TurbineTable()
    charger: BufferTable = BufferTable()
    """On pins there is one port, that of the contactor."""
    household: HouseholdTable = HouseholdTable()
    vehicle: VehicleTable = VehicleTable()
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
    """Where the file lies; the credentials are looked for from there. Not a key of the file."""

    @field_validator("place")
    @classmethod
    def _on_earth(cls, place: tuple[float, float]) -> tuple[float, float]:
        latitude, longitude = place
        if not -90 <= latitude <= 90 or not -180 <= longitude <= 180:
            raise ValueError("is latitude (-90 to 90) and longitude (-180 to 180), in degrees")
        return place

    @model_validator(mode="after")
    def _has_cell(self) -> "DeviceFile":
        if not self.cell:
            object.__setattr__(self, "cell", self.site)
        return self

    @property
    def on_pins(self) -> bool:
        """Whether it reads sensors, real or mocked."""
        return self.backend != "synthetic"

    @property
    def measured(self) -> bool:
        """Whether what its sensors say is real."""
        return self.backend == "gpio"

    @property
    def credentials(self) -> Path | None:
        """The folder with `ca.crt` and the device's own secrets."""
        return Path(self.folder) / self.broker.credentials if self.broker.credentials else None

    def address(self) -> BrokerAddress:
        """Return the broker's address."""
        return BrokerAddress.parse(self.broker.url)

    def pins(self) -> Iterator[tuple[tuple[str, str], int]]:
        """Yield every pin that is used as GPIO, with the place of its key."""
        for name in type(self).model_fields:
            table = getattr(self, name)
            if isinstance(table, PinTable):
                for key in table.PINS:
                    pin = getattr(table, key)
                    if pin is not None:
                        yield (name, key), pin

    def channels(self) -> Iterator[tuple[tuple[str, str], int]]:
        """Yield every channel of the converter in use, with the place of its key."""
        for name in ("vane", "current", "voltage"):
            table = getattr(self, name)
            if table is not None:
                yield (name, "channel"), table.channel


def load(path: Path | str) -> DeviceFile:
    """Return the device that a file describes; raise DeviceFileError with a line for each mistake."""
    source = str(path)
    try:
        raw = Path(path).read_bytes()
        if len(raw) > MOST_BYTES:
            raise DeviceFileError(source, [f": has {len(raw)} bytes; a device file has at most {MOST_BYTES}"])
        text = raw.decode("utf-8")
    except OSError as error:
        raise DeviceFileError(source, [f": cannot be read: {error_reason(error)}"]) from None
    except UnicodeDecodeError as error:
        raise DeviceFileError(source, [f": cannot be read as UTF-8 text: {error}"]) from None
    return parse(text, source, str(Path(path).parent))


def parse(text: str, source: str, folder: str = "") -> DeviceFile:
    """Return the device that a TOML text is; `source` names it in errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeviceFileError(source, [f": is not TOML: {error}"]) from None
    lines = lines_of(text)

    def at(place: tuple[Any, ...], words: str) -> str:
        line = line_of(lines, place)
        key = ".".join(str(part) for part in place) or "file"
        return f"{f', line {line}' if line else ''}: {key}{words}"

    if "folder" in document:
        raise DeviceFileError(source, [at(("folder",), ": unknown key; remove it")])
    try:
        device = DeviceFile.model_validate({**document, "folder": folder})
    except ValidationError as error:
        problems = [_problem(document, dict(item)) for item in error.errors(include_url=False)]
        raise DeviceFileError(source, [at(place, words) for place, words in problems]) from None
    mistakes = [at(place, words) for place, words in _mistakes(device, document)]
    if mistakes:
        raise DeviceFileError(source, mistakes)
    return device


def _mistakes(device: DeviceFile, document: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what is wrong between keys, each valid alone: the place, and the words with their mend."""
    try:
        device.address()
    except BrokerError as error:
        yield ("broker", "url"), f": {error}"
    for kind, tables in _OF_KIND.items():
        for name in sorted(tables & document.keys()) if kind != device.kind else ():
            yield (
                (name,),
                f": is a table of a {kind}, and this is a {device.kind}; remove it, or set kind = {kind!r}",
            )
    if device.backend != "mock" and device.mock is not None:
        yield ("mock",), f": says what mocked sensors feel, and the backend is {device.backend!r}; remove it"
    if device.on_pins:
        yield from _hardware_mistakes(device)


def _hardware_mistakes(device: DeviceFile) -> Iterator[tuple[tuple[str, ...], str]]:
    if device.kind not in _NEEDED:
        yield (
            ("backend",),
            f" = {device.backend!r}: a {device.kind} has no sensors; set backend = 'synthetic'",
        )
        return
    for name in _NEEDED[device.kind]:
        if getattr(device, name) is None:
            yield (name,), f": missing; a {device.kind} on pins needs the table [{name}]"
    yield from _pin_mistakes(device)
    yield from _channel_mistakes(device)
    if device.adc is not None:
        yield from _calibration_mistakes(device, device.adc)


def _pin_mistakes(device: DeviceFile) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield pins that are used twice, or that the SPI bus needs."""
    taken: dict[int, str] = {}
    for place, pin in device.pins():
        key = ".".join(place)
        if device.adc is not None and pin in SPI0:
            yield (
                place,
                f" = {pin}: GPIO{pin} is {SPI0[pin]} of the SPI bus that [adc] uses; choose another pin",
            )
        elif pin in taken:
            yield place, f" = {pin}: GPIO{pin} is {taken[pin]} already; choose another pin"
        taken.setdefault(pin, key)


def _channel_mistakes(device: DeviceFile) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield channels that are used twice, or of a converter that is not there."""
    used: dict[int, str] = {}
    for place, channel in device.channels():
        if device.adc is None:
            yield place, f" = {channel}: there is no converter; add the table [adc]"
        elif channel in used:
            yield place, f" = {channel}: channel {channel} is {used[channel]} already; choose another"
        used.setdefault(channel, ".".join(place))


def _calibration_mistakes(device: DeviceFile, adc: AdcTable) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield sensors whose values the converter could not show."""
    most_v = adc.reference_v
    for name, sensor, peak in (
        ("current", device.current, 1.1 * device.safety.most_current_a),
        ("voltage", device.voltage, device.safety.most_voltage_v),
    ):
        if sensor is None:
            continue
        zero_v = sensor.zero_v * sensor.divider
        if not 0.1 * most_v <= zero_v <= 0.9 * most_v:
            yield (
                (name, "zero_v"),
                (
                    f" = {sensor.zero_v:g}: behind the divider of {sensor.divider:g} that is {zero_v:.2f} V, and the "
                    f"zero of an alternating quantity must lie well within 0 to {most_v:g} V; correct zero_v or divider"
                ),
            )
            continue
        shown = min(zero_v, most_v - zero_v) / (sensor.volts_per_unit * sensor.divider) / 2**0.5
        if shown < peak:
            key = "most_current_a" if name == "current" else "most_voltage_v"
            yield (
                (name,),
                (
                    f": with this sensor the converter shows at most {shown:.1f} {sensor.UNIT} RMS, and {peak:g} "
                    f"must be seen; lower safety.{key}, or take a less sensitive sensor or another divider"
                ),
            )


def _problem(document: dict[str, Any], error: dict[str, Any]) -> tuple[tuple[Any, ...], str]:
    """Return the place of a mistake, and its words: the value, what is allowed, and how to mend it."""
    place = tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        return place, f": {unknown_key(place[-1], _keys(place[:-1]))}"
    if error["type"] == "missing":
        return place, ": missing; every device file says it" if len(place) == 1 else ": missing; add this key"
    return place, wrong_value(document, place, error["msg"])


def _keys(place: tuple[Any, ...]) -> list[str]:
    """Return the keys allowed in the table at that place."""
    model: Any = DeviceFile
    for part in place:
        annotation = model.model_fields[part].annotation
        options = getattr(annotation, "__args__", (annotation,))
        model = next(option for option in options if isinstance(option, type) and issubclass(option, Table))
    return sorted(set(model.model_fields) - {"folder"})
