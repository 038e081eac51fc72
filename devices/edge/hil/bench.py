"""A test bench: a device under test on a mocked Pi, its plant, a real broker, and scripted other devices.

On mocked pins the bench has its own time: `run` executes pulses, control steps and planned calls at their exact
instants, and that time stands still while the bench waits for the broker. So assertions on times hold to the
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
from gridfleet.devices.edge.hardware.turbine import TurbineControl
from gridfleet.devices.edge.hil.mock_pi import MockMcp3008, MockPi
from gridfleet.devices.edge.hil.participants import (
    MessageCollector,
    ScriptedBuyer,
    ScriptedClock,
    ScriptedSeller,
    ScriptedVehicle,
)
from gridfleet.devices.edge.hil.pi import Pi
from gridfleet.devices.edge.hil.plants import ChargingPlant, Plant, WindPlant
from gridfleet.devices.edge.hil.step_schedule import StepSchedule
from gridfleet.devices.edge.hil.under_test import ChargerUnderTest, DeviceUnderTest, TurbineUnderTest

WARM_UP_S: Final = 1.0
"""Seconds until voltages that are fed through a capacitor are stable."""
ANSWER_S: Final = 10.0
"""Real seconds that an answer over the broker may take."""


class Bench:
    """Everything around a device under test; call `close` at the end."""

    def __init__(self, url: str, site: str = "bench", pi: Pi | None = None) -> None:
        """`url` is the broker's; without `pi`, a Raspberry Pi wired back to itself, one is mocked."""
        self.site = site
        self.loop = MqttLoop(BrokerAddress.parse(url), schema=SCHEMA, retry_refused=True)
        self.url = url
        self._mock = MockPi() if pi is None else None
        self.pi: Pi = self._mock if self._mock is not None else pi  # type: ignore[assignment] # one of the two
        self.pi.replace_sleep(self._within_step)
        self.clock = ScriptedClock(self.loop, site)
        self.collector = MessageCollector(self.loop, site)
        self.devices: list[Device] = []
        self._planned: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self._controls: list[StepSchedule] = []
        self._plants: list[Plant] = []
        self.agent_alive = True
        """Whether the control loops are told that the agents are alive."""
        self.hung = False
        """Whether the control loops make no steps."""
        self.wait(lambda: self.clock.online and self.collector.online, "the bench to be online")
        self.clock.tick()

    # --- what is under test ------------------------------------------------------------------------------

    def charger(
        self, text: str, build_agent: Callable[[DeviceFile, ChargerControl], Agent] | None = None
    ) -> ChargerUnderTest:
        """Start a charger of a device file's text; `build_agent` builds an agent of your own for it."""
        file = self._file(text)
        device, stepping = self._start(file, build_agent)
        plant = ChargingPlant(self.pi, file)
        self._plants.append(plant)
        if not self.pi.exact:
            self.run(WARM_UP_S)
        return ChargerUnderTest(self, device, plant, stepping)

    def turbine(
        self, text: str, build_agent: Callable[[DeviceFile, TurbineControl], Agent] | None = None
    ) -> TurbineUnderTest:
        """Start a turbine of a device file's text; `build_agent` builds an agent of your own for it."""
        file = self._file(text)
        device, stepping = self._start(file, build_agent)
        plant = WindPlant(self.pi, file)
        self._plants.append(plant)
        return TurbineUnderTest(self, device, plant, stepping)

    def device(
        self, text: str, build_agent: Callable[[DeviceFile, Any], Agent] | None = None
    ) -> DeviceUnderTest:
        """Start a device of any kind, also of your own, with the plant that its kind names, if it names one."""
        file = self._file(text)
        device, stepping = self._start(file, build_agent)
        plant = file.agent_type.make_plant(self.pi, file)
        if plant is not None:
            self._plants.append(plant)
        return DeviceUnderTest(self, device, plant, stepping)

    def seller(self, name: str = "seller-1") -> ScriptedSeller:
        """Connect a scripted seller, for devices that buy."""
        seller = ScriptedSeller(self.loop, self.site, name, self.wait)
        self.wait(lambda: seller.online, f"{name} to be online")
        return seller

    def buyer(self, cell: str, name: str = "buyer-1") -> ScriptedBuyer:
        """Connect a scripted buyer to a cell, for devices that sell; the cell's producers wait for its bids."""
        buyer = ScriptedBuyer(self.loop, self.site, name, cell, self.wait)
        self.wait(lambda: buyer.online, f"{name} to be online")
        buyer.join()
        return buyer

    def vehicle(self, name: str = "vehicle-1") -> ScriptedVehicle:
        """Connect a scripted vehicle."""
        vehicle = ScriptedVehicle(self.loop, self.site, name, self.wait)
        self.wait(lambda: vehicle.online, f"{name} to be online")
        return vehicle

    @property
    def adc(self) -> MockMcp3008:
        """The mocked converter, to simulate its faults; AssertionError on real pins."""
        if self._mock is None:
            raise AssertionError(
                "faults of the converter can be simulated on mocked pins only: mark the test hil_mock"
            )
        return self._mock.adc

    def _file(self, text: str) -> DeviceFile:
        """Return the device, on this bench's site and pins."""
        file = parse(text, "bench.toml")
        if self._mock is not None and file.adc is not None:
            self._mock.adc.reference_v = file.adc.reference_v
        return file.model_copy(update={"site": self.site})

    def _start(
        self, file: DeviceFile, build_agent: Callable[..., Agent] | None
    ) -> tuple[Device, StepSchedule]:
        device = Device(file, self.loop, board=self.pi.board(), build_agent=build_agent)
        if device.control is None:
            raise ValueError(
                f"{file.id}: backend = {file.backend!r} has no pins to test; set backend = 'mock'"
            )
        self.devices.append(device)
        stepping = StepSchedule(device.control, file.control.period_s, self.now_s)
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
        """Plan a call for later, to be made while the bench runs."""
        heapq.heappush(self._planned, (self.now_s + seconds, next(self._numbers), call))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(lambda: False, seconds)

    def run_until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Let time pass until a condition holds; return whether it holds in time."""
        end_s = self.now_s + within_s
        while not condition():
            due_s = min(self._next_s(), end_s)
            self._advance(due_s)
            if self.now_s >= end_s:
                return condition()
        return True

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait in real time for an answer over the broker; the bench's time stands still. Raises TimeoutError."""
        if not self.loop.run_until(condition, ANSWER_S):
            raise TimeoutError(f"waited {ANSWER_S:g} s for {what}. {self.loop.offline_reason}")

    def _next_s(self) -> float:
        planned_s = self._planned[0][0] if self._planned else inf
        plants_s = min((plant.due_s for plant in self._plants), default=inf)
        steps_s = min((stepping.due_s for stepping in self._controls if not self.hung), default=inf)
        return min(planned_s, plants_s, steps_s)

    def _advance(self, until_s: float) -> None:
        """Advance time to an instant, and do what is due; the control loops come last."""
        self._advance_plants(until_s)
        stepped = False
        for stepping in self._controls:
            if stepping.due_s <= self.now_s and not self.hung:
                self._poll()
                stepping.step()
                stepped = True
        if stepped:
            self._poll()

    def _advance_plants(self, until_s: float) -> None:
        """Advance time, and run plants and planned calls on the way."""
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
        """Let time pass while a control loop waits between samples: plants and planned calls run."""
        self._advance_plants(self.now_s + seconds)

    def _poll(self) -> None:
        """Exchange messages, and do what a running device does on its timers."""
        self.loop.poll()
        for device in self.devices:
            if self.agent_alive:
                device.update_control()
            device.publish_incidents()

    def close(self) -> None:
        """Close everything. Twice is safe."""
        for device in self.devices:
            if device.control is not None:
                device.control.make_safe("shut down")
            device.close()
        self.devices.clear()
        self.loop.close()
        self.pi.close()
