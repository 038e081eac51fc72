"""A test bench: a device under test on a mocked Pi, its plant, a real broker, and who else is on the site.

On mocked pins the bench's time is its own: `run` plays pulses, control steps and whatever was planned at their exact
instants, and what waits for the broker waits while that time stands still. So an assertion on times holds to the
millisecond on a busy machine, and a minute of the bench takes a fraction of a second.
"""

import heapq
from collections.abc import Callable
from itertools import count
from math import inf
from typing import Any, Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.config.device_file import DeviceFile, parse
from gridfleet.devices.edge.device import Device
from gridfleet.devices.edge.hardware.charger import ChargerControl
from gridfleet.devices.edge.hardware.control import Control
from gridfleet.devices.edge.hardware.turbine import TurbineControl
from gridfleet.devices.edge.hil.counterpart import Clockwork, Listener, Vehicle
from gridfleet.devices.edge.hil.mock_pi import MockMcp3008, MockPi
from gridfleet.devices.edge.hil.pi import Pi
from gridfleet.devices.edge.hil.plants import Charging, Wind
from gridfleet.devices.edge.hil.switch import Switch

WARM_UP_S: Final = 1.0
"""What is fed through a capacitor takes its time to be there."""
REAL_S: Final = 10.0
"""Real seconds that an answer over the broker may take."""


class Bench:
    """Everything around a device under test; `close` it in the end."""

    def __init__(self, url: str, site: str = "bench", pi: Pi | None = None) -> None:
        """`url` is the broker's; without a Pi wired back to itself, one is mocked."""
        self.site = site
        self.loop = MqttLoop(BrokerAddress.parse(url), schema=SCHEMA, retry_refused=True)
        self.url = url
        self._mock = MockPi() if pi is None else None
        self.pi: Pi = self._mock if self._mock is not None else pi  # type: ignore[assignment] # one of the two
        self.pi.meanwhile(self._within_step)
        self.clockwork = Clockwork(self.loop, site)
        self.listener = Listener(self.loop, site)
        self.devices: list[Device] = []
        self._planned: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self._controls: list[_Stepping] = []
        self._plants: list[Charging | Wind] = []
        self.agent_alive = True
        """Whether the agents give their control loops a sign of life."""
        self.hung = False
        """Whether the control loops stand still."""
        self.wait(lambda: self.clockwork.online and self.listener.online, "the bench to be online")
        self.clockwork.tick()

    # --- what is under test ------------------------------------------------------------------------------

    def charger(
        self, text: str, make: Callable[[DeviceFile, ChargerControl], Agent] | None = None
    ) -> "ChargerUnderTest":
        """Start a charger of a device file's text; `make` builds an agent of your own for it."""
        file = self._file(text)
        device, stepping = self._start(file, make)
        plant = Charging(self.pi, file)
        self._plants.append(plant)
        if not self.pi.exact:
            self.run(WARM_UP_S)
        return ChargerUnderTest(self, device, plant, stepping)

    def turbine(
        self, text: str, make: Callable[[DeviceFile, TurbineControl], Agent] | None = None
    ) -> "TurbineUnderTest":
        """Start a turbine of a device file's text; `make` builds an agent of your own for it."""
        file = self._file(text)
        device, stepping = self._start(file, make)
        plant = Wind(self.pi, file)
        self._plants.append(plant)
        return TurbineUnderTest(self, device, plant, stepping)

    def vehicle(self, name: str = "vehicle-1") -> Vehicle:
        """Let a scripted vehicle come to the site."""
        vehicle = Vehicle(self.loop, self.site, name, self.wait)
        self.wait(lambda: vehicle.online, f"{name} to be online")
        return vehicle

    @property
    def adc(self) -> MockMcp3008:
        """The mocked converter, to play its faults; AssertionError on real pins, which have none to play."""
        if self._mock is None:
            raise AssertionError(
                "faults of the converter are played on mocked pins only: mark the test hil_mock"
            )
        return self._mock.adc

    def _file(self, text: str) -> DeviceFile:
        """Return the device, on this bench's site and pins."""
        file = parse(text, "bench.toml")
        if self._mock is not None and file.adc is not None:
            self._mock.adc.reference_v = file.adc.reference_v
        return file.model_copy(update={"site": self.site})

    def _start(self, file: DeviceFile, make: Callable[..., Agent] | None) -> tuple[Device, "_Stepping"]:
        device = Device(file, self.loop, board=self.pi.board(), make=make)
        if device.control is None:
            raise ValueError(
                f"{file.id}: backend = {file.backend!r} has no pins to test; set backend = 'mock'"
            )
        self.devices.append(device)
        stepping = _Stepping(device.control, file.control.period_s, self.now_s)
        self._controls.append(stepping)
        self.wait(lambda: device.online, f"{file.id} to be online")
        device.start()
        return device, stepping

    # --- time --------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """The bench's time in seconds."""
        return self.pi.now_s

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        """Plan something for later, to be done while the bench runs."""
        heapq.heappush(self._planned, (self.now_s + seconds, next(self._numbers), call))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(lambda: False, seconds)

    def run_until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Let time pass until a condition holds; return whether it did in time."""
        end_s = self.now_s + within_s
        while not condition():
            due_s = min(self._next_s(), end_s)
            self._play(due_s)
            if self.now_s >= end_s:
                return condition()
        return True

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait in real time for what comes over the broker, while the bench's time stands still."""
        if not self.loop.run_until(condition, REAL_S):
            raise TimeoutError(f"waited {REAL_S:g} s for {what}. {self.loop.offline_reason}")

    def _next_s(self) -> float:
        planned_s = self._planned[0][0] if self._planned else inf
        plants_s = min((plant.due_s for plant in self._plants), default=inf)
        steps_s = min((stepping.due_s for stepping in self._controls if not self.hung), default=inf)
        return min(planned_s, plants_s, steps_s)

    def _play(self, until_s: float) -> None:
        """Move time on to an instant, and do what is due then; the control loops come last."""
        self._surroundings(until_s)
        stepped = False
        for stepping in self._controls:
            if stepping.due_s <= self.now_s and not self.hung:
                self._exchange()
                stepping.step()
                stepped = True
        if stepped:
            self._exchange()

    def _surroundings(self, until_s: float) -> None:
        """Move time on, and play plants and plans on the way."""
        while True:
            planned_s = self._planned[0][0] if self._planned else inf
            plant = min(self._plants, key=lambda each: each.due_s, default=None)
            plant_s = plant.due_s if plant is not None else inf
            due_s = min(planned_s, plant_s)
            if due_s > until_s:
                break
            self._move_to(due_s)
            if planned_s <= plant_s:
                heapq.heappop(self._planned)[2]()
            elif plant is not None:
                plant.act()
        self._move_to(until_s)

    def _move_to(self, at_s: float) -> None:
        if at_s > self.now_s:
            self.pi.pass_time(at_s - self.now_s)

    def _within_step(self, seconds: float) -> None:
        """Let time pass while a control loop samples: the world goes on meanwhile."""
        self._surroundings(self.now_s + seconds)

    def _exchange(self) -> None:
        """Do what a running device does on its timers."""
        self.loop.poll()
        for device in self.devices:
            if self.agent_alive:
                device.tell()
            device.hear()

    def close(self) -> None:
        """End everything. Twice is safe."""
        for device in self.devices:
            if device.control is not None:
                device.control.make_safe("shut down")
            device.close()
        self.devices.clear()
        self.loop.close()
        self.pi.close()


class _Stepping:
    """When a control loop makes its next step: after its period, or at once when an edge wakes it."""

    def __init__(self, control: Control, period_s: float, now_s: float) -> None:
        self.control = control
        self.due_s = now_s
        self._period_s = period_s
        control.wake = self._hurry

    def step(self) -> None:
        self.due_s = inf
        self.control.step()
        self.due_s = min(self.due_s, self.control.now_s() + self._period_s)

    def _hurry(self) -> None:
        self.due_s = self.control.now_s()


class ChargerUnderTest:
    """A charger, and what happens around it."""

    def __init__(self, bench: Bench, device: Device, plant: Charging, stepping: _Stepping) -> None:
        self.device = device
        self.plant = plant
        self.stepping = stepping
        control: Any = device.control
        self.control: ChargerControl = control
        contactor = device.file.contactor
        if contactor is None:
            raise ValueError(f"{device.file.id}: has no contactor")
        self.contactor = Switch(bench, contactor.pin, on_when=contactor.closed_when)
        self._bench = bench

    def serve(self, vehicle: Vehicle, energy_wh: int = 10_000) -> None:
        """Let a vehicle reserve, arrive, plug in and say so, until its lease is confirmed."""
        vehicle.reserve(self.device.file, energy_wh)
        self.plant.plug_in()
        vehicle.arrive()


class TurbineUnderTest:
    """A turbine, and the wind around it."""

    def __init__(self, bench: Bench, device: Device, plant: Wind, stepping: _Stepping) -> None:
        self.device = device
        self.plant = plant
        self.stepping = stepping
        control: Any = device.control
        self.control: TurbineControl = control
        brake = device.file.brake
        self.brake = (
            Switch(bench, brake.pin, on_when=_other(brake.released_when)) if brake is not None else None
        )


def _other(level: str) -> str:
    return "low" if level == "high" else "high"
