"""Models of what is connected to the pins: wind at an anemometer, and mains and a vehicle at a charger.

A plant gives its voltages for any instant, and says when it acts next (`due_s`, `act`), so that it works in a bench's
time and in real time. Its faults are attributes that a test sets and resets.
"""

from collections.abc import Callable
from math import inf, sin, sqrt, tau
from typing import Final, Protocol

from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.config.sensor_tables import AlternatingTable, ContactorTable
from gridfleet.devices.edge.hardware.faults import HardwareError
from gridfleet.devices.edge.hil.pi import Pi

CONTACTS_FOLLOW_S: Final = 0.02
"""Seconds after which the main contacts follow the coil."""
PULSE_SHARE: Final = 0.2
"""Share of a turn for which the reed contact is closed."""


class Plant(Protocol):
    """Something connected to the pins of a mocked Pi."""

    @property
    def due_s(self) -> float:
        """When it acts next, by the Pi's time; `math.inf` for never."""
        ...

    def act(self) -> None:
        """Act."""


def sensed(table: AlternatingTable, value: Callable[[float], float]) -> Callable[[float], float]:
    """Return the voltage at the converter for a quantity in A or V, as function of time."""
    zero_v, gain, divider = table.zero_v, table.volts_per_unit, table.divider
    return lambda now_s: (zero_v + gain * value(now_s)) * divider


class ChargingPlant:
    """The mains, a contactor, and a vehicle behind it."""

    def __init__(self, pi: Pi, device: DeviceFile) -> None:
        if device.plug is None or device.contactor is None or device.current is None or device.stop is None:
            raise HardwareError(f"{device.id}: is no charger on pins")
        self._pi = pi
        self._plug, self._stop = device.plug, device.stop
        self._contactor: ContactorTable = device.contactor
        self._omega = tau * device.safety.mains_hz
        self.mains_v = device.safety.nominal_v
        self.draws_a = 10.0
        """RMS that the vehicle draws while plugged in and switched on."""
        self.leaks_a = 0.0
        """RMS that flows even with an open contactor."""
        self.welded = False
        self.feedback_broken = False
        self.plugged = False
        self.offset_v = 0.0
        """Shift of the current sensor's zero."""
        self._start_s = pi.now_s
        self._sensors = device.current, device.voltage
        self.connect()
        self.due_s = 0.0
        self.unplug()
        self.release_stop()

    def connect(self) -> None:
        """Connect current and voltage sensor to the converter."""
        current, voltage = self._sensors
        sensor = sensed(current, self.current_a)
        self._pi.feed(current.channel, lambda now_s: sensor(now_s) + self.offset_v)
        if voltage is not None:
            self._pi.feed(voltage.channel, sensed(voltage, self.voltage_v))

    def plug_in(self) -> None:
        """Insert the plug."""
        self.plugged = True
        self._pi.drive(self._plug.pin, high=self._plug.present_when == "high")

    def unplug(self) -> None:
        """Pull the plug."""
        self.plugged = False
        self._pi.drive(self._plug.pin, high=self._plug.present_when != "high")

    def press_stop(self) -> None:
        """Press the emergency stop, or cut its wire: the contact opens."""
        self._pi.drive(self._stop.pin, high=True)

    def release_stop(self) -> None:
        """Reset the emergency stop."""
        self._pi.drive(self._stop.pin, high=False)

    @property
    def closed(self) -> bool:
        """Whether the main contacts are closed: they follow the coil, or are welded together."""
        high, since_s = self._pi.level(self._contactor.pin)
        coil = high is (self._contactor.closed_when == "high")
        followed = since_s <= self._start_s or self._pi.now_s - since_s >= CONTACTS_FOLLOW_S
        return self.welded or coil is followed

    def current_a(self, now_s: float) -> float:
        """Return the instantaneous current through the contactor."""
        amperes = self.leaks_a + (self.draws_a if self.closed and self.plugged else 0.0)
        return sqrt(2) * amperes * sin(self._omega * now_s)

    def voltage_v(self, now_s: float) -> float:
        """Return the instantaneous voltage of the mains."""
        return sqrt(2) * self.mains_v * sin(self._omega * now_s)

    def act(self) -> None:
        """Move the auxiliary contact with the main contacts."""
        self.due_s = self._pi.now_s + CONTACTS_FOLLOW_S / 2
        if self._contactor.feedback is not None:
            self._pi.drive(self._contactor.feedback, high=self.feedback_broken or not self.closed)


class WindPlant:
    """A cup anemometer in the wind, and a vane if there is one."""

    def __init__(self, pi: Pi, device: DeviceFile) -> None:
        if device.anemometer is None:
            raise HardwareError(f"{device.id}: is no turbine on pins")
        self._pi, self._table = pi, device.anemometer
        self._vane = device.vane
        self._closed = False
        self.due_s = inf
        self.speed_m_per_s = 0.0
        self.direction_deg = 0.0
        self.jammed = False
        """Whether the contact does not change any more: the cups are stuck, or the wire is cut."""
        self.bounces = 0
        """How often the contact opens and closes again at every pulse."""
        self.vane_v: float | None = None
        """A voltage that the vane shows instead of its angle's."""
        self.pulses = 0
        pi.drive(self._table.pin, high=self._table.pull_up)
        if self._vane is not None:
            pi.feed(self._vane.channel, self._vane_volts)

    def blow(self, speed_m_per_s: float) -> None:
        """Set the wind's speed."""
        self.speed_m_per_s = speed_m_per_s
        period_s = self._period_s()
        self.due_s = self._pi.now_s + period_s if period_s < inf else inf

    def stick(self) -> None:
        """Close the contact, to stay closed."""
        self.jammed = True
        self._pi.drive(self._table.pin, high=not self._table.pull_up)

    def act(self) -> None:
        """Close or open the contact, as is due."""
        period_s = self._period_s()
        if self.jammed or period_s == inf:
            self.due_s = inf
            return
        self._closed = not self._closed
        if self._closed:
            self.pulses += 1
            self._bounce()
        self._pi.drive(self._table.pin, high=self._closed is not self._table.pull_up)
        share = PULSE_SHARE if self._closed else 1 - PULSE_SHARE
        self.due_s += period_s * share

    def _bounce(self) -> None:
        rest = self._table.pull_up
        for _ in range(self.bounces):
            self._pi.drive(self._table.pin, high=not rest)
            self._pi.drive(self._table.pin, high=rest)

    def _period_s(self) -> float:
        above = self.speed_m_per_s - self._table.offset_m_per_s
        return self._table.m_per_s_per_hz / above if above > 0 else inf

    def _vane_volts(self, _now_s: float) -> float:
        table = self._vane
        if self.vane_v is not None or table is None:
            return self.vane_v or 0.0
        share = ((self.direction_deg + table.north_deg) % 360.0) / 360.0
        return table.min_v + share * (table.max_v - table.min_v)
