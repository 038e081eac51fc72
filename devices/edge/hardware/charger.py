"""The control loop of a charger: plug, stop button, meter and contactor; and its readings for the agent."""

from collections import deque
from collections.abc import Callable
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
from gridfleet.devices.edge.hardware.contactor import Cause, Contactor, Decision, Senses
from gridfleet.devices.edge.hardware.control import MOST_HAPPENINGS, FaultBoard, Happening, Order, no_hurry
from gridfleet.devices.edge.hardware.faults import Fault, HardwareError
from gridfleet.devices.edge.hardware.lamp import Lamp, Light

UNREAD_S: Final = 1.0
"""For so long a busy machine may fail to sample a cycle evenly."""
IDLE_LOOK_S: Final = 0.4
"""So often the meter is read while the contactor is open: often enough to see that it has welded."""
AWAKE_S: Final = 1.0
"""After the contactor has moved the meter is read at every step, so that no old current is taken for welding."""
FLAPS: Final = 6
FLAP_SPAN_S: Final = 10.0
"""A plug contact that changes more often than this within the span is bouncing."""
ZERO_FOLLOWS: Final = 0.05
"""Share of the newest idle zero: the sensor's offset drifts with its temperature."""
ACCOUNTS_KEPT: Final = 32
_WS_PER_WH: Final = 3600.0


class ChargerControl:
    """`step` it from one thread; everything else may be read from another."""

    def __init__(self, device: DeviceFile, board: Board) -> None:
        """Open the pins, the contactor first, open."""
        if device.plug is None or device.contactor is None or device.stop is None or device.current is None:
            raise HardwareError(f"{device.id}: a charger on pins needs plug, contactor, stop and current")
        if device.adc is None:
            raise HardwareError(f"{device.id}: a charger on pins needs the converter")
        self.measured: Final = device.measured
        self.happenings: deque[Happening] = deque(maxlen=MOST_HAPPENINGS)
        self.wake: Callable[[], None] = no_hurry
        self._board = board
        self._safety = device.safety
        self._plug_table: PlugTable = device.plug
        self._contactor_table: ContactorTable = device.contactor
        self._current: CurrentTable = device.current
        self._voltage = device.voltage
        self._reference_v = device.adc.reference_v
        now_s = board.now_s()
        self._output = board.output(device.contactor.pin, high=device.contactor.closed_when == "low")
        self._alive = board.output(device.alive.pin, high=False) if device.alive is not None else None
        self._lamp = Lamp(board, device.lamp)
        self._plug_moves: deque[float] = deque(maxlen=64)
        self._plug_left = False
        self._stop_pressed = False
        self._plug = board.input(device.plug.pin, pull_up=self._plug_pull_up, on_edge=self._plug_edge)
        stop: StopTable = device.stop
        self._stop = board.input(stop.pin, pull_up=True, on_edge=self._stop_edge)
        feedback = device.contactor.feedback
        self._feedback = board.input(feedback, pull_up=True) if feedback is not None else None
        self._adc: Adc = board.adc(device.adc.device)
        self._contactor = Contactor(device.safety, device.plug.settle_s, now_s)
        self._faults = FaultBoard(board, self.happenings)
        self._zero_code = {
            table.channel: mains.calibrated_zero_code(table, self._reference_v)
            for table in (self._current, self._voltage)
            if table is not None
        }
        self._metered_s: float | None = None
        self._read_s: float | None = None
        self._sound_s = now_s
        self._accounts: dict[tuple[str, int], float] = {}
        self._steps = 0
        self.order = Order(None, now_s, now_s)
        self.looked_s = now_s
        self.current_a = self.power_w = self.energy_wh = 0.0
        self.voltage_v = self._safety.nominal_v
        self.plugged = False
        self.closed = False
        self.cause: Cause | None = Cause.STARTED
        self.opened_because = ""

    # --- for the agent -----------------------------------------------------------------------------------

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, each as `part: fault`; a latched cause belongs to the contactor."""
        latched = tuple(f"contactor: {cause}" for cause in sorted(self._contactor.latched))
        return self._faults.texts + latched

    @property
    def ready(self) -> bool:
        """Whether a vehicle may be promised anything."""
        return self._contactor.healthy and not self._faults.texts and self.cause not in _UNFIT

    def delivered_wh(self, vehicle: str, call: int) -> int:
        """Return what the meter has counted for a vehicle's call, whole Wh, rounded down."""
        return int(self._accounts.get((vehicle, call), 0.0))

    def readings(self) -> dict[str, float]:
        """Return what the sound sensors say; 0 or 1 for no or yes."""
        found = {"plugged": float(self.plugged), "contactor_closed": float(self.closed)}
        if not any(part in self._faults for part in ("adc", "meter", "current")):
            found |= {"current_a": self.current_a, "power_w": self.power_w, "energy_wh": self.energy_wh}
        if self._voltage is not None and not any(
            part in self._faults for part in ("adc", "meter", "voltage")
        ):
            found["voltage_v"] = self.voltage_v
        return {name: round(value, 3) for name, value in found.items()}

    def now_s(self) -> float:
        """Return the board's time in seconds."""
        return self._board.now_s()

    # --- the loop ----------------------------------------------------------------------------------------

    def step(self) -> None:
        """Look, decide and switch once."""
        board = self._board
        now_s = board.now_s()
        gap_s, self.looked_s = now_s - self.looked_s, now_s
        self._steps += 1
        if self._alive is not None:
            self._alive.set(high=self._steps % 2 == 0)
        self._meter(now_s)
        now_s = board.now_s()
        plugged, stopped = self._look(now_s)
        order = self.order
        feedback = None if self._feedback is None else not self._feedback.high
        senses = Senses(
            plugged=plugged,
            stopped=stopped,
            permit=order.permit,
            delivered_wh=self._accounts.get(order.permit[:2], 0.0) if order.permit is not None else 0.0,
            current_a=self.current_a,
            voltage_v=self.voltage_v,
            feedback=feedback,
            sensors_faulty=bool(self._faults.texts),
            broker_silent_s=now_s - order.broker_heard_s,
            market_silent_s=now_s - order.told_s,
            gap_s=gap_s,
        )
        self._act(now_s, self._contactor.step(now_s, senses))
        self._lamp.show(self._light(order), now_s)

    def make_safe(self, reason: str) -> None:
        """Open the contactor for good."""
        self._switch(closed=False)
        if self.closed:
            self._opened(reason)
        self._lamp.show(Light.OFF, 0.0)

    def _look(self, now_s: float) -> tuple[bool, bool]:
        """Return whether the plug is there and the stop pressed; what left in between counts, too."""
        absent, self._plug_left = self._plug_left, False
        pressed, self._stop_pressed = self._stop_pressed, False
        self.plugged = self._plug.high is not self._plug_pull_up and not absent
        moves = self._plug_moves
        while moves and now_s - moves[0] > FLAP_SPAN_S:
            moves.popleft()
        self._faults.note("plug", Fault.BOUNCE if len(moves) > FLAPS else None)
        return self.plugged, pressed or self._stop.high

    def _act(self, now_s: float, decision: Decision) -> None:
        self._switch(closed=decision.closed)
        before, self.cause = self.cause, decision.cause
        if decision.changed and decision.closed:
            self.closed = True
            self._metered_s = now_s
            self._happen("contactor", "closed", "plug, lease and health")
        elif decision.changed:
            self._opened(decision.cause or Cause.SHUTDOWN)
        elif decision.cause is not before and decision.cause in (Cause.WELDED, Cause.NOT_CLOSED):
            self._happen("contactor", "failed", decision.cause)

    def _opened(self, reason: str) -> None:
        self.closed = False
        self._metered_s = None
        self.opened_because = str(reason)
        self._happen("contactor", "opened", str(reason))

    def _switch(self, *, closed: bool) -> None:
        self._output.set(high=closed is (self._contactor_table.closed_when == "high"))

    def _happen(self, part: str, what: str, reason: str) -> None:
        self.happenings.append(Happening(self._board.wall_ms(), part, what, str(reason)))

    def _light(self, order: Order) -> Light:
        if not self.ready:
            return Light.FAULT
        if self.closed:
            return Light.BUSY
        return Light.WAITING if self.plugged or order.permit is not None else Light.READY

    # --- the meter ---------------------------------------------------------------------------------------

    def _meter(self, now_s: float) -> None:
        """Read one cycle of the mains when it is time, and count the energy since the last."""
        resting = not self.closed and now_s - self._contactor.since_s > AWAKE_S
        if resting and self._read_s is not None and now_s - self._read_s < IDLE_LOOK_S:
            return
        self._read_s = now_s
        try:
            times_s, currents, voltages = self._burst()
        except OSError:
            self._faults.note("adc", Fault.MISSING)
            self.current_a = self.power_w = 0.0
            return
        self._faults.note("adc", None)
        shares = mains.weights(times_s, 1 / self._safety.mains_hz)
        if shares is None:  # the machine was busy: the last reading holds a little longer
            self._faults.note("meter", Fault.MISSING if now_s - self._sound_s > UNREAD_S else None)
            return
        self._sound_s = now_s
        self._faults.note("meter", None)
        amperes = self._quantity("current", self._current, currents, shares, alive=False)
        self.current_a = amperes.rms if amperes.fault is None else 0.0
        if amperes.fault is Fault.OUT_OF_RANGE:
            self.current_a = amperes.rms  # cut off at the end of the scale: at least this much flows
        power_w = self.current_a * self._safety.nominal_v
        if self._voltage is not None:
            volts = self._quantity("voltage", self._voltage, voltages, shares, alive=True)
            if volts.fault is None:
                self.voltage_v = volts.rms
                power_w = mains.mean_power_w(volts.values, amperes.values, shares)
        self._count(max(power_w, 0.0) if self.current_a else 0.0)

    def _quantity(
        self, part: str, table: AlternatingTable, codes: list[int], shares: list[float], *, alive: bool
    ) -> mains.Cycle:
        zero_code = self._zero_code[table.channel]
        found = mains.cycle(codes, shares, table, self._reference_v, zero_code, alive=alive)
        self._faults.note(part, found.fault)
        idle = part == "current" and not self.closed and found.rms < self._safety.idle_a
        if found.fault is None and (idle or part == "voltage"):
            self._zero_code[table.channel] += ZERO_FOLLOWS * (found.zero_code - zero_code)
        return found

    def _burst(self) -> tuple[list[float], list[int], list[int]]:
        """Sample one whole cycle: when, current, and voltage where there is a sensor, in turn first."""
        board, adc = self._board, self._adc
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
        """Integrate power over time by trapezes, for whoever is charging."""
        now_s = self._board.now_s()
        before_w, self.power_w = self.power_w, power_w
        if self._metered_s is None or not self.closed:
            return
        energy_wh = (before_w + power_w) / 2 * (now_s - self._metered_s) / _WS_PER_WH
        self._metered_s = now_s
        self.energy_wh += energy_wh
        permit = self.order.permit
        if permit is None:
            return
        accounts = self._accounts
        accounts[permit[:2]] = accounts.get(permit[:2], 0.0) + energy_wh
        if len(accounts) > ACCOUNTS_KEPT:
            del accounts[next(iter(accounts))]

    # --- edges, in gpiozero's thread ---------------------------------------------------------------------

    @property
    def _plug_pull_up(self) -> bool:
        return self._plug_table.present_when == "low"

    def _plug_edge(self, at_s: float, high: bool) -> None:  # noqa: FBT001 - an Edge
        self._plug_moves.append(at_s)
        if high is self._plug_pull_up:
            self._plug_left = True
        self.wake()

    def _stop_edge(self, _at_s: float, high: bool) -> None:  # noqa: FBT001 - an Edge
        self._stop_pressed |= high
        self.wake()


_UNFIT: Final = frozenset(
    {Cause.WELDED, Cause.STOP, Cause.OVER_CURRENT, Cause.NOT_CLOSED, Cause.SENSOR, Cause.VOLTAGE, Cause.LATE}
)
"""With these nobody is promised a charge."""
