"""The pins, sensors and safety limits of a device file: each key with its unit, its limits and its default."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from gridfleet.devices.config.shared_tables import Table, Temperature

Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Channel = Annotated[int, Field(ge=0, le=7)]

_IDENTITY_PINS: Final = (0, 1)
LAST_PIN: Final = 27


def _usable(pin: int) -> int:
    if pin in _IDENTITY_PINS:
        raise ValueError(f"GPIO{pin} belongs to the HAT's memory; use GPIO2 to GPIO{LAST_PIN}")
    if not 0 <= pin <= LAST_PIN:
        raise ValueError(f"there are GPIO2 to GPIO{LAST_PIN} (BCM numbers, not positions on the header)")
    return pin


Pin = Annotated[
    int,
    AfterValidator(_usable),
    WithJsonSchema({"type": "integer", "minimum": _IDENTITY_PINS[-1] + 1, "maximum": LAST_PIN}),
]


class PinTable(Table):
    """Base of the tables that name pins."""

    PINS: ClassVar[tuple[str, ...]] = ()
    """Its keys that are pins."""
    CHANNELS: ClassVar[tuple[str, ...]] = ()
    """Its keys that are channels of the converter."""


class AdcTable(Table):
    """An MCP3008 on SPI bus 0."""

    device: Literal[0, 1] = 0
    """Its chip select: 0 is CE0 (GPIO8), 1 is CE1 (GPIO7)."""
    reference_v: Annotated[float, Field(ge=2.5, le=5.5)] = 3.3
    """Voltage at its V_REF."""


class AnemometerTable(PinTable):
    """A cup anemometer whose reed contact closes once per turn."""

    PINS = ("pin",)
    pin: Pin
    """The pin of the reed contact."""
    m_per_s_per_hz: Annotated[float, Field(ge=0.01, le=20)] = 0.667
    """Wind speed at one pulse per second: 2.4 km/h for the common cup type."""
    offset_m_per_s: Annotated[float, Field(ge=0, le=3)] = 0.0
    """Added while it turns: the wind speed at which it starts to turn."""
    pull_up: bool = True
    """Whether the contact pulls the pin to ground."""
    bounce_ms: Annotated[float, Field(ge=0, le=50)] = 2.0
    """A pulse that follows sooner is contact bounce, and is not counted."""
    mean_s: Seconds = 60.0
    """Span of the mean wind, from which the turbine's energy is computed."""
    max_m_per_s: Annotated[float, Field(gt=0, le=200)] = 75.0
    """A higher wind speed is a fault of the sensor."""
    stuck_after_s: Seconds = 600.0
    """A contact that is closed for longer is stuck."""
    missing_after_s: Seconds = 21_600.0
    """No pulse for longer is a broken wire rather than a calm."""
    temperature_c: Temperature = 9.3
    """Of the air, which the turbine's power depends on; there is no thermometer."""

    @model_validator(mode="after")
    def _bounce_leaves_room(self) -> "AnemometerTable":
        fastest_hz = self.max_m_per_s / self.m_per_s_per_hz
        if self.bounce_ms and fastest_hz > 1000 / self.bounce_ms:
            raise ValueError(
                f"bounce_ms = {self.bounce_ms:g}: at {self.max_m_per_s:g} m/s pulses follow each other every "
                f"{1000 / fastest_hz:.2f} ms and would be taken for bouncing; lower bounce_ms or max_m_per_s"
            )
        return self


class VaneTable(PinTable):
    """A wind vane whose voltage grows with the angle."""

    CHANNELS = ("channel",)
    channel: Channel
    """The converter's channel of the wiper."""
    min_v: Annotated[float, Field(ge=0, le=5.5)] = 0.1
    """Voltage at 0°; a lower one is a broken wire."""
    max_v: Annotated[float, Field(ge=0, le=5.5)] = 3.2
    """Voltage just below 360°; a higher one is a broken wire."""
    stuck_after_s: Seconds = 1800.0
    """A vane that does not move in a breeze for longer is stuck."""
    north_deg: Annotated[float, Field(ge=0, lt=360)] = 0.0
    """The angle that it shows when it points north."""

    @model_validator(mode="after")
    def _spans(self) -> "VaneTable":
        if self.max_v - self.min_v < 0.1:
            raise ValueError("max_v must exceed min_v by 0.1 V or more")
        return self


class BrakeTable(PinTable):
    """The rotor's brake; it is applied at the other level than `released_when`."""

    PINS = ("pin",)
    pin: Pin
    """The pin of the brake's relay."""
    released_when: Literal["high", "low"] = "high"
    """The level at which it is released: choose the one that a Raspberry Pi without power does not give."""
    above_m_per_s: Positive = 25.0
    """It is applied when the gust exceeds this."""
    release_below_m_per_s: Positive = 20.0
    """It is released when the wind has been below this for `release_after_s`."""
    release_after_s: Seconds = 60.0
    """How long the wind must have been lower before the brake is released."""

    @model_validator(mode="after")
    def _has_hysteresis(self) -> "BrakeTable":
        if self.release_below_m_per_s >= self.above_m_per_s:
            raise ValueError(
                f"release_below_m_per_s = {self.release_below_m_per_s:g}: must be less than above_m_per_s "
                f"({self.above_m_per_s:g}), so that the brake does not switch all the time"
            )
        return self


class LampTable(PinTable):
    """A status lamp: one pin, or red, green and blue."""

    PINS = ("pin", "red", "green", "blue")
    pin: Pin | None = None
    """A lamp of one colour."""
    red: Pin | None = None
    """The red light."""
    green: Pin | None = None
    """The green light."""
    blue: Pin | None = None
    """The blue light."""

    @model_validator(mode="after")
    def _one_or_three(self) -> "LampTable":
        colours = sum(pin is not None for pin in (self.red, self.green, self.blue))
        if (self.pin is None) == (colours == 0) or colours not in (0, 3):
            raise ValueError("give either pin, or all of red, green and blue")
        return self


class AliveTable(PinTable):
    """An output that changes at every control step, for a hardware watchdog in the contactor's supply."""

    PINS = ("pin",)
    pin: Pin
    """The pin of the charge pump."""


class PlugTable(PinTable):
    """The contact that detects a plug."""

    PINS = ("pin",)
    pin: Pin
    """The pin of the contact."""
    present_when: Literal["low", "high"] = "low"
    """`low` is a contact to ground with the internal pull-up."""
    settle_s: Annotated[float, Field(ge=0, le=10)] = 0.5
    """How long it must be in before the contactor closes; the contactor opens at once when it is pulled."""


class ContactorTable(PinTable):
    """The output to the contactor's relay, and its auxiliary contact if it has one."""

    PINS = ("pin", "feedback")
    pin: Pin
    """The pin of the contactor's relay."""
    closed_when: Literal["high", "low"] = "high"
    """Choose the level that a Raspberry Pi without power does not give."""
    feedback: Pin | None = None
    """An auxiliary contact to ground, closed while the main contacts are."""


class StopTable(PinTable):
    """The emergency stop: a contact to ground that opens when pressed, so that a broken wire stops as well."""

    PINS = ("pin",)
    pin: Pin
    """The pin of the contact."""


class AlternatingTable(PinTable):
    """A sensor of an alternating quantity behind the converter: v = (zero + volts_per_unit · value) · divider."""

    UNIT: ClassVar[str] = ""
    CHANNELS = ("channel",)
    channel: Channel
    """The converter's channel of the sensor."""
    zero_v: Annotated[float, Field(ge=0, le=5.5)] = 1.65
    """The sensor's output at zero."""
    divider: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Ratio of the voltage at the converter to the sensor's output."""

    @property
    def volts_per_unit(self) -> float:
        """The sensor's output in V per A or V."""
        raise NotImplementedError


class CurrentTable(AlternatingTable):
    """An ACS712, or a current transformer with burden and bias."""

    UNIT = "A"
    sensor: Literal["acs712-05", "acs712-20", "acs712-30", "ct"] = "acs712-30"
    """An ACS712 for 5, 20 or 30 A, or a current transformer."""
    zero_v: Annotated[float, Field(ge=0, le=5.5)] = 2.5
    """The sensor's output at zero."""
    divider: Annotated[float, Field(gt=0, le=1)] = 0.66
    """Ratio of the voltage at the converter to the sensor's output."""
    volts_per_a: Annotated[float, Field(gt=0, le=10)] | None = None
    """Required for a current transformer; optional correction for an ACS712."""

    @model_validator(mode="after")
    def _transformer_has_a_ratio(self) -> "CurrentTable":
        if self.sensor == "ct" and self.volts_per_a is None:
            raise ValueError(
                "volts_per_a: missing; a current transformer's depends on its ratio and its burden"
            )
        return self

    @property
    def volts_per_unit(self) -> float:
        """The sensor's output in V/A; ACS712 as in Allegro's data sheet."""
        known = {"acs712-05": 0.185, "acs712-20": 0.100, "acs712-30": 0.066}
        return self.volts_per_a if self.volts_per_a is not None else known[self.sensor]


class VoltageTable(AlternatingTable):
    """A mains voltage sensor with transformer and bias."""

    UNIT = "V"
    volts_per_v: Annotated[float, Field(gt=0, le=1)] = 0.0036
    """The sensor's output per volt of the mains."""

    @property
    def volts_per_unit(self) -> float:
        """The sensor's output in V per V of the mains."""
        return self.volts_per_v


class SafetyTable(Table):
    """When the charger's contactor opens."""

    mains_hz: Literal[50, 60] = 50
    """Frequency of the mains."""
    nominal_v: Annotated[float, Field(ge=10, le=500)] = 230.0
    """Of the mains; energy is computed with it when no voltage is measured."""
    max_voltage_v: Annotated[float, Field(ge=10, le=600)] = 265.0
    """A higher mains voltage opens the contactor."""
    min_voltage_v: Annotated[float, Field(ge=0, le=500)] = 195.0
    """A lower mains voltage opens the contactor."""
    max_current_a: Annotated[float, Field(gt=0, le=100)] = 16.0
    """The charger's rated current."""
    trip_after_s: Annotated[float, Field(gt=0, le=10)] = 1.0
    """More than 110 % of max_current_a for longer opens the contactor; more than 150 % opens it at once."""
    idle_a: Annotated[float, Field(gt=0, le=5)] = 0.5
    """More than this with an open contactor means that it is welded."""
    parting_s: Annotated[float, Field(gt=0, le=5)] = 0.3
    """Time for the contactor to open or close and for the meter to detect it."""
    broker_lost_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """It opens when the broker has been lost for longer."""
    agent_silent_s: Annotated[float, Field(ge=0.5, le=60)] = 5.0
    """It opens when the agent has not updated the control loop for longer."""
    rest_s: Annotated[float, Field(ge=0, le=60)] = 1.0
    """Shortest time for which it stays open."""


class MockTable(Table):
    """What mocked sensors measure, to try a device without any; its messages are marked as simulated."""

    wind_m_per_s: Annotated[float, Field(ge=0, le=60)] = 6.0
    """Wind speed at the mocked anemometer."""
    plugged: bool = False
    """Whether a vehicle is plugged in."""
    current_a: Annotated[float, Field(ge=0, le=60)] = 10.0
    """Current of a vehicle while the contactor is closed."""
