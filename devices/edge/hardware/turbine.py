"""The control loop of a turbine: anemometer, vane and brake; and the measured wind for the agent."""

from typing import Final

from gridfleet.devices.agents.instruments import NoReadingError
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge.hardware import vane
from gridfleet.devices.edge.hardware.anemometer import Anemometer, WindMeasurement
from gridfleet.devices.edge.hardware.board import Board
from gridfleet.devices.edge.hardware.brake import Brake, BrakeCause
from gridfleet.devices.edge.hardware.control import DeviceControl
from gridfleet.devices.edge.hardware.faults import HardwareError, SensorFault
from gridfleet.devices.edge.hardware.lamp import Light
from gridfleet.devices.weather import WindReading

VANE_PERIOD_S: Final = 1.0
VANE_CODES: Final = 5
"""Codes whose median is the direction."""
BREEZE_M_PER_S: Final = 3.0
"""In more wind than this a working vane does not stand still."""


class TurbineControl(DeviceControl):
    """Anemometer, vane and brake of a turbine."""

    def __init__(self, device: DeviceFile, board: Board) -> None:
        """Open the pins, the brake first, applied."""
        if device.anemometer is None:
            raise HardwareError(f"{device.id}: a turbine on pins needs an anemometer")
        super().__init__(device, board)
        now_s = self.last_step_s
        self._released_high = device.brake is not None and device.brake.released_when == "high"
        self._brake = Brake(device.brake) if device.brake is not None else None
        self._output = (
            board.output(device.brake.pin, high=not self._released_high) if device.brake is not None else None
        )
        self.open_signals()
        self._anemometer = Anemometer(device.anemometer, now_s)
        pin = device.anemometer.pin
        self._pin = board.input(pin, pull_up=device.anemometer.pull_up, on_edge=self._anemometer.edge)
        self._vane, self._adc_table = device.vane, device.adc
        self._adc = (
            board.adc(device.adc.device) if device.adc is not None and device.vane is not None else None
        )
        self._temperature_c = device.anemometer.temperature_c
        self._vane_read_s: float | None = None
        self._vane_moved_s = now_s
        self.wind = WindMeasurement(0.0, 0.0, 0.0, 0)
        self.direction_deg: float | None = None
        self.applied = self._brake is not None
        self.cause: BrakeCause | None = BrakeCause.STARTED if self._brake is not None else None

    # --- for the agent -----------------------------------------------------------------------------------

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, each as `part: fault`; an applied brake is one of them."""
        return self.fault_register.texts + ((f"brake: {self.cause}",) if self.applied and self.cause else ())

    def at(self, _simulated_ms: int, _latitude: float, _longitude: float) -> WindReading:
        """Return the measured wind; raise NoReadingError while the sensor is faulty or the brake is applied."""
        if "anemometer" in self.fault_register or self.applied:
            raise NoReadingError(", ".join(self.faults))
        return WindReading(round(self.wind.mean_m_per_s, 3), self._temperature_c)

    def readings(self) -> dict[str, float]:
        """Return the readings of the sensors without a fault; 0 or 1 for no or yes."""
        found: dict[str, float] = {}
        if "anemometer" not in self.fault_register:
            found |= {"wind_m_per_s": self.wind.mean_m_per_s, "gust_m_per_s": self.wind.gust_m_per_s}
        if self.direction_deg is not None:
            found["direction_deg"] = self.direction_deg
        if self._brake is not None:
            found["brake_applied"] = float(self.applied)
        return {name: round(value, 3) for name, value in found.items()}

    def more_readings(self) -> dict[str, float]:
        """Return the pulses since the start, and the wind of the last 3 s."""
        return {"pulses": float(self.wind.pulses), "wind_now_m_per_s": round(self.wind.now_m_per_s, 3)}

    # --- the loop ----------------------------------------------------------------------------------------

    def step(self) -> None:
        """Read the sensors, decide and switch once."""
        self.begin_step()
        now_s = self.last_step_s
        self.wind, fault = self._anemometer.read(now_s, high=self._pin.high)
        self.set_fault("anemometer", fault)
        self._read_vane(now_s)
        if self._brake is not None:
            decision = self._brake.step(now_s, self.wind, faulty=fault is not None, silent=self.agent_silent)
            self._switch(applied=decision.applied)
            self.applied, self.cause = decision.applied, decision.cause
            if decision.changed:
                self.report("brake", "applied" if decision.applied else "released", decision.cause)
        faulty = bool(self.fault_register.texts)
        light = Light.FAULT if faulty else Light.WAITING if self.applied else Light.BUSY
        self.lamp.show(light if faulty or self.applied or self.wind.pulses else Light.READY, now_s)

    def make_safe(self, reason: str) -> None:
        """Apply the brake, to stay applied."""
        if self._brake is not None and not self.applied:
            self.report("brake", "applied", reason)
        self.applied = self._brake is not None
        self._switch(applied=True)
        self.lamp.show(Light.OFF, 0.0)

    def _switch(self, *, applied: bool) -> None:
        if self._output is not None:
            self._output.set(high=applied is not self._released_high)

    def _read_vane(self, now_s: float) -> None:
        """Read the vane once a second; the turbine runs without it, too."""
        if self._vane is None or self._adc is None or self._adc_table is None:
            return
        if self._vane_read_s is not None and now_s - self._vane_read_s < VANE_PERIOD_S:
            return
        self._vane_read_s = now_s
        try:
            codes = [self._adc.code(self._vane.channel) for _ in range(VANE_CODES)]
        except OSError:
            self.set_fault("adc", SensorFault.MISSING)
            self.direction_deg = None
            return
        self.set_fault("adc", None)
        before_deg = self.direction_deg
        direction_deg, fault = vane.read(codes, self._vane, self._adc_table)
        if direction_deg != before_deg or self.wind.mean_m_per_s < BREEZE_M_PER_S:
            self._vane_moved_s = now_s
        elif fault is None and now_s - self._vane_moved_s > self._vane.stuck_after_s:
            fault = SensorFault.STUCK
        self.set_fault("vane", fault)
        self.direction_deg = direction_deg if fault in (None, SensorFault.STUCK) else None
