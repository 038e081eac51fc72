"""Devices under test: what a test reads of them and does to what is around them."""

from typing import Any

from gridfleet.devices.edge.device import Device
from gridfleet.devices.edge.hardware.charger import ChargerControl
from gridfleet.devices.edge.hardware.turbine import TurbineControl
from gridfleet.devices.edge.hil.participants import ScriptedVehicle
from gridfleet.devices.edge.hil.plants import ChargingPlant, WindPlant
from gridfleet.devices.edge.hil.step_schedule import StepSchedule
from gridfleet.devices.edge.hil.switch import BenchTime, Switch


class DeviceUnderTest:
    """A device with its control loop, and its plant where its kind has one."""

    def __init__(self, bench: BenchTime, device: Device, plant: Any, stepping: StepSchedule) -> None:  # noqa: ANN401 - each kind's own
        self.device = device
        self.plant = plant
        self.stepping = stepping
        self.control: Any = device.control
        self._bench = bench

    def switch(self, pin: int, *, on_when: str = "high") -> Switch:
        """Return a switch that one of its pins drives; it is on when that pin is `high` or `low`."""
        return Switch(self._bench, pin, on_when=on_when)


class ChargerUnderTest(DeviceUnderTest):
    """A charger with its plant and its contactor."""

    plant: ChargingPlant
    control: ChargerControl

    def __init__(
        self, bench: BenchTime, device: Device, plant: ChargingPlant, stepping: StepSchedule
    ) -> None:
        super().__init__(bench, device, plant, stepping)
        contactor = device.file.contactor
        if contactor is None:
            raise ValueError(f"{device.file.id}: has no contactor")
        self.contactor = self.switch(contactor.pin, on_when=contactor.closed_when)

    def serve(self, vehicle: ScriptedVehicle, energy_wh: int = 10_000) -> None:
        """Let a vehicle reserve, plug in and report its arrival, until its lease is confirmed."""
        vehicle.reserve(self.device.file, energy_wh)
        self.plant.plug_in()
        vehicle.arrive()


class TurbineUnderTest(DeviceUnderTest):
    """A turbine with its plant and its brake."""

    plant: WindPlant
    control: TurbineControl

    def __init__(self, bench: BenchTime, device: Device, plant: WindPlant, stepping: StepSchedule) -> None:
        super().__init__(bench, device, plant, stepping)
        brake = device.file.brake
        self.brake = (
            self.switch(brake.pin, on_when=_other(brake.released_when)) if brake is not None else None
        )


def _other(level: str) -> str:
    return "low" if level == "high" else "high"
