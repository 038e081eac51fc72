"""The control loop of a charger: plug, stop button, meter and contactor; and the readings that the agent uses."""

from collections import deque
from typing import Final

from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.config.sensor_tables import (
    AlternatingTable,
    ContactorTable,
    CurrentTable,
    PlugTable,
    StopTable,
)
from gridfleet.devices.edge.hardware import mains
from gridfleet.devices.edge.hardware.board import Adc, Board
from gridfleet.devices.edge.hardware.contactor import Cause, Contactor, ContactorDecision, ContactorInputs
from gridfleet.devices.edge.hardware.control import AgentStatus, DeviceControl
from gridfleet.devices.edge.hardware.faults import HardwareError, SensorFault
from gridfleet.devices.edge.hardware.lamp import Light

MAX_UNMETERED_S: Final = 1.0
"""How long a busy machine may fail to sample a cycle evenly before that is a fault."""
IDLE_METER_S: Final = 0.4
"""Seconds between two readings of the meter while the contactor is open: often enough to detect welding."""
AFTER_SWITCHING_S: Final = 1.0
"""How long after switching the meter is read at every step, so that no old current is taken for welding."""
MAX_PLUG_CHANGES: Final = 6
PLUG_SPAN_S: Final = 10.0
"""A plug contact with more changes within this span is bouncing."""
ZERO_SMOOTHING: Final = 0.05
"""Weight of the newest reading in a sensor's zero, which drifts with its temperature."""
MAX_METERED_CALLS: Final = 32
_WS_PER_WH: Final = 3600.0


class ChargerControl(DeviceControl):
    """Plug, stop button, meter and contactor of a charger."""

    def __init__(self, device: DeviceFile, board: Board) -> None:
        """Open the pins, the contactor first, open."""
        if device.plug is None or device.contactor is None or device.stop is None or device.current is None:
            raise HardwareError(f"{device.id}: a charger on pins needs plug, contactor, stop and current")
        if device.adc is None:
            raise HardwareError(f"{device.id}: a charger on pins needs the converter")
        super().__init__(device, board)
        self._safety = device.safety
        self._plug_table: PlugTable = device.plug
        self._contactor_table: ContactorTable = device.contactor
        self._current: CurrentTable = device.current
        self._voltage = device.voltage
        self._reference_v = device.adc.reference_v
        now_s = self.last_step_s
        self._output = board.output(device.contactor.pin, high=device.contactor.closed_when == "low")
        self.open_signals()
        self._plug_changes: deque[float] = deque(maxlen=64)
        self._plug_left = False
        self._stop_pressed = False
        self._plug = board.input(device.plug.pin, pull_up=self._plug_pull_up, on_edge=self._plug_edge)
        stop: StopTable = device.stop
        self._stop = board.input(stop.pin, pull_up=True, on_edge=self._stop_edge)
        feedback = device.contactor.feedback
        self._feedback = board.input(feedback, pull_up=True) if feedback is not None else None
        self._adc: Adc = board.adc(device.adc.device)
        self._contactor = Contactor(device.safety, device.plug.settle_s, now_s)
        self._zero_code = {
            table.channel: mains.calibrated_zero_code(table, self._reference_v)
            for table in (self._current, self._voltage)
            if table is not None
        }
        self._metered_s: float | None = None
        self._read_s: float | None = None
        self._metered_at_s = now_s
        self._metered_wh: dict[tuple[str, int], float] = {}
        self.current_a = self.power_w = self.energy_wh = 0.0
        self.voltage_v = self._safety.nominal_v
        self.plugged = False
        self.closed = False
        self.cause: Cause | None = Cause.STARTED
        self.opened_because = ""

    # --- for the agent -----------------------------------------------------------------------------------

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, each as `part: fault`; latched causes count as faults of the contactor."""
        latched = tuple(f"contactor: {cause}" for cause in sorted(self._contactor.latched))
        return self.fault_register.texts + latched

    @property
    def ready(self) -> bool:
        """Whether a charge may be offered to a vehicle."""
        return self._contactor.healthy and not self.fault_register.texts and self.cause not in _OUT_OF_SERVICE

    def delivered_wh(self, vehicle: str, call: int) -> int:
        """Return the energy metered for a vehicle's call, whole Wh, rounded down."""
        return int(self._metered_wh.get((vehicle, call), 0.0))

    def readings(self) -> dict[str, float]:
        """Return the readings of the sensors without a fault; 0 or 1 for no or yes."""
        found = {"plugged": float(self.plugged), "contactor_closed": float(self.closed)}
        if not any(part in self.fault_register for part in ("adc", "meter", "current")):
            found |= {"current_a": self.current_a, "power_w": self.power_w, "energy_wh": self.energy_wh}
        if self._voltage is not None and not any(
            part in self.fault_register for part in ("adc", "meter", "voltage")
        ):
            found["voltage_v"] = self.voltage_v
        return {name: round(value, 3) for name, value in found.items()}

    def more_readings(self) -> dict[str, float]:
        """Return whether the emergency stop is pressed or its wire broken, 0 or 1."""
        return {"stop_pressed": float(self._stop.high)}

    # --- the loop ----------------------------------------------------------------------------------------

    def step(self) -> None:
        """Read the sensors, decide and switch once."""
        gap_s = self.begin_step()
        self._meter(self.last_step_s)
        now_s = self.board.now_s()
        plugged, stopped = self._read_contacts(now_s)
        status = self.agent_status
        feedback = None if self._feedback is None else not self._feedback.high
        inputs = ContactorInputs(
            plugged=plugged,
            stopped=stopped,
            permit=status.permit,
            delivered_wh=self._metered_wh.get(status.permit[:2], 0.0) if status.permit is not None else 0.0,
            current_a=self.current_a,
            voltage_v=self.voltage_v,
            feedback=feedback,
            sensors_faulty=bool(self.fault_register.texts),
            broker_silent_s=now_s - status.broker_seen_s,
            agent_silent_s=now_s - status.agent_seen_s,
            gap_s=gap_s,
        )
        self._apply(now_s, self._contactor.step(now_s, inputs))
        self.lamp.show(self._light(status), now_s)

    def make_safe(self, reason: str) -> None:
        """Open the contactor, to stay open."""
        self._switch(closed=False)
        if self.closed:
            self._opened(reason)
        self.lamp.show(Light.OFF, 0.0)

    def _read_contacts(self, now_s: float) -> tuple[bool, bool]:
        """Return whether the plug is in and the stop pressed; a short change between two steps counts."""
        absent, self._plug_left = self._plug_left, False
        pressed, self._stop_pressed = self._stop_pressed, False
        self.plugged = self._plug.high is not self._plug_pull_up and not absent
        changes = self._plug_changes
        while changes and now_s - changes[0] > PLUG_SPAN_S:
            changes.popleft()
        self.set_fault("plug", SensorFault.BOUNCE if len(changes) > MAX_PLUG_CHANGES else None)
        return self.plugged, pressed or self._stop.high

    def _apply(self, now_s: float, decision: ContactorDecision) -> None:
        self._switch(closed=decision.closed)
        before, self.cause = self.cause, decision.cause
        if decision.changed and decision.closed:
            self.closed = True
            self._metered_s = now_s
            self.report("contactor", "closed", "plug, lease and health")
        elif decision.changed:
            self._opened(decision.cause or Cause.SHUTDOWN)
        elif decision.cause is not before and decision.cause in (Cause.WELDED, Cause.NOT_CLOSED):
            self.report("contactor", "failed", decision.cause)

    def _opened(self, reason: str) -> None:
        self.closed = False
        self._metered_s = None
        self.opened_because = str(reason)
        self.report("contactor", "opened", str(reason))

    def _switch(self, *, closed: bool) -> None:
        self._output.set(high=closed is (self._contactor_table.closed_when == "high"))

    def _light(self, status: AgentStatus) -> Light:
        if not self.ready:
            return Light.FAULT
        if self.closed:
            return Light.BUSY
        return Light.WAITING if self.plugged or status.permit is not None else Light.READY

    # --- the meter ---------------------------------------------------------------------------------------

    def _meter(self, now_s: float) -> None:
        """Read one cycle of the mains when it is time, and count the energy since the reading before."""
        idle = not self.closed and now_s - self._contactor.since_s > AFTER_SWITCHING_S
        if idle and self._read_s is not None and now_s - self._read_s < IDLE_METER_S:
            return
        self._read_s = now_s
        try:
            times_s, currents, voltages = self._sample_cycle()
        except OSError:
            self.set_fault("adc", SensorFault.MISSING)
            self.current_a = self.power_w = 0.0
            return
        self.set_fault("adc", None)
        shares = mains.weights(times_s, 1 / self._safety.mains_hz)
        if shares is None:  # the machine was busy: the last reading stays valid for a while
            self.set_fault(
                "meter", SensorFault.MISSING if now_s - self._metered_at_s > MAX_UNMETERED_S else None
            )
            return
        self._metered_at_s = now_s
        self.set_fault("meter", None)
        amperes = self._quantity("current", self._current, currents, shares, alternating=False)
        self.current_a = amperes.rms if amperes.fault is None else 0.0
        if amperes.fault is SensorFault.OUT_OF_RANGE:
            self.current_a = amperes.rms  # clipped at the end of the scale: at least this much flows
        power_w = self.current_a * self._safety.nominal_v
        if self._voltage is not None:
            volts = self._quantity("voltage", self._voltage, voltages, shares, alternating=True)
            if volts.fault is None:
                self.voltage_v = volts.rms
                power_w = mains.mean_power_w(volts.values, amperes.values, shares)
        self._count(max(power_w, 0.0) if self.current_a else 0.0)

    def _quantity(
        self, part: str, table: AlternatingTable, codes: list[int], shares: list[float], *, alternating: bool
    ) -> mains.Cycle:
        zero_code = self._zero_code[table.channel]
        found = mains.cycle(codes, shares, table, self._reference_v, zero_code, alternating=alternating)
        self.set_fault(part, found.fault)
        idle = part == "current" and not self.closed and found.rms < self._safety.idle_a
        if found.fault is None and (idle or part == "voltage"):
            self._zero_code[table.channel] += ZERO_SMOOTHING * (found.zero_code - zero_code)
        return found

    def _sample_cycle(self) -> tuple[list[float], list[int], list[int]]:
        """Sample one whole cycle: times, current, and voltage if it is measured; each is read first in turn."""
        board, adc = self.board, self._adc
        spacing_s = 1 / self._safety.mains_hz / mains.PAIRS
        begun_s = board.now_s()
        first, second = self._current.channel, self._voltage.channel if self._voltage is not None else None
        times_s: list[float] = []
        codes: tuple[list[int], list[int]] = ([], [])
        for number in range(mains.PAIRS):
            wait_s = begun_s + number * spacing_s - board.now_s()
            if wait_s > 0:
                board.sleep(wait_s)
            times_s.append(board.now_s())
            if second is None:
                codes[0].append(adc.code(first))
                continue
            if number % 2:
                codes[1].append(adc.code(second))
                codes[0].append(adc.code(first))
            else:
                codes[0].append(adc.code(first))
                codes[1].append(adc.code(second))
        return times_s, *codes

    def _count(self, power_w: float) -> None:
        """Integrate power over time by trapezoids, for the vehicle that is charging."""
        now_s = self.board.now_s()
        before_w, self.power_w = self.power_w, power_w
        if self._metered_s is None or not self.closed:
            return
        energy_wh = (before_w + power_w) / 2 * (now_s - self._metered_s) / _WS_PER_WH
        self._metered_s = now_s
        self.energy_wh += energy_wh
        permit = self.agent_status.permit
        if permit is None:
            return
        metered_wh = self._metered_wh
        metered_wh[permit[:2]] = metered_wh.get(permit[:2], 0.0) + energy_wh
        if len(metered_wh) > MAX_METERED_CALLS:
            del metered_wh[next(iter(metered_wh))]

    # --- edges, in gpiozero's thread ---------------------------------------------------------------------

    @property
    def _plug_pull_up(self) -> bool:
        return self._plug_table.present_when == "low"

    def _plug_edge(self, at_s: float, high: bool) -> None:  # noqa: FBT001 - an Edge
        self._plug_changes.append(at_s)
        if high is self._plug_pull_up:
            self._plug_left = True
        self.wake()

    def _stop_edge(self, _at_s: float, high: bool) -> None:  # noqa: FBT001 - an Edge
        self._stop_pressed |= high
        self.wake()


_OUT_OF_SERVICE: Final = frozenset(
    {Cause.WELDED, Cause.STOP, Cause.OVER_CURRENT, Cause.NOT_CLOSED, Cause.SENSOR, Cause.VOLTAGE, Cause.LATE}
)
"""Causes with which no charge is offered."""
